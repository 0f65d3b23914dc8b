"""Made-up records of two real dictionaries: the rules find what was planted, and nothing else."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project.system_columns import (
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
)
from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.synthesis import MadeUpStudy, make_up_study
from redcap_dagster.sandbox.synthesis.structure_files import read_structure_file
from redcap_dagster.tables import CleaningRules, StudyRows, clean, find_asked, split_by_instrument
from redcap_dagster.tables.quality import (
    InstrumentRows,
    RuleFindings,
    judge_calculations,
    judge_choices,
    judge_hidden,
    judge_ranges,
    judge_required,
    judge_secondary_unique,
    judge_ticks,
    judge_values,
)

JUDGES: dict[str, Callable[[InstrumentRows], list[RuleFindings]]] = {
    "B": judge_required,
    "C": judge_values,
    "D": judge_ranges,
    "F": judge_hidden,
    "G": judge_choices,
    "H": judge_calculations,
    "unique": judge_secondary_unique,
    "ticks": judge_ticks,
}
RULES = {"none_of_the_above": "ticks", "max_checked": "ticks"}
"""The rules that find kinds of errors, where they have another name."""

MOST_UNKNOWN = 0.03
"""Share of all cells of which it may not be known whether they were asked."""


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


def make_instrument_rows(study: MadeUpStudy) -> list[InstrumentRows]:
    project = study.project
    tables = split_by_instrument(make_export(study), project, blank_status=True)
    rows = StudyRows(project, tables)
    rules = CleaningRules()
    return [
        InstrumentRows(name, table, clean(table, name, project, rules), project, rules, rows)
        for name, table in tables.items()
    ]


def list_wrong(rows: Iterable[InstrumentRows], letter: str) -> Counter[Any]:
    """Return what a rule finds, by field and row."""
    found: Counter[Any] = Counter()
    for each in rows:
        table = each.records
        keys = table.select([name for name in table.column_names[:5] if name in KEYS]).to_pylist()
        for finding in JUDGES[letter](each):
            wrong = zip(keys, finding.wrong.to_pylist(), strict=True)
            found.update(
                (letter, read_key(key), finding.field) for key, is_wrong in wrong if is_wrong
            )
    return found


KEYS = ("ptid", "record_id", EVENT_NAME, REPEAT_INSTRUMENT, REPEAT_INSTANCE)


def read_key(row: dict[str, Any]) -> RowKey:
    record = row.get("ptid") or row.get("record_id")
    instance = int(row.get(REPEAT_INSTANCE) or 0)
    return RowKey(
        str(record), row.get(EVENT_NAME) or "", row.get(REPEAT_INSTRUMENT) or "", instance
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ageing-cohort", "covican"])
def test_what_was_planted_is_found(fixtures: Path, name: str) -> None:
    path = fixtures / "dictionaries" / f"{name}.csv"
    if not path.exists():
        pytest.skip("the dictionaries are kept beside a checkout")
    project = read_structure_file(path)
    without = make_instrument_rows(make_up_study(project, records=200))
    for letter in JUDGES:
        assert not list_wrong(without, letter)
    cells = unknown = 0
    for each in without:
        for asked in find_asked(each.study, each.instrument).values():
            cells += len(asked)
            unknown += asked.null_count
    assert unknown <= MOST_UNKNOWN * cells

    study = make_up_study(project, records=200, errors=0.02)
    assert {error.kind for error in study.errors} >= set("CDFGH")
    rows = make_instrument_rows(study)
    gold = [finding for error in study.errors for finding in error.findings]
    for letter in JUDGES:
        expected = Counter(
            (letter, each.row_key, each.field)
            for each in gold
            if RULES.get(each.kind, each.kind) == letter
        )
        assert list_wrong(rows, letter) == expected
