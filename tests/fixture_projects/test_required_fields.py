"""Every required field of a dictionary of a real study is judged, and none of its logic is lost."""

import csv
from pathlib import Path

import pyarrow as pa

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, StudyRows, clean, list_logic_problems
from redcap_dagster.tables.quality import InstrumentRows, judge_hidden, judge_required


def test_every_required_field_is_judged(fixtures: Path) -> None:
    path = fixtures / "dictionaries" / "ageing-cohort.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        project = REDCapProject.from_exports(metadata=list(csv.DictReader(file)))
    assert list_logic_problems(project) == ()
    names = [form.instrument_name for form in project.instruments]
    tables = {
        form: pa.table(
            {
                project.record_id_field: ["1", "2"],
                **{column.name: pa.nulls(2, pa.string()) for column in project.columns(form)},
                f"{form}_complete": ["2", "1"],
            }
        )
        for form in names
    }
    study, rules = StudyRows(project, tables), CleaningRules()
    rows = [
        InstrumentRows(
            form, tables[form], clean(tables[form], form, project, rules), project, rules, study
        )
        for form in names
    ]
    judged = 0
    for one in rows:
        found = judge_required(one)
        form_is_blank = any(each.wrong[0].as_py() for each in found if not each.field)
        for each in found:
            assert each.certain[0].as_py() or form_is_blank, each.field
            judged += bool(each.field)
    assert judged == 979
    hidden = [each for one in rows for each in judge_hidden(one)]
    assert not any(each.count for each in hidden)
