"""Calculations, outliers, missing codes, unique values and ticks, row by row."""

from dataclasses import replace

import pyarrow as pa
import pytest

from redcap_dagster.tables import CleaningRules
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.quality import (
    judge_blanks,
    judge_calculations,
    judge_missing_codes,
    judge_outliers,
    judge_ranges,
    judge_secondary_unique,
    judge_ticks,
)
from tests.dictionary import field
from tests.tables.test_quality_values import rows_of, verdicts


@pytest.mark.parametrize(
    ("calculation", "expected"),
    [
        ("[x] * 3", [False, True, True, None, None]),
        ("round([x] * 3.0001, 2)", [False, True, True, None, None]),
        ("datediff([x], 'today', 'd')", [None] * 5),
        ("nonsense([x])", [None] * 5),
        ("if([x] = 'NI', 7, 6)", [False, True, True, None, None]),
    ],
)
def test_calculated_values(calculation: str, expected: list[bool | None]) -> None:
    """The rows: right, wrong, not calculated, a missing code in the value, one in the operand."""
    cells: dict[str, list[str | None]] = {
        "x": ["2", "2", "2", "2", "NI"],
        "y": ["6", "7", None, "NI", "6"],
    }
    given = rows_of(cells, field("x", "a"), field("y", "a", type="calc", choices=calculation))
    (found,) = judge_calculations(given)
    assert verdicts(found) == expected
    assert set(found.read.column_names) >= {"y"}


@pytest.mark.parametrize(
    ("validation", "stored", "expected"),
    [
        ("date_mdy", "2024-03-05", False),
        ("date_mdy", "2024-03-06", True),
        ("date_mdy", None, True),
        ("datetime_dmy", "2024-03-05 00:00", False),
        ("datetime_seconds_ymd", "2024-03-05 00:00:00", False),
        ("datetime_seconds_ymd", "2024-03-05 00:00", True),
    ],
)
def test_calculated_dates(validation: str, stored: str | None, expected: bool) -> None:
    due = field(
        "due", "a", validation=validation, field_annotation="@CALCDATE([x], 7, 'd') @READONLY"
    )
    cells: dict[str, list[str | None]] = {"x": ["2024-02-27", "NI"], "due": [stored, stored]}
    (found,) = judge_calculations(rows_of(cells, field("x", "a", validation="date_ymd"), due))
    assert verdicts(found) == [expected, None]


def test_numbers_are_equal_to_a_tolerance() -> None:
    cells: dict[str, list[str | None]] = {
        "x": ["1", "1", "1"],
        "y": ["0.33333333333333", "0.3333", "0.34"],
    }
    calc = field("y", "a", type="calc", choices="[x] / 3")
    assert verdicts(judge_calculations(rows_of(cells, field("x", "a"), calc))[0]) == [
        False,
        True,
        True,
    ]
    rounded = field("y", "a", type="calc", choices="round([x] / 3, 2)")
    assert verdicts(judge_calculations(rows_of(cells, field("x", "a"), rounded))[0]) == [False] * 3


@pytest.mark.parametrize("rounded", ["round([x] * 1.005, 2)", "round([x] * 1.005 * 100) / 100"])
def test_the_rounding_inside_of_an_outermost_if_has_its_tolerance(rounded: str) -> None:
    """As a floating-point number, 1.005 is less than a half, and so is what REDCap may round."""
    calc = field("y", "a", type="calc", choices=f"if([x] = '', '', {rounded})")
    given = rows_of({"x": ["1", "1", "1"], "y": ["1", "1.01", "1.03"]}, field("x", "a"), calc)
    assert verdicts(judge_calculations(given)[0]) == [False, False, True]


def test_calculated_text() -> None:
    text = field("y", "a", field_annotation="@CALCTEXT(if([x] = 1, 'one', 'other'))")
    found = judge_calculations(
        rows_of({"x": ["1", "1", "2"], "y": ["one", "other", "other"]}, field("x", "a"), text)
    )
    assert verdicts(found[0]) == [False, True, False]


@pytest.mark.parametrize("validation", ["", "number_2dp_comma_decimal"])
def test_a_text_with_a_decimal_comma_cannot_be_said(validation: str) -> None:
    number = field("x", "a", validation="number_2dp_comma_decimal")
    cells: dict[str, list[str | None]] = {"x": ["1,50", "1,50"], "y": ["1,50", "b"]}
    for logic, expected in (("[x]", [None, None]), ("if([x] > 1, 'a', 'b')", [True, True])):
        text = field("y", "a", validation=validation, field_annotation=f"@CALCTEXT({logic})")
        assert verdicts(judge_calculations(rows_of(cells, number, text))[0]) == expected


def test_a_blank_that_branching_logic_hides_is_not_incorrect() -> None:
    hidden = field("y", "a", type="calc", choices="1 + 1", branching_logic="[x] = '1'")
    given = rows_of({"x": ["1", "2"], "y": [None, None]}, field("x", "a"), hidden)
    assert verdicts(judge_calculations(given)[0]) == [True, False]
    depends = field("y", "a", type="calc", choices="1 + 1", branching_logic="[x] < 3")
    given = rows_of({"x": ["1", "7", None], "y": [None, None, None]}, field("x", "a"), depends)
    assert verdicts(judge_calculations(given)[0]) == [True, False, None]


def test_a_form_that_nobody_has_saved_is_not_calculated() -> None:
    calc = field("y", "a", type="calc", choices="1 + 1")
    given = rows_of({"x": ["1", None], "y": [None, None]}, field("x", "a"), calc)
    status = pa.array(["2", "0"])
    place = given.records.schema.get_field_index("a_complete")
    records = given.records.set_column(place, "a_complete", status)
    unsaved = replace(
        given,
        records=records,
        rules=CleaningRules(keep_unsaved=True),
        study=StudyRows(given.project, {"a": records}),
    )
    assert verdicts(judge_calculations(unsaved)[0]) == [True, None]


def test_outliers_are_beyond_two_standard_deviations() -> None:
    cells: dict[str, list[str | None]] = {"x": ["1", "2", "1", "2", "1", "2", "1", "90", "NI"]}
    (found,) = judge_outliers(rows_of(cells, field("x", "a", validation="integer")))
    assert verdicts(found) == [False] * 7 + [True, False]


def test_rows_of_some_buckets_do_not_tell_outliers() -> None:
    cells: dict[str, list[str | None]] = {"x": ["1", "2", "1", "2", "1", "2", "1", "90", "NI"]}
    given = rows_of(cells, field("x", "a", validation="integer"))
    (found,) = judge_outliers(replace(given, is_whole=False))
    assert verdicts(found) == [None] * 8 + [False]
    assert found.count == 0


def test_missing_codes_are_found_where_they_are_not_own_choices() -> None:
    found = judge_missing_codes(
        rows_of(
            {"x": ["NI", "1", None], "y": ["NI", None, None]},
            field("x", "a"),
            field("y", "a", type="radio", choices="NI, Nothing | 1, One"),
        )
    )
    assert {each.field: verdicts(each) for each in found} == {
        "x": [True, False, False],
        "y": [False] * 3,
    }


def test_ticks_that_action_tags_do_not_allow() -> None:
    cells: dict[str, list[str | None]] = {
        "x___1": ["1", "1", "1", "0"],
        "x___2": ["0", "1", "0", "0"],
        "x___3": ["0", "1", "0", "0"],
        "x___99": ["0", "0", "1", "1"],
        "x___ni": ["0", "0", "0", "0"],
    }
    tags = "@NONEOFTHEABOVE='99' @MAXCHECKED=2"
    options = "1, A | 2, B | 3, C | 99, None"
    box = field("x", "a", type="checkbox", choices=options, field_annotation=tags)
    (found,) = judge_ticks(rows_of(cells, box))
    assert verdicts(found) == [False, True, True, False]


def test_no_two_records_share_the_secondary_unique_field() -> None:
    given = rows_of(
        {"x": ["a", "b", "a", None, None, "NI", "NI"]},
        field("x", "a"),
        info={"secondary_unique_field": "x"},
    )
    (found,) = judge_secondary_unique(given)
    assert verdicts(found) == [True, False, True, False, False, False, False]
    for unseen in ({"is_whole": False}, {"sees_all_records": False}):
        (found,) = judge_secondary_unique(replace(given, **unseen))  # type: ignore[arg-type]
        assert verdicts(found) == [True, None, True, False, False, None, None]


def test_a_limit_that_is_another_field() -> None:
    """The rows: inside, outside, without the limit, with a missing code or a text as the limit."""
    cells: dict[str, list[str | None]] = {
        "first": ["2024-01-01", "2024-01-01", None, "NI", "soon"],
        "last": ["2024-02-01", "2023-12-31", "2024-01-01", "2024-01-01", "2024-01-01"],
    }
    dates = {"validation": "date_dmy"}
    fields = field("first", "a", **dates), field("last", "a", minimum="[first]", **dates)
    (found,) = judge_ranges(rows_of(cells, *fields))
    assert verdicts(found) == [False, True, False, None, None]
    assert found.read.column_names == ["last", "[first]"]


def test_a_missing_code_that_looks_like_a_number_is_not_a_limit() -> None:
    fields = (
        field("x", "a", validation="integer"),
        field("y", "a", validation="integer", maximum="[x]"),
    )
    info = {"missing_data_codes": "-99, Refused"}
    (found,) = judge_ranges(rows_of({"x": ["-99", "5"], "y": ["7", "7"]}, *fields, info=info))
    assert verdicts(found) == [None, True]


def test_blanks_are_found_where_the_field_was_asked() -> None:
    hidden = field("y", "a", branching_logic="[x] = '1'")
    given = rows_of({"x": ["1", "1", None], "y": ["7", None, None]}, field("x", "a"), hidden)
    found = judge_blanks(given)
    assert {each.field: verdicts(each) for each in found} == {
        "x": [False, False, True],
        "y": [False, True, False],
    }
