"""Values that are in no table, and rows that came twice, are counted."""

from dataclasses import replace

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import (
    CleaningRules,
    clean,
    count_duplicate_rows,
    count_unplaced_cells,
    has_hashed_ids,
    split_by_instrument,
)
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "base", identifier="y"),
        field("sum", "base", type="calc"),
        field("box", "base", type="checkbox", choices="1, A"),
        field("dose", "drug", validation="number"),
        field("term", "drug", choices="BIOPORTAL:CTCAE"),
    ],
    info={"project_id": 12},
    events=[
        {"event_name": "A", "arm_num": 1, "unique_event_name": "a_arm_1", "event_id": 7},
        {"event_name": "B", "arm_num": 1, "unique_event_name": "b_arm_1"},
    ],
    form_event_mapping=[
        {"arm_num": 1, "unique_event_name": "a_arm_1", "form": "base"},
        {"arm_num": 1, "unique_event_name": "b_arm_1", "form": "drug"},
        {"arm_num": 1, "unique_event_name": "a_arm_1", "form": "drug"},
    ],
    repeating=[{"event_name": "a_arm_1", "form_name": "drug"}],
    version="14.5.1",
)
NAMES = (
    "id",
    "redcap_event_name",
    "redcap_repeat_instrument",
    "redcap_repeat_instance",
    *("sum", "box___1", "base_complete", "dose", "term", "drug_complete"),
)


def _export(*rows: tuple[str, ...]) -> pa.Table:
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(NAMES)})


@pytest.mark.parametrize(
    ("row", "lost"),
    [
        (("1", "a_arm_1", "", "", "3", "0", "0", "", "", ""), {}),
        (("1", "a_arm_1", "", "", "", "1", "0", "", "", ""), {}),
        (("1", "b_arm_1", "", "", "3", "0", "0", "", "", ""), {}),
        (("1", "b_arm_1", "", "", "", "1", "2", "", "", ""), {"box___1": 1, "base_complete": 1}),
        # The form repeats in this event: what stands in the base row is nobody's.
        (("1", "a_arm_1", "", "", "", "", "", "5", "", "0"), {"dose": 1}),
        (("1", "a_arm_1", "drug", "1", "", "", "", "5", "", "0"), {}),
        (("1", "a_arm_1", "gone", "1", "", "", "", "5", "x", "0"), {"dose": 1, "term": 1}),
    ],
)
def test_what_is_in_no_table_is_counted(row: tuple[str, ...], lost: dict[str, int]) -> None:
    whole = ("2", "b_arm_1", "", "", "", "", "", "7", "x", "2")
    assert count_unplaced_cells(_export(row, whole), PROJECT) == lost


def test_columns_that_no_dictionary_has_are_counted() -> None:
    row = ("1", "a_arm_1", "", "", "", "1", "0", "", "", "")
    export = _export(row, row).append_column("old", pa.array(["x", ""]))
    assert count_unplaced_cells(export, PROJECT) == {"old": 1}


def test_rows_that_came_twice_are_counted() -> None:
    first, second = (("1", "a_arm_1", "drug", n, "", "", "", "5", "", "0") for n in "12")
    base = ("1", "b_arm_1", "", "", "", "", "", "5", "", "0")
    for rows, count in (((first, second, base), 0), ((first, base, first, base, first), 3)):
        records = split_by_instrument(_export(*rows), PROJECT)["drug"]
        assert count_duplicate_rows(records, PROJECT, "drug") == count
        cleaned = clean(records, "drug", PROJECT, CleaningRules())
        assert count_duplicate_rows(cleaned.table, PROJECT, "drug") == count


def test_hashed_record_ids_are_recognized() -> None:
    row = ("a_arm_1", "", "", "", "1", "0", "", "", "")
    hashes = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"]
    assert has_hashed_ids(_export(*((name, *row) for name in hashes)), PROJECT)
    assert not has_hashed_ids(_export(*((name, *row) for name in [*hashes, "1001"])), PROJECT)
    assert not has_hashed_ids(_export(), PROJECT)
    first, *others = PROJECT.fields
    untagged = replace(PROJECT, fields=(replace(first, identifier=""), *others))
    assert not has_hashed_ids(_export(*((name, *row) for name in hashes)), untagged)
