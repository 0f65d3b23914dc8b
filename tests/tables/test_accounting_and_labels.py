"""What is in no table is counted, what does not fit is listed, and codes find their labels."""

from dataclasses import replace

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import (
    CleaningRules,
    clean,
    duplicate_keys,
    has_hashed_ids,
    leftovers,
    pair_labels,
    rejected,
    split_by_instrument,
)

PROJECT = REDCapProject.from_exports(
    metadata=[
        {"field_name": "id", "form_name": "base", "identifier": "y"},
        {"field_name": "sum", "form_name": "base", "field_type": "calc"},
        {
            "field_name": "box",
            "form_name": "base",
            "field_type": "checkbox",
            "select_choices_or_calculations": "1, A",
        },
        {
            "field_name": "dose",
            "form_name": "drug",
            "text_validation_type_or_show_slider_number": "number",
        },
        {
            "field_name": "term",
            "form_name": "drug",
            "select_choices_or_calculations": "BIOPORTAL:CTCAE",
        },
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
    assert leftovers(_export(row, whole), PROJECT) == lost


def test_columns_that_no_dictionary_has_are_counted() -> None:
    row = ("1", "a_arm_1", "", "", "", "1", "0", "", "", "")
    export = _export(row, row).append_column("old", pa.array(["x", ""]))
    assert leftovers(export, PROJECT) == {"old": 1}


def test_rows_that_came_twice_are_counted() -> None:
    first, second = (("1", "a_arm_1", "drug", n, "", "", "", "5", "", "0") for n in "12")
    base = ("1", "b_arm_1", "", "", "", "", "", "5", "", "0")
    for rows, count in (((first, second, base), 0), ((first, base, first, base, first), 3)):
        records = split_by_instrument(_export(*rows), PROJECT)["drug"]
        assert duplicate_keys(records, PROJECT, "drug") == count
        cleaned = clean(records, "drug", PROJECT, CleaningRules())
        assert duplicate_keys(cleaned.table, PROJECT, "drug") == count


def test_hashed_record_ids_are_recognized() -> None:
    row = ("a_arm_1", "", "", "", "1", "0", "", "", "")
    hashes = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"]
    assert has_hashed_ids(_export(*((name, *row) for name in hashes)), PROJECT)
    assert not has_hashed_ids(_export(*((name, *row) for name in [*hashes, "1001"])), PROJECT)
    assert not has_hashed_ids(_export(), PROJECT)
    first, *others = PROJECT.fields
    untagged = replace(PROJECT, fields=(replace(first, identifier=""), *others))
    assert not has_hashed_ids(_export(*((name, *row) for name in hashes)), untagged)


def test_rejected_values_say_where_and_why() -> None:
    export = _export(
        ("1 &é", "a_arm_1", "drug", "2", "", "", "", "much", "", "0"),
        ("1 &é", "a_arm_1", "drug", "3", "", "", "", "5", "", "7"),
        ("2", "b_arm_1", "", "", "", "", "", "little", "", "0"),
    )
    records = split_by_instrument(export, PROJECT)["drug"]
    cleaned = clean(records, "drug", PROJECT, CleaningRules())
    table = rejected(cleaned, records, "drug", PROJECT, "https://redcap.example.org/rc/api/")
    page = "https://redcap.example.org/rc/redcap_v14.5.1/DataEntry/index.php?pid=12&page=drug"
    link = f"{page}&id=1%20%26é&event_id=7&instance="
    assert [tuple(row.values())[1:] for row in table.to_pylist()] == [
        ("a_arm_1", 1, "drug", 2, "dose", "much", "not a number", f"{link}2"),
        ("b_arm_1", 1, None, None, "dose", "little", "not a number", None),
        ("a_arm_1", 1, "drug", 3, "drug_complete", "7", "not one of the choices", f"{link}3"),
    ]
    assert rejected(cleaned, records, "drug", PROJECT)["link"].null_count == 3


def test_nothing_rejected_is_a_table_too() -> None:
    records = split_by_instrument(_export(), PROJECT)["drug"]
    cleaned = clean(records, "drug", PROJECT, CleaningRules())
    names = rejected(cleaned, records, "drug", PROJECT).column_names
    assert names[-4:] == ["field_name", "value", "reason", "link"]


def test_labels_come_from_pairing_two_exports() -> None:
    events = [("1", "a_arm_1", "drug", str(n), "", "", "", "", code, "2") for n, code in
              enumerate(["C5:1", "", "C5:2", "C5:1"], start=1)]  # fmt: skip
    shown = {"C5:1": "Nausea, mild", "C5:2": "Fever", "": ""}
    labelled = [(*row[:1], "Event A", "Drug", *row[3:8], shown[row[8]], "Done") for row in events]
    paired = pair_labels(_export(*events), _export(*labelled), PROJECT)
    records = split_by_instrument(_export(*events), PROJECT)["drug"]
    cleaned = clean(records, "drug", PROJECT, CleaningRules(labels="both"), paired=paired)
    assert cleaned.table["term"].to_pylist() == ["Nausea, mild", None, "Fever", "Nausea, mild"]
    assert cleaned.table["term_code"].to_pylist() == ["C5:1", None, "C5:2", "C5:1"]
    assert not cleaned.unfit


def test_exports_of_different_rows_are_not_paired() -> None:
    rows = [(name, "a_arm_1", "", "", "", "1", "0", "", "", "") for name in "12"]
    with pytest.raises(StructureError, match="export both again"):
        pair_labels(_export(*rows), _export(*reversed(rows)), PROJECT)
