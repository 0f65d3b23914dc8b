"""The dates of a record import, in the order that the import names."""

import re
from datetime import date
from typing import Final

_YEAR_LAST: Final = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})(.*)", re.ASCII)
_YEAR_FIRST: Final = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})((?!\d).*)", re.ASCII)


def put_year_first(value: str, date_format: str) -> str:
    """Return a date in the order year, month, day; any other text as it is.

    Args:
        value: The text.
        date_format: The order of its day, month and year: ``YMD``, ``MDY`` or ``DMY``.

    Example:
        >>> put_year_first("31/1/2024 10:20", "DMY")
        '2024-01-31 10:20'
    """
    if found := _YEAR_FIRST.fullmatch(value):
        year, month, day, rest = found.groups()
    elif date_format != "YMD" and (found := _YEAR_LAST.fullmatch(value)):
        month, day, year, rest = found.groups()
        if date_format == "DMY":
            day, month = month, day
    else:
        return value
    return f"{year}-{month:0>2}-{day:0>2}{rest}"


def is_date(value: str, date_format: str) -> bool:
    """Return whether a text begins with a date of the calendar. The server checks the time.

    Guess: no server takes years of two digits.

    Example:
        >>> is_date("2024-02-29 10:20", "YMD"), is_date("2023-02-29", "YMD")
        (True, False)
    """
    found = _YEAR_FIRST.match(put_year_first(value, date_format))
    try:
        return found is not None and bool(date(*map(int, found.group(1, 2, 3))))
    except ValueError:
        return False
