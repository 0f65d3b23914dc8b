"""Values as the text of a field, by its validation and not by their type."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.api.calls.import_data import read_rows
from redcap_dagster.api.calls.written_values import (
    UnwritableValueError,
    has_value,
    read_scalar,
    write_value,
)
from redcap_dagster.project.validations import NO_VALIDATION, VALIDATIONS, read_value

DAY, NOON = date(2024, 3, 2), datetime(2024, 3, 2, 12, 5)  # noqa: DTZ001
MIDNIGHT = datetime(2024, 3, 2)  # noqa: DTZ001
TYPED = sorted(name for name, one in VALIDATIONS.items() if one.kind != "text")


@pytest.mark.parametrize(
    ("validation", "value", "text"),
    [
        ("integer", 22.0, "22"),
        ("integer", True, "1"),
        ("integer", pa.scalar(2**63 - 1), "9223372036854775807"),
        ("number", 22.0, "22"),
        ("number", np.float32(0.1), "0.1"),
        ("number", np.float16(0.1), "0.1"),
        ("number", pa.scalar(0.1, pa.float32()), "0.1"),
        ("number", 1e-7, "0.0000001"),
        ("number", Decimal("1.50"), "1.50"),
        ("number", -0.0, "0"),
        ("number", Decimal("1e9999999"), "1E+9999999"),
        ("number_1dp", 22, "22.0"),
        ("number_1dp", 22.0, "22.0"),
        ("number_1dp", 0.1 + 0.2, "0.3"),
        ("number_2dp", np.float32(0.1) * np.float32(3), "0.30"),
        ("number_2dp", Decimal("1.5"), "1.50"),
        ("number_comma_decimal", 1.54, "1,54"),
        ("number_1dp_comma_decimal", 22, "22,0"),
        ("date_dmy", DAY, "2024-03-02"),
        ("date_dmy", MIDNIGHT, "2024-03-02"),
        ("date_mdy", pd.Timestamp(DAY), "2024-03-02"),
        ("date_ymd", np.datetime64("2024-03-02"), "2024-03-02"),
        ("date_ymd", date(33, 1, 2), "0033-01-02"),
        ("datetime_mdy", NOON, "2024-03-02 12:05"),
        ("datetime_ymd", pd.Timestamp(DAY), "2024-03-02 00:00"),
        ("datetime_seconds_dmy", NOON, "2024-03-02 12:05:00"),
        ("time", time(9, 5), "09:05"),
        ("time_hh_mm_ss", time(9, 5), "09:05:00"),
        ("time_mm_ss", time(0, 9, 5), "09:05"),
        ("time_mm_ss", timedelta(minutes=9, seconds=5), "09:05"),
        ("time", np.timedelta64(545, "m"), "09:05"),
        ("", 22.0, "22"),
        ("", True, "1"),
        ("", time(9, 5, 30), "09:05:30"),
        ("", time(9, 5), "09:05"),
        ("", NOON, "2024-03-02 12:05"),
        ("", DAY, "2024-03-02"),
        ("zipcode", "01234", "01234"),
        ("number", pd.NA, ""),
        ("number", float("nan"), ""),
        ("number", pa.scalar(None, pa.float32()), ""),
        ("date_ymd", pd.NaT, ""),
        ("number_1dp", "22", "22"),  # people's texts are sent as they are
    ],
)
def test_the_validation_says_how_a_value_is_written(validation: str, value: Any, text: str) -> None:
    rules = VALIDATIONS.get(validation, NO_VALIDATION)

    assert write_value(read_scalar("x", value), rules) == text


@pytest.mark.parametrize(
    ("validation", "value"),
    [
        ("integer", 22.5),
        ("integer", DAY),
        ("number", float("inf")),
        ("number_1dp", 22.25),
        ("number_1dp", Decimal("1e9999999")),
        ("number_1dp", Decimal("0.30000000000000004")),
        ("date_ymd", NOON),
        ("datetime_ymd", DAY),
        ("datetime_ymd", NOON.replace(second=1)),
        ("datetime_seconds_ymd", pd.Timestamp(1)),
        ("time", time(9, 5, 1)),
        ("time_mm_ss", time(9, 5)),
        ("time_hh_mm_ss", time(9, 5, 0, 1)),
        ("time", NOON),
        ("date_ymd", 20240302),
    ],
)
def test_a_value_that_would_lose_something_is_not_written(validation: str, value: Any) -> None:
    with pytest.raises(UnwritableValueError):
        write_value(value, VALIDATIONS[validation])


@pytest.mark.parametrize(
    ("value", "stored", "text"),
    [
        (5, "4.50", "5.00"),
        (5.125, "4.50", "5.125"),
        (5.0, "4.5", "5"),
        (time(9), "08:00:00", "09:00:00"),
        (MIDNIGHT, "2024-03-01", "2024-03-02"),
        (MIDNIGHT, "2024-03-01 10:00", "2024-03-02 00:00"),
    ],
)
def test_a_text_without_validation_keeps_its_notation(value: Any, stored: str, text: str) -> None:
    assert write_value(value, stored=stored) == text


def texts(validation: str) -> st.SearchStrategy[str]:
    """Texts that a validation takes: dates of the calendar, exponents of up to two digits."""
    rules = VALIDATIONS[validation]
    if rules.kind not in ("date", "datetime"):
        pattern = rules.pattern.replace(r"[eE][-+]?\d+", r"[eE][-+]?\d{1,2}")
        printable = st.characters(min_codepoint=32, max_codepoint=126)
        return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True, alphabet=printable)
    clock = {"": "", "H:M": " %H:%M", "H:M:S": " %H:%M:%S"}[rules.clock]
    return st.datetimes().map(lambda one: f"{one.date().isoformat()}{one.strftime(clock)}")


@settings(max_examples=300)
@given(st.sampled_from(TYPED).flatmap(lambda name: st.tuples(st.just(name), texts(name))))
def test_a_value_that_was_read_is_written_in_the_form_of_its_validation(
    example: tuple[str, str],
) -> None:
    name, text = example
    rules = VALIDATIONS[name]
    value = read_value(text, rules)
    assert value is not None

    written = write_value(value, rules)

    assert has_value(text, value, rules)
    assert re.fullmatch(rules.pattern, written, re.ASCII)
    assert read_value(written, rules) == value
    assert has_value(text, written, rules)


@pytest.mark.parametrize(
    ("stored", "value", "validation", "same"),
    [
        ("07", 7, "integer", True),
        ("07", 7.0, "integer", True),
        ("07", "7", "integer", True),
        ("07", "7", "", False),
        ("07", 7, "zipcode", True),
        ("99.", 99, "number", True),
        ("6:23", time(6, 23), "time", True),
        ("6:23", "06:23", "time", True),
        ("6:23", "06:23", "", False),
        ("1,54", 1.54, "number_comma_decimal", True),
        ("1,54", "1.54", "number_comma_decimal", True),
        ("09:05", time(9, 5), "time_mm_ss", False),
        ("9007199254740993", 9007199254740992.0, "integer", True),  # as a float holds it
        ("9007199254740993", 9007199254740992, "integer", False),
        ("12.3456789", np.float32(12.3456789), "number", True),
        ("345.10", 345.1, "", True),
        ("2024-03-02", pd.Timestamp(DAY), "date_mdy", True),
        ("2024-03-02", pd.Timestamp(DAY), "", True),
        ("2024-03-02 00:00", DAY, "datetime_ymd", False),
        ("2024-03-02 12:05", NOON, "datetime_ymd", True),
        ("not known", 7, "number", False),
        ("", None, "number", True),
        ("7", None, "number", False),
        ("1e999999999", 5, "number", False),
        ("1e99999999999999999999", 5, "number", False),
    ],
)
def test_a_stored_text_has_a_value(stored: str, value: Any, validation: str, same: bool) -> None:
    rules = VALIDATIONS.get(validation, NO_VALIDATION)

    assert has_value(stored, value, rules) is same


def test_floats_of_a_frame_keep_their_width() -> None:
    short = pa.array([0.1, None], pa.float32())
    frame = pd.DataFrame(
        {
            "numpy": short.to_numpy(zero_copy_only=False),
            "pandas": pd.Series([0.1, None], dtype="Float32"),
            "arrow": pd.Series([0.1, None], dtype=pd.ArrowDtype(pa.float32())),
        }
    )

    for data in (frame, pa.table({"arrow": short})):
        first, second = read_rows(data).rows
        assert {write_value(value) for value in first.values()} == {"0.1"}
        assert set(second.values()) == {None}


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"at": pd.to_datetime(["2024-07-01 12:00"]).tz_localize("Europe/Berlin")}),
        pa.table({"at": pa.array([NOON], pa.timestamp("us", "UTC"))}),
        [{"at": NOON.replace(tzinfo=UTC)}],
        [{"at": NOON.replace(tzinfo=UTC).timetz()}],
    ],
)
def test_a_moment_with_a_time_zone_is_refused_with_the_way_out(data: Any) -> None:
    with pytest.raises(TypeError, match=r"values of at have a time zone.*tz_localize\(None\)"):
        read_rows(data)


def test_the_way_out_of_a_time_zone_gives_the_local_time() -> None:
    at = pd.Series(pd.to_datetime(["2024-07-01 12:00"]).tz_localize("UTC"))
    local = pd.DataFrame({"at": at.dt.tz_convert("Europe/Berlin").dt.tz_localize(None)})
    row = read_rows(local).rows[0]
    assert write_value(row["at"], VALIDATIONS["datetime_dmy"]) == "2024-07-01 14:00"
