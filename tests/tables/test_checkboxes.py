"""Checkboxes as columns and as lists."""

from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, CleanTable, clean, split_by_instrument
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "f"),
        field("age", "f", validation="integer"),
        field("sure", "f", field_annotation="@NOMISSING"),
        field("race", "f", type="checkbox", choices="1, A | 2, B, or C | 3,"),
    ],
    info={"missing_data_codes": "UNK, Unknown | -7, Refused"},
    header=["f_timestamp"],
)
NO_BOX = {"race___1": "0", "race___2": "0", "race___3": "0", "race___unk": "0", "race____7": "0"}


def _clean(*rows: dict[str, str], **rules: Any) -> CleanTable:
    blank = {"id": "1", "age": "", "sure": "", "f_timestamp": "", "f_complete": "2", **NO_BOX}
    export = pa.table({name: [(blank | row)[name] for row in rows] for name in blank})
    # In two pieces, as exports come.
    export = pa.concat_tables([export.slice(0, 1), export.slice(1)])
    records = split_by_instrument(export, PROJECT)["f"]
    return clean(records, "f", PROJECT, CleaningRules(**rules))


def test_unticked_boxes_say_nothing_where_a_missing_code_is_ticked() -> None:
    rows = [{"race___1": "1"}, {"race___unk": "1"}, {"race____7": "1", "race___1": "1"}, {}]
    cleaned = _clean(*rows, missing_reasons=True)
    assert cleaned.table["race___1"].to_pylist() == [True, None, True, False]
    assert cleaned.table["race___2"].to_pylist() == [False, None, None, False]
    assert cleaned.table["race___unk"].to_pylist() == [False, True, False, False]
    assert cleaned.table["race_missing"].to_pylist() == [None, "Unknown", None, None]
    assert cleaned.replaced == {"race___1": 1, "race___2": 2, "race___3": 2}


@pytest.mark.parametrize(
    ("labels", "column", "first"),
    [
        ("labels", "race", ["A", "B, or C"]),
        ("codes", "race", ["1", "2"]),
        ("both", "race", ["A", "B, or C"]),
        ("both", "race_code", ["1", "2"]),
    ],
)
def test_boxes_as_a_list(labels: str, column: str, first: list[str]) -> None:
    blank = dict.fromkeys(NO_BOX, "")
    rows = [{"race___1": "1", "race___2": "1"}, {}, blank, {"race___unk": "1"}, {"race___3": "1"}]
    cleaned = _clean(*rows, checkboxes="lists", labels=labels)
    assert cleaned.table[column].to_pylist() == [first, [], None, None, ["3"]]
    assert cleaned.table[column].type == pa.list_(pa.string())
    assert not [name for name in cleaned.table.column_names if "___" in name]


def test_lists_of_no_rows() -> None:
    assert _clean(checkboxes="lists").table["race"].to_pylist() == []


def test_a_box_that_is_neither_is_counted_also_in_a_list() -> None:
    cleaned = _clean({"race___1": "2", "race___2": "1"}, checkboxes="lists")
    assert cleaned.table["race"].to_pylist() == [["B, or C"]]
    assert cleaned.invalid == {"race___1": 1}
