"""Values that are in no table, and rows that came twice, are counted."""

from dataclasses import replace

import pyarrow as pa
import pytest

from redcap_dagster.tables import (
    CleaningRules,
    clean,
    count_duplicate_rows,
    count_unplaced_cells,
    has_hashed_ids,
    split_by_instrument,
)
from tests.tables.longitudinal_project import PROJECT, export_of


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
    assert count_unplaced_cells(export_of(row, whole), PROJECT) == lost


def test_columns_that_no_dictionary_has_are_counted() -> None:
    row = ("1", "a_arm_1", "", "", "", "1", "0", "", "", "")
    export = export_of(row, row).append_column("old", pa.array(["x", ""]))
    assert count_unplaced_cells(export, PROJECT) == {"old": 1}


def test_rows_that_came_twice_are_counted() -> None:
    first, second = (("1", "a_arm_1", "drug", n, "", "", "", "5", "", "0") for n in "12")
    base = ("1", "b_arm_1", "", "", "", "", "", "5", "", "0")
    for rows, count in (((first, second, base), 0), ((first, base, first, base, first), 3)):
        records = split_by_instrument(export_of(*rows), PROJECT)["drug"]
        assert count_duplicate_rows(records, PROJECT, "drug") == count
        cleaned = clean(records, "drug", PROJECT, CleaningRules())
        assert count_duplicate_rows(cleaned.table, PROJECT, "drug") == count


def test_hashed_record_ids_are_recognized() -> None:
    row = ("a_arm_1", "", "", "", "1", "0", "", "", "")
    hashes = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"]
    assert has_hashed_ids(export_of(*((name, *row) for name in hashes)), PROJECT)
    assert not has_hashed_ids(export_of(*((name, *row) for name in [*hashes, "1001"])), PROJECT)
    assert not has_hashed_ids(export_of(), PROJECT)
    first, *others = PROJECT.fields
    untagged = replace(PROJECT, fields=(replace(first, identifier=""), *others))
    assert not has_hashed_ids(export_of(*((name, *row) for name in hashes)), untagged)
