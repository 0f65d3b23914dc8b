"""Ranges and required fields, against Python's own reading of the same values."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import (
    CleaningRules,
    check_ranges,
    clean,
    count_blank_required,
    count_merged_codes,
)
from redcap_dagster.tables.profile import MIN_ROWS, profile
from tests.dictionary import field


def project_of(*fields: dict[str, str], **given: Any) -> REDCapProject:
    return REDCapProject.from_exports(metadata=[field("id", "a"), *fields], **given)


def limited(validation: str, low: str, high: str) -> REDCapProject:
    return project_of(field("x", "a", validation=validation, minimum=low, maximum=high))


def records(*values: str | None) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([str(row) for row, _ in enumerate(values)], pa.string()),
            "x": pa.array(values, pa.string()),
            "a_complete": pa.array(["2"] * len(values), pa.string()),
        }
    )


def ranges(project: REDCapProject, *values: str | None) -> tuple[int, str]:
    table = clean(records(*values), "a", project, CleaningRules()).table
    found = check_ranges(table, "a", project)
    return found.outside.get("x", 0), found.unevaluated.get("x", "")


@given(st.lists(st.none() | st.integers(-50, 50)), st.integers(-50, 50), st.integers(-50, 50))
def test_as_many_integers_are_out_of_range_as_python_counts(
    values: list[int | None], low: int, high: int
) -> None:
    texts = [None if value is None else str(value) for value in values]
    expected = sum(value is not None and not low <= value <= high for value in values)
    assert ranges(limited("integer", str(low), str(high)), *texts) == (expected, "")


@given(st.lists(st.dates()), st.dates())
def test_as_many_dates_are_out_of_range_as_python_counts(
    values: list[dt.date], low: dt.date
) -> None:
    texts = [value.isoformat() for value in values]
    expected = sum(value < low for value in values)
    assert ranges(limited("date_dmy", low.isoformat(), ""), *texts) == (expected, "")


@pytest.mark.parametrize(
    ("validation", "low", "high", "inside", "outside"),
    [
        ("number", "0.5", "1", ["0.5", "1", "0.75"], ["0.49", "1.01"]),
        ("number_comma_decimal", "0,5", "1", ["0,5", "1"], ["0,4"]),
        ("integer", "0.5", "", ["1"], ["0"]),
        ("datetime_ymd", "2020-01-01 10:00", "", ["2020-01-01 10:00"], ["2020-01-01 09:59"]),
        ("time", "08:00", "16:30", ["08:00", "16:30"], ["07:59", "16:31"]),
        ("time_mm_ss", "01:30", "", ["01:30"], ["01:29"]),
    ],
)
def test_limits_of_every_type(
    validation: str, low: str, high: str, inside: list[str], outside: list[str]
) -> None:
    project = limited(validation, low, high)
    assert ranges(project, *inside) == (0, "")
    assert ranges(project, *inside, *outside) == (len(outside), "")


@pytest.mark.parametrize("limit", ["today", "now", "[birth]", "01/02/2020"])
def test_limits_that_are_no_values_are_left_open(limit: str) -> None:
    project = limited("date_ymd", "2020-01-01", limit)
    assert ranges(project, "2019-01-01", "2999-01-01") == (1, f"max {limit}")


def test_the_limits_of_text_are_left_open() -> None:
    project = limited("zipcode", "10000", "")
    assert ranges(project, "00001") == (0, "min 10000")


CELLS = st.none() | st.just("1")
ROWS = st.lists(st.tuples(CELLS, st.sampled_from(["0", "1", "2", None]), CELLS, CELLS))


@given(ROWS)
def test_as_many_required_cells_are_blank_as_python_counts(
    rows: list[tuple[str | None, str | None, str | None, str | None]],
) -> None:
    project = project_of(
        field("x", "a", required_field="y"),
        field("box", "a", type="checkbox", choices="1, A | 2, B", required_field="y"),
        field("branch", "a", required_field="y", branching_logic="[x] = '1'"),
        field("free", "a"),
    )
    names = ("x", "a_complete", "box___1", "box___2", "branch", "free")
    wide = [(*row, None, None) for row in rows]
    table = pa.table(
        {
            name: pa.array([row[number] for row in wide], pa.string())
            for number, name in enumerate(names)
        }
    )
    expected = {
        "x": sum(done == "2" and x is None for x, done, _, _ in rows),
        "box": sum(done == "2" and "1" not in ticked for _, done, *ticked in rows),
    }
    assert count_blank_required(table, "a", project) == {
        name: n for name, n in expected.items() if n
    }
    hidden = count_blank_required(table, "a", project, hidden=["x", "box___1", "box___2"])
    assert hidden == {}


@given(st.lists(st.none() | st.sampled_from("abc"), max_size=30))
def test_a_profile_counts_as_python_does(values: list[str | None]) -> None:
    column = pa.chunked_array([values[:4], values[4:]], pa.string())
    choice = pa.chunked_array([chunk.dictionary_encode() for chunk in column.chunks])
    table = pa.table({"text": column, "choice": choice, "list": [[]] * len(values)})
    found = profile(table)
    there = [value for value in values if value is not None]
    assert found.missing == {
        "text": len(values) - len(there),
        "choice": len(values) - len(there),
        "list": 0,
    }
    expected = {} if len(there) < MIN_ROWS else dict.fromkeys(("text", "choice"), len({*there}))
    assert found.distinct == expected


@pytest.mark.parametrize(
    ("rules", "merged"),
    [
        (CleaningRules(), {"sex": 2}),
        (CleaningRules(checkboxes="lists"), {"sex": 2, "race": 2}),
        (CleaningRules(labels="both", checkboxes="lists"), {}),
        (CleaningRules(labels="codes", checkboxes="lists"), {}),
        (CleaningRules(types={"sex": "text"}), {}),
    ],
)
def test_codes_in_the_records_that_share_a_label(
    rules: CleaningRules, merged: dict[str, int]
) -> None:
    """Of `hiv` only one of the two codes with one label occurs, so that nothing is merged."""
    project = REDCapProject.from_exports(
        metadata=[
            field("id", "f"),
            field("sex", "f", type="radio", choices="0, Female | 1, Male | 9, Male | 8, Male"),
            field("hiv", "f", type="dropdown", choices="0, No | 1, No"),
            field("race", "f", type="checkbox", choices="1, A | 2, A | 3, A"),
        ]
    )
    records = pa.table(
        {
            "id": ["1", "2"],
            "sex": ["1", "9"],
            "hiv": ["1", None],
            "race___1": ["1", "0"],
            "race___2": ["0", "1"],
            "race___3": ["0", "0"],
            "f_complete": ["2", "2"],
        }
    )
    assert count_merged_codes(records, "f", project, rules) == merged
