"""The functions of dates. They take stored dates, literals, and ``today`` and ``now``."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from redcap_dagster.project.logic.moments import ORDERS, Moment, read_argument
from redcap_dagster.project.logic.values import UNKNOWN, Facts, Known, Value, to_number, to_text

_SECONDS: Final = {
    "y": Decimal("31556952"),  # 365.2425 days
    "M": Decimal("2630016"),  # 30.44 days
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
}
_NOON: Final = 12
_SIGNED: Final = {"": False, "0": False, "false": False, "1": True, "true": True}


def subtract_dates(facts: Facts, values: Sequence[Known]) -> Value:
    """Return the time between two dates or times of day, as ``datediff`` does.

    After the unit stand, in any order, the format of literals (by default ymd) and whether the
    result has a sign: it is negative if the second date is earlier.
    """
    if "" in values[:2]:
        return ""
    unit, *options = map(to_text, values[2:])
    orders = [option for option in options if option in ORDERS]
    signs = [_SIGNED.get(option.lower()) for option in options if option not in ORDERS]
    if unit not in _SECONDS or len(orders) > 1 or len(signs) > 1 or None in signs:
        return UNKNOWN
    first, second = (read_argument(facts, value, *orders) for value in values[:2])
    between = _subtract(first, second)
    if between is None:
        return UNKNOWN
    seconds = Decimal(between.days) * 86400 + between.seconds
    return (seconds if any(signs) else abs(seconds)) / _SECONDS[unit]


def _subtract(first: Moment | None, second: Moment | None) -> timedelta | None:
    if isinstance(first, datetime) and isinstance(second, datetime):
        return second - first
    if isinstance(first, timedelta) and isinstance(second, timedelta):
        return second - first
    return None  # of a date and a time of day, or not known


def shift_date(facts: Facts, values: Sequence[Known]) -> Value:
    """Return a date that is so many units after another one, as ``@CALCDATE`` does.

    After the unit stands the clock of the result, as in `Validation`: blank for a date. `UNKNOWN`
    without one. A part of a day is cut off: `UNKNOWN` if it is half a day or more, as servers may
    round it.
    """
    if "" in values[:2]:
        return ""
    start, number = read_argument(facts, values[0]), to_number(values[1])
    unit, *clocks = map(to_text, values[2:])
    if not isinstance(start, datetime) or number is None or unit not in _SECONDS or not clocks:
        return UNKNOWN
    try:
        shifted = start + timedelta(seconds=float(number * _SECONDS[unit]))
    except (ArithmeticError, ValueError):
        return UNKNOWN
    if clocks[0]:
        seconds = ":%S" if clocks[0] == "H:M:S" else ""
        return f"{shifted:%Y-%m-%d %H:%M{seconds}}"
    return f"{shifted:%Y-%m-%d}" if shifted.hour < _NOON else UNKNOWN


def get_age(facts: Facts, values: Sequence[Known]) -> Value:
    """Return the whole years of age at a date, as ``age_at_date`` does.

    `UNKNOWN` before birth, and with decimals: how they are counted is not documented.
    """
    if "" in values[:2]:
        return ""
    born, at = (read_argument(facts, value) for value in values[:2])
    decimals = _SIGNED.get(to_text(values[2]).lower()) if len(values) > 2 else False
    if not isinstance(born, datetime) or not isinstance(at, datetime) or decimals is not False:
        return UNKNOWN
    if at.date() < born.date():
        return UNKNOWN
    return Decimal(at.year - born.year - ((at.month, at.day) < (born.month, born.day)))


def get_day_of_week(facts: Facts, values: Sequence[Known]) -> Value:
    """Return the day of the week of a date; Monday is 1, Sunday 7."""
    return _read_date(facts, values[0], datetime.isoweekday)


def make_part_reader(
    part: Literal["year", "month", "day"],
) -> Callable[[Facts, Sequence[Known]], Value]:
    """Return a function that returns a part of a date as a number."""
    return lambda facts, values: _read_date(facts, values[0], lambda date: getattr(date, part))


def _read_date(facts: Facts, value: Known, read: Callable[[datetime], int]) -> Value:
    if value == "":
        return ""
    date = read_argument(facts, value)
    return Decimal(read(date)) if isinstance(date, datetime) else UNKNOWN
