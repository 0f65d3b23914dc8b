"""Checkboxes as columns and as lists."""

import pyarrow as pa
import pytest

from tests.tables.missing_codes import NO_BOX, clean_rows


def test_unticked_boxes_say_nothing_where_a_missing_code_is_ticked() -> None:
    rows = [{"race___1": "1"}, {"race___unk": "1"}, {"race____7": "1", "race___1": "1"}, {}]
    cleaned = clean_rows(*rows, missing_reasons=True)
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
    cleaned = clean_rows(*rows, checkboxes="lists", labels=labels)
    assert cleaned.table[column].to_pylist() == [first, [], None, None, ["3"]]
    assert cleaned.table[column].type == pa.list_(pa.string())
    assert not [name for name in cleaned.table.column_names if "___" in name]


def test_lists_of_no_rows() -> None:
    assert clean_rows(checkboxes="lists").table["race"].to_pylist() == []


def test_a_box_that_is_neither_is_counted_also_in_a_list() -> None:
    cleaned = clean_rows({"race___1": "2", "race___2": "1"}, checkboxes="lists")
    assert cleaned.table["race"].to_pylist() == [["B, or C"]]
    assert cleaned.invalid == {"race___1": 1}
