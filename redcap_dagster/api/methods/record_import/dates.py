"""The dates of a record import, in the order that the import names."""

import re
from datetime import date
from typing import Final

_DAY_LAST: Final = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})(.*)", re.ASCII)
_YEAR_FIRST: Final = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?!\d)", re.ASCII)


def put_year_first(value: str, date_format: str) -> str:
    """Return a date in the order year, month, day; any other text as it is.

    Args:
        value: The text.
        date_format: The order of its day, month and year: ``YMD``, ``MDY`` or ``DMY``.

    Example:
        >>> put_year_first("31/1/2024 10:20", "DMY")
        '2024-01-31 10:20'
    """
    found = _DAY_LAST.fullmatch(value)
    if found is None or date_format == "YMD":
        return value
    month, day = found.group(1, 2) if date_format == "MDY" else found.group(2, 1)
    return f"{found[3]}-{month:0>2}-{day:0>2}{found[4]}"


def is_date(value: str, date_format: str) -> bool:
    """Return whether a text begins with a date of the calendar. The server checks the time.

    Guess: no server takes years of two digits.

    Example:
        >>> is_date("2024-02-29 10:20", "YMD"), is_date("2023-02-29", "YMD")
        (True, False)
    """
    found = _YEAR_FIRST.match(put_year_first(value, date_format))
    try:
        return found is not None and bool(date(*map(int, found.groups())))
    except ValueError:
        return False
