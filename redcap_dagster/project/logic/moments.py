"""Dates, times of day and the clock, as moments that can be compared and subtracted."""

import re
from datetime import datetime, timedelta
from typing import Final

from redcap_dagster.project.logic.values import Facts, Known, MissingCode, to_text

Moment = datetime | timedelta
"""A date with its time, or a time of day: what passed since midnight."""

_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
_TIME: Final = re.compile(_CLOCK, re.ASCII)
_DATES: Final = {
    order: re.compile(rf"{day}(?:[ T]{_CLOCK})?", re.ASCII)
    for order, day in {
        "ymd": r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})",
        "mdy": r"(?P<m>\d{1,2})[-/](?P<d>\d{1,2})[-/](?P<y>\d{4})",
        "dmy": r"(?P<d>\d{1,2})[-/](?P<m>\d{1,2})[-/](?P<y>\d{4})",
    }.items()
}
ORDERS: Final = tuple(_DATES)
"""The orders of the parts of a date, as datediff names them."""

_CLOCK_WORDS: Final = ("today", "now")


def read_date(text: str, order: str = "ymd") -> datetime | None:
    """Return the date of a text, at midnight if it does not have a time; None if it has no date.

    Args:
        text: The text.
        order: Order of its parts. Defaults to ``ymd``, the order of all exported values.

    Example:
        >>> read_date("12/31/2020", "mdy"), read_date("2020-02-30")
        (datetime.datetime(2020, 12, 31, 0, 0), None)
    """
    found = _DATES[order].fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (
        int(found[part] or 0) for part in ("y", "m", "d", "hour", "minute", "second")
    )
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:  # such as the 30th of February
        return None


def read_moment(value: Known) -> Moment | None:
    """Return the date or the time of day of a value, None if it has none.

    Minutes and seconds, as ``45:30``, are in order among themselves as hours and minutes are.
    """
    if not isinstance(value, str) or isinstance(value, MissingCode) or not value[:1].isdigit():
        return None
    clock = _TIME.fullmatch(value)
    if clock is None:
        return read_date(value)
    hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds) if hours < 60 else None


def may_be_date(value: Known) -> bool:
    """Return whether a value may be a date in another notation than the stored one."""
    if not isinstance(value, str):
        return False
    return value.lower() in _CLOCK_WORDS or any(read_date(value, order) for order in ORDERS)


def read_argument(facts: Facts, value: Known, order: str = "ymd") -> Moment | None:
    """Return the moment of a function's argument, None if it has none or is not known.

    Args:
        facts: Facts, for ``today`` and ``now``.
        value: Value of the argument: a stored date, or a literal.
        order: Order of the parts of a literal. Defaults to ``ymd``.
    """
    text = to_text(value)
    if text.lower() in _CLOCK_WORDS:
        if facts.now is None:
            return None
        now = facts.now.replace(tzinfo=None, microsecond=0)
        return now if text.lower() == "now" else now.replace(hour=0, minute=0, second=0)
    # Whatever a field shows, its value is stored as ymd.
    moment = read_moment(value)
    return read_date(text, order) if moment is None else moment
