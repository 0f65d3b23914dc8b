"""Made-up records of two real dictionaries: runs find what was planted, and nothing else."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redcap_dagster import QuerySettings
from redcap_dagster.project import Field
from redcap_dagster.project.logic import (
    Literal,
    LogicError,
    Node,
    list_references,
    list_smart_variables,
    parse_logic,
)
from redcap_dagster.project.logic.tree import walk_nodes
from redcap_dagster.project.system_columns import (
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
)
from redcap_dagster.sandbox.synthesis import MadeUpStudy, make_up_study
from redcap_dagster.sandbox.synthesis.structure_files import read_structure_file
from redcap_dagster.tables import StudyRows, find_asked, split_by_instrument
from redcap_dagster.tables.logic import names_field, resolve
from tests.dagster_runs import studying
from tests.planted_rules import QUERY_RULES, count_found, count_planted

KINDS = {
    "ageing-cohort": {"B", "C", "D", "F", "G", "H", "none_of_the_above"},
    "covican": {"C", "D", "F", "G", "H"},
}
"""The kinds of errors that each dictionary admits: one does not have required fields."""

NOT_ASKED = {
    "ageing-cohort": {
        "the action tag @HIDDEN hides it": 17,
        # Its maximum is a year that is read from the end of a date, where the day is stored.
        "no value is between its limits": 1,
    },
    "covican": {},
}
"""Why required fields are asked in none of the records."""

CAUSES = {
    "ageing-cohort": {"an order with a blank": 13_230},
    "covican": {"an order with a blank": 318, "an order with a text": 195},
}
"""Why it cannot be said of some cells whether they were asked."""

MOST_UNKNOWN = 0.03


def make_study(fixtures: Path, name: str, errors: float = 0) -> MadeUpStudy:
    path = fixtures / "dictionaries" / f"{name}.csv"
    if not path.exists():
        pytest.skip("the dictionaries are kept beside a checkout")
    return make_up_study(read_structure_file(path), records=200, errors=errors)


def make_export(study: MadeUpStudy) -> pa.Table:
    """Return the records as REDCap exports them."""
    project = study.project
    blanks = {
        column.name: "0" if column.choice else ""
        for instrument in project.instruments
        for column in project.columns(instrument.instrument_name)
    }
    rows = [
        {
            project.record_id_field: key.record,
            EVENT_NAME: key.event,
            REPEAT_INSTRUMENT: key.instrument,
            REPEAT_INSTANCE: str(key.instance) if key.instance else "",
            **blanks,
            **values,
        }
        for key, values in study.rows
    ]
    return pa.table({name: pa.array([row[name] for row in rows]) for name in rows[0]})


def count_causes(study: StudyRows, instrument: str) -> Counter[str]:
    """Count the cells of which it cannot be said whether they were asked, by cause."""
    causes: Counter[str] = Counter()
    for field in study.project.instrument_fields(instrument):
        unknown = find_asked(study, instrument)[field.field_name].is_null()
        for row in pc.indices_nonzero(unknown).to_pylist():
            causes[find_cause(study, instrument, field, row)] += 1
    return causes


def find_cause(study: StudyRows, instrument: str, field: Field, row: int) -> str:
    try:
        node: Node = parse_logic(field.branching_logic or "1")
    except LogicError:
        return "logic that cannot be read"
    if {each.value for each in walk_nodes(node) if isinstance(each, Literal)} & {"today", "now"}:
        return "the clock"
    if list_smart_variables(node) or "@" in field.field_annotation:
        return "the server, the user or a survey"
    references = list_references(node)
    if not all(names_field(study, each) for each in references):
        return "a field that the project does not have"
    values = [resolve(study, each, instrument)[row].as_py() for each in references]
    if None in values:
        return "a missing instance"
    if {code.code for code in study.project.missing_data_codes} & set(values):
        return "a missing data code"
    return "an order with a blank" if "" in values else "an order with a text"


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_what_cannot_be_said(fixtures: Path, name: str) -> None:
    made = make_study(fixtures, name)
    assert Counter(made.never_asked.values()) == NOT_ASKED[name]
    project = made.project
    tables = split_by_instrument(make_export(made), project, blank_status=True)
    study = StudyRows(project, tables)
    causes = sum((count_causes(study, form) for form in tables), Counter[str]())
    cells = sum(len(asked) for form in tables for asked in find_asked(study, form).values())
    assert causes == CAUSES[name]
    assert causes.total() <= MOST_UNKNOWN * cells


@pytest.mark.slow
@pytest.mark.parametrize("errors", [0, 0.02])
@pytest.mark.parametrize("name", KINDS)
def test_a_run_finds_what_was_planted(
    tmp_path: Path, fixtures: Path, name: str, errors: float
) -> None:
    made = make_study(fixtures, name, errors)
    assert {error.kind for error in made.errors} == (KINDS[name] if errors else set())
    with studying(tmp_path, study=made) as study:
        queries = QuerySettings(rules=QUERY_RULES)
        assert study.run(study.definitions(queries=queries)).success
        assert count_found(study) == count_planted(made)
