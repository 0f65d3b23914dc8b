"""A value as the text that a field takes, and whether a stored text is that value already.

Values come from data frames, Arrow and Python. The validation of the field, not the type of the
value, says how it is written: 22.0 is ``22.0`` with one decimal, and nine minutes and five seconds
are ``09:05`` in a field of minutes and seconds.
"""

import re
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from redcap_dagster.project.validations import (
    NO_VALIDATION,
    VALIDATIONS,
    Validation,
    read_value,
)

Value = str | bool | int | float | np.floating[Any] | Decimal | date | time | tuple[str, ...] | None
"""A value of import data; None is a blank, and a tuple lists the ticked options of a checkbox."""

_ZERO: Final = time()
_MOST_DIGITS: Final = 1000
_EXACT: Final = Context(prec=3 * _MOST_DIGITS)  # more digits than any float has
_ROUNDING_STEPS: Final = 4


class UnwritableValueError(ValueError):
    """A field cannot store a value as it is: it would lose decimals, seconds or a time of day."""


# -- from data ------------------------------------------------------------------------------------


def read_scalar(name: str, value: Any) -> Value:
    """Return a value of import data as a plain value. Floats of 16 and 32 bits stay NumPy's.

    Args:
        name: The column, for the error.
        value: The value: a text, or a scalar of Python, NumPy, pandas or Arrow.

    Raises:
        TypeError: It is of another type, or has a time zone.

    Example:
        >>> read_scalar("age", pa.scalar(7)), read_scalar("age", pd.NA)
        (7, None)
    """
    if isinstance(value, pa.Scalar):
        is_short = pa.types.is_floating(value.type) and value.is_valid
        value = value.type.to_pandas_dtype()(value.as_py()) if is_short else value.as_py()
    match value:
        case None:
            return None
        case str() | bool():
            return value
        case _ if pd.api.types.is_scalar(value) and pd.isna(value):
            return None
        case np.datetime64():
            return read_scalar(name, pd.Timestamp(value))
        case np.timedelta64():
            return read_scalar(name, pd.Timedelta(value))
        case pd.Timedelta() if not value.nanoseconds:
            return read_scalar(name, value.to_pytimedelta())
        case np.bool_() | np.integer() | np.float64():
            plain: Value = value.item()
            return plain
        case int() | float() | np.floating() | Decimal():
            return value
        case datetime() | time() if value.tzinfo is None:
            return value
        case date() if not isinstance(value, datetime):
            return value
        case list() | tuple() | np.ndarray() if all(isinstance(item, str) for item in value):
            return tuple(value)
        case timedelta() if type(value) is timedelta and timedelta() <= value < timedelta(days=1):
            return (datetime(1970, 1, 1) + value).time()  # noqa: DTZ001
        case datetime() | time():
            raise TypeError(
                f"data: values of {name} have a time zone, which REDCap does not store. Convert "
                "them to the time zone of the study, and drop it; in pandas, with "
                ".dt.tz_convert('Europe/Berlin').dt.tz_localize(None)."
            )
    raise TypeError(f"data: a value of {name} is of type {type(value).__name__}. Give it as text.")


# -- to text --------------------------------------------------------------------------------------


def write_value(value: Value, validation: Validation = NO_VALIDATION, stored: str = "") -> str:
    """Return a value as the text of a field with a validation. Texts are returned as they are.

    Args:
        value: The value.
        validation: The field's validation. Defaults to none.
        stored: The text that it replaces, whose notation it takes where the validation does not
            say one. Defaults to none.

    Raises:
        TypeError: The value is a list.
        UnwritableValueError: The field cannot store the value as it is.

    Example:
        >>> write_value(22.0), write_value(22.0, VALIDATIONS["number_1dp_comma_decimal"])
        ('22', '22,0')
        >>> write_value(time(0, 9, 5)), write_value(time(0, 9, 5), VALIDATIONS["time_mm_ss"])
        ('00:09:05', '09:05')
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case datetime():
            return _write_moment(value, validation, stored)
        case date():
            if validation.kind not in ("date", "text"):
                raise UnwritableValueError
            return value.isoformat()
        case time():
            if validation.kind not in ("time", "text"):
                raise UnwritableValueError
            return _write_time(value, validation.clock, stored)
        case bool() | int() | Decimal() | float() | np.floating():
            return _write_number(value, validation, stored)
    raise TypeError("data: only a checkbox field takes a list. Give its items as text.")


def _write_number(
    value: int | float | np.floating[Any] | Decimal, validation: Validation, stored: str
) -> str:
    if validation.kind not in ("integer", "number", "text"):
        raise UnwritableValueError
    rounding, number = Decimal(), Decimal(value if isinstance(value, int | Decimal) else str(value))
    if not number.is_finite():
        raise UnwritableValueError
    if isinstance(value, float | np.floating):
        # Its text has the fewest digits that make this float: 0.1 also for one of 32 bits.
        rounding = _ROUNDING_STEPS * abs(Decimal(str(np.spacing(value))))
    decimals = 0 if validation.kind == "integer" else validation.decimals
    if abs(number.adjusted()) > _MOST_DIGITS:  # as digits, it might not fit in memory
        if decimals is not None:
            raise UnwritableValueError
        return str(number).replace(".", "," if validation.comma else ".")
    fixed = re.fullmatch(r"-?\d+\.(\d*0)", stored, re.ASCII) if validation.kind == "text" else None
    if fixed:  # 4.50 becomes 5.00, as in a column whose numbers all have two decimals
        decimals = max(len(fixed[1]), -int(number.as_tuple().exponent))
    whole = number.to_integral_value(context=_EXACT)
    if decimals is not None:
        rounded = number.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)
        if abs(rounded - number) > rounding:
            raise UnwritableValueError
        number = rounded
    elif number == whole:
        number = whole
    text = f"{number if number else abs(number):f}"
    return text.replace(".", ",") if validation.comma else text


def _write_moment(value: datetime, validation: Validation, stored: str) -> str:
    if getattr(value, "nanosecond", 0):
        raise UnwritableValueError
    day, clock = value.date(), value.time()
    is_day = re.fullmatch(r"\d{4}-\d\d-\d\d", stored, re.ASCII) is not None
    if validation.kind == "date" or (validation.kind == "text" and is_day and clock == _ZERO):
        if clock != _ZERO:
            raise UnwritableValueError
        return day.isoformat()
    if validation.kind not in ("datetime", "text"):
        raise UnwritableValueError
    return f"{day.isoformat()} {_write_time(clock, validation.clock, stored)}"


def _write_time(value: time, clock: str, stored: str) -> str:
    if not clock:
        is_short = not (value.second or value.microsecond or stored.count(":") == 2)
        return f"{value:%H:%M}" if is_short else value.isoformat()
    lost = value.microsecond or (value.second and "S" not in clock)
    if lost or (value.hour and "H" not in clock):
        raise UnwritableValueError
    return value.strftime(":".join(f"%{part}" for part in clock.split(":")))


# -- compared with a stored text ------------------------------------------------------------------


def has_value(stored: str, value: Value, validation: Validation = NO_VALIDATION) -> bool:
    """Return whether a stored text has a value already, by the validation of its field.

    ``07``, ``7.`` and ``7.0`` have the value 7, and ``6:23`` that of 06:23. A float is compared in
    its own precision: a text of 17 digits has the value of the float that it was read as.

    Args:
        stored: The text.
        value: The value.
        validation: The field's validation. Defaults to none: then the type of the value says how
            the text is read, and a text is compared as it is.

    Example:
        >>> has_value("07", 7), has_value("07", "7"), has_value("07", "7", VALIDATIONS["integer"])
        (True, False, True)
    """
    if value is None or stored == "" or stored == value:
        return stored == (value or "")
    if isinstance(value, str):
        given = read_value(value, validation)
        return given is not None and given == read_value(stored, validation)
    if isinstance(value, datetime):
        return _has_moment(stored, value, validation)
    if validation.kind == "text":
        validation = VALIDATIONS[_get_own_validation(value)]
    found = read_value(stored, validation)
    if isinstance(value, float | np.floating) and isinstance(found, Decimal):
        with np.errstate(over="ignore"):
            return bool(type(value)(str(found)) == value)
    return found == value


def _get_own_validation(value: Value) -> str:
    if isinstance(value, date):
        return "date_ymd"
    return "time" if isinstance(value, time) else "number"


def _has_moment(stored: str, value: datetime, validation: Validation) -> bool:
    if validation.kind == "text":
        return any(
            _has_moment(stored, value, VALIDATIONS[name]) for name in ("datetime_ymd", "date_ymd")
        )
    found = read_value(stored, validation)
    if validation.kind == "date" and found is not None and value.time() == _ZERO:
        return found == value.date()
    return isinstance(found, datetime) and bool(found == value)
