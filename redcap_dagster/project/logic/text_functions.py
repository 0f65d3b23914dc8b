"""The functions of texts. Capital letters do not matter when a text is searched.

Where a text is cut by something that is not a count of characters, or a blank is searched,
JavaScript and PHP differ: the result is `UNKNOWN`. So is what depends on the capitals of letters
beyond A to Z, which PHP may not know.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from string import ascii_lowercase, ascii_uppercase
from typing import Final, TypeVar

from redcap_dagster.project.logic.values import UNKNOWN, Unknown, to_number

_Found = TypeVar("_Found", bool, Decimal)
_TO_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
_TO_UPPER: Final = str.maketrans(ascii_lowercase, ascii_uppercase)
_LONGEST: Final = 1_000_000


def is_integer(text: str) -> bool:
    """Return whether a text is a whole number without decimals."""
    return re.fullmatch(r"[-+]?[0-9]+", text) is not None


def contains(text: str, part: str) -> bool | Unknown:
    """Return whether a text contains a part."""
    return _search(lambda text, part: part in text, text, part)


def does_not_contain(text: str, part: str) -> bool | Unknown:
    """Return whether a text does not contain a part."""
    return _search(lambda text, part: part not in text, text, part)


def starts_with(text: str, part: str) -> bool | Unknown:
    """Return whether a text starts with a part."""
    return _search(str.startswith, text, part)


def ends_with(text: str, part: str) -> bool | Unknown:
    """Return whether a text ends with a part."""
    return _search(str.endswith, text, part)


def find_part(part: str, text: str) -> Decimal | Unknown:
    """Return the position of a part in a text from 1, or 0 if the text does not contain it."""
    return _search(lambda text, part: Decimal(text.find(part) + 1), text, part)


def _search(search: Callable[[str, str], _Found], text: str, part: str) -> _Found | Unknown:
    if not part:
        return UNKNOWN
    results = {search(lower(text), lower(part)) for lower in (str.lower, _lower_ascii)}
    return results.pop() if len(results) == 1 else UNKNOWN


def _lower_ascii(text: str) -> str:
    return text.translate(_TO_LOWER)


def to_upper(text: str) -> str | Unknown:
    """Return a text in capital letters."""
    return text.upper() if text.upper() == text.translate(_TO_UPPER) else UNKNOWN


def to_lower(text: str) -> str | Unknown:
    """Return a text in small letters."""
    return text.lower() if text.lower() == _lower_ascii(text) else UNKNOWN


def trim(text: str) -> str | Unknown:
    """Return a text without blanks around it; `UNKNOWN` if some are blanks in JavaScript only."""
    return text.strip() if text.strip() == text.strip(" \t\n\r\v") else UNKNOWN


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
