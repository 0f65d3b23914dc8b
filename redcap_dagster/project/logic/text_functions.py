"""The functions of texts. Capital letters do not matter when a text is searched.

Where a text is cut by something that is not a count of characters, or a blank is searched,
JavaScript and PHP differ: the result is `UNKNOWN`.
"""

import re
from decimal import Decimal
from typing import Final

from redcap_dagster.project.logic.values import UNKNOWN, Unknown, to_number

_LONGEST: Final = 1_000_000


def is_integer(text: str) -> bool:
    """Return whether a text is a whole number without decimals."""
    return re.fullmatch(r"[-+]?[0-9]+", text) is not None


def contains(text: str, part: str) -> bool | Unknown:
    """Return whether a text contains a part."""
    return part.lower() in text.lower() if part else UNKNOWN


def does_not_contain(text: str, part: str) -> bool | Unknown:
    """Return whether a text does not contain a part."""
    return part.lower() not in text.lower() if part else UNKNOWN


def starts_with(text: str, part: str) -> bool | Unknown:
    """Return whether a text starts with a part."""
    return text.lower().startswith(part.lower()) if part else UNKNOWN


def ends_with(text: str, part: str) -> bool | Unknown:
    """Return whether a text ends with a part."""
    return text.lower().endswith(part.lower()) if part else UNKNOWN


def find_part(part: str, text: str) -> Decimal | Unknown:
    """Return the position of a part in a text from 1, or 0 if the text does not contain it."""
    return Decimal(text.lower().find(part.lower()) + 1) if part else UNKNOWN


def take_left(text: str, count: str) -> str | Unknown:
    """Return the first characters of a text."""
    number = _read_count(count)
    return UNKNOWN if number is None else text[:number]


def take_right(text: str, count: str) -> str | Unknown:
    """Return the last characters of a text; `UNKNOWN` of none."""
    number = _read_count(count)
    return text[-number:] if number else UNKNOWN


def take_middle(text: str, start: str, count: str) -> str | Unknown:
    """Return some characters of a text; the first is at position 1."""
    first, number = _read_count(start), _read_count(count)
    if not first or number is None:
        return UNKNOWN
    return text[first - 1 : first - 1 + number]


def _read_count(text: str) -> int | None:
    """Return the number of characters that a text names, or None if it is not such a number."""
    number = to_number(text)
    if number is None or number < 0 or number != number.to_integral_value():
        return None
    return int(min(number, Decimal(_LONGEST)))


def replace_part(text: str, old: str, new: str) -> str | Unknown:
    """Return a text with another part; `UNKNOWN` if it is too long for a field."""
    if not old or len(text) + text.count(old) * len(new) > _LONGEST:
        return UNKNOWN
    return text.replace(old, new)
