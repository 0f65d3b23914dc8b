"""Casting by the dictionary: against Python's own reading of the same text."""

import datetime as dt
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redcap_dagster.project import Field
from redcap_dagster.tables.cleaning.column_types import (
    DATE,
    DATETIME,
    DOUBLE,
    DOUBLE_COMMA,
    INTEGER,
    TEXT,
    TIME,
    TIME_MM_SS,
    cast_text,
    get_column_type,
)
from redcap_dagster.tables.cleaning.type_inference import infer_type


def _cast(values: list[str | None], kind: Any) -> list[Any]:
    column: pa.ChunkedArray = cast_text(pa.chunked_array([values], pa.string()), kind)
    assert column.type == kind.arrow
    values_cast: list[Any] = column.to_pylist()
    return values_cast


def _try(read: Callable[[str], Any], pattern: str) -> Callable[[str], Any]:
    def attempt(text: str) -> Any:
        if not re.fullmatch(pattern, text, re.ASCII):
            return None
        try:
            return read(text)
        except ValueError:
            return None

    return attempt


def _float(text: str) -> float | None:
    number = float(text.replace(",", "."))
    return number if math.isfinite(number) else None


_digits = st.text("0123456789", min_size=1, max_size=4)
_numbers = st.one_of(
    st.from_regex(r"-?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["", "0x10", "007", "NaN", "inf", "1_000", "١٢", "+5", "5.", "-", "1e999"]),
)
_dates = st.one_of(
    st.dates().map(str),
    st.builds("{:04d}-{:02d}-{:02d}".format, *[st.integers(0, n) for n in (9999, 13, 32)]),
    st.sampled_from(["1900-02-29", "2000-02-29", "2023-2-3", "0000-01-01", "2020-01-01 "]),
)
_times = st.builds(":".join, st.lists(_digits, min_size=1, max_size=3))


def _int64(text: str) -> int | None:
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


@given(_numbers)
@example("007")
@example("+0")
@example("-00012")
@example(str(2**63 - 1))
@example(str(2**63))
@example(str(-(2**63)))
@example(str(-(2**63) - 1))
@example("0" * 30 + "9" * 18)
def test_integer(text: str) -> None:
    assert _cast([text], INTEGER) == [_try(_int64, r"[-+]?\d+")(text)]


@given(_numbers)
@example("99.")
@example("99.e3")
@example("+1.5")
@example(".5")
@example("007.5")
def test_double(text: str) -> None:
    expected = _try(_float, r"[-+]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")(text)
    assert _cast([text], DOUBLE) == [expected]
    assert _cast([text.replace(".", ",")], DOUBLE_COMMA) == [expected]


@given(_dates)
def test_date(text: str) -> None:
    assert _cast([text], DATE) == [_try(dt.date.fromisoformat, r"\d{4}-\d\d-\d\d")(text)]


def _with_two_digits(time: str) -> str:
    return f"0{time}" if re.match(r"\d:", time) else time


@given(_dates, _times, st.sampled_from(" T_"))
def test_datetime(day: str, time: str, between: str) -> None:
    padded = _with_two_digits(time)
    read = _try(dt.datetime.fromisoformat, r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?")
    assert _cast([f"{day}{between}{time}"], DATETIME) == [read(f"{day}{between}{padded}")]


@given(_times)
def test_time(text: str) -> None:
    padded = _with_two_digits(text)
    assert _cast([text], TIME) == [_try(dt.time.fromisoformat, r"\d\d:\d\d(:\d\d)?")(padded)]
    minutes = _try(lambda t: dt.time.fromisoformat(f"00:{t}"), r"\d\d:\d\d")(text)
    assert _cast([text], TIME_MM_SS) == [minutes]


def test_nulls_stay_and_only_what_does_not_fit_is_lost() -> None:
    assert _cast(["1", None, "x", "2"], INTEGER) == [1, None, None, 2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", None], "integer"),
        (["0", None, "10"], "integer"),
        (["0", "00"], "text"),
        (["1", "2.5"], "double"),
        (["1.00", "2.50", "-0.75"], "double"),
        (["1", "2.50"], "text"),
        (["345.1", "345.10"], "text"),
        (["1", "1.0"], "text"),
        (["1.0", "10.00"], "text"),
        (["-0"], "text"),
        (["-0.0", "0.0"], "text"),
        (["0.10", "0.20", None], "double"),
        (["0.000000000000001"], "double"),
        (["123456789012345"], "integer"),
        (["1234567890123456"], "text"),
        (["12345678.90123456"], "text"),
        (["007"], "text"),
        (["1", "a"], "text"),
        (["1e5"], "text"),
        ([".5"], "text"),
        ([""], "text"),
        ([None, None], "text"),
        ([], "text"),
    ],
)
def test_inference(values: list[str | None], expected: str) -> None:
    assert infer_type(pa.chunked_array([values], pa.string())).kind.name == expected


@pytest.mark.parametrize(
    ("last", "expected"), [("7", "integer"), ("07", "text"), ("1" * 16, "text"), ("x", "text")]
)
def test_every_chunk_is_looked_at(last: str, expected: str) -> None:
    column = pa.chunked_array([["1"] * 100, [], [None, last]], pa.string())
    assert infer_type(column).kind.name == expected


@pytest.mark.parametrize(
    ("values", "merging"),
    [
        (["345.1", "345.10"], "double"),
        (["1", "1.0"], "double"),
        (["-0", "7"], "integer"),
        (["1.0", "2.0"], None),
        (["007", "12"], "integer"),
        (["12345678901234567", "2"], "integer"),
        (["1.2345678901234567", "2"], "double"),
        (["9" * 20, "2"], "double"),  # integers of 64 bits would be null
        (["1e999", "2"], None),
        (["+1", ".5"], "double"),
        (["a", "1.0", "1"], None),
    ],
)
def test_numbers_that_would_merge_texts_are_named(values: list[str], merging: str | None) -> None:
    inference = infer_type(pa.chunked_array([values]))
    assert (inference.merging and inference.merging.name) == merging


@given(st.lists(st.integers(-(10**15) + 1, 10**15 - 1).map(str), min_size=1))
def test_inferred_integers_are_exact(values: list[str]) -> None:
    column = pa.chunked_array([values], pa.string())
    kind = infer_type(column).kind
    assert kind is INTEGER
    assert cast_text(column, kind).to_pylist() == [int(value) for value in values]


@given(st.lists(st.from_regex(r"-?(0|[1-9]\d{0,5})(\.\d{1,5})?", fullmatch=True), min_size=1))
def test_inferred_numbers_give_every_text_back_and_merge_none(values: list[str]) -> None:
    column = pa.chunked_array([values], pa.string())
    kind = infer_type(column).kind
    if kind is TEXT:
        return
    cast = cast_text(column, kind).to_pylist()
    assert len(set(cast)) == len(set(values))
    decimals = {len(value.partition(".")[2]) for value in values}
    forms = [[format(number, f".{count}f") for number in cast] for count in decimals]
    forms.append([format(Decimal(repr(number)), "f").removesuffix(".0") for number in cast])
    assert values in forms


def test_unknown_validations_are_text() -> None:
    field = Field("f", "a", text_validation_type_or_show_slider_number="nhs_number")
    assert get_column_type(field).name == "text"
