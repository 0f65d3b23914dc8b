"""The values that logic has, and the facts that it is evaluated with."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final, NoReturn

from redcap_dagster.project.logic.tree import Reference, SmartVariable


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "cannot be said"

    def __bool__(self) -> NoReturn:
        """Refuse to be taken for false.

        Raises:
            TypeError: Always. Compare with ``is UNKNOWN``.
        """
        raise TypeError("UNKNOWN is neither true nor false: compare with `is UNKNOWN`.")


UNKNOWN: Final = Unknown.UNKNOWN
"""The value that cannot be said. It is not a blank, which is ``""``."""

Known = str | Decimal | bool
"""A text (a blank is ``""``), a number or a condition."""

Value = Known | Unknown
"""A known value, or `UNKNOWN`."""


class MissingCode(str):
    """A value that is a missing data code: a text for ``=``, but without order, and no number."""

    __slots__ = ()


class OtherDate(str):
    """A date or time that a form shows in another notation than the stored one, which it has."""

    __slots__ = ()


MOST_DIGITS: Final = 14
"""Most digits of a number that PHP shows (guess)."""

_LONGEST: Final = 60
_NUMBER: Final = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?\s*")


def _find_nothing(_: SmartVariable) -> Unknown:
    return UNKNOWN


@dataclass(frozen=True, slots=True)
class Facts:
    """What logic is evaluated with: the values of a row, and the time.

    Attributes:
        read_value: Function that returns the value of a reference: its text, with a decimal point
            whatever the field's decimal character; a blank; or `UNKNOWN`.
        read_smart_variable: Function that returns the value of a smart variable. Defaults to
            `UNKNOWN` for all.
        missing_codes: Missing data codes of the project. Defaults to none.
        now: Server's time. Defaults to None: ``today`` and ``now`` are `UNKNOWN`.
        other_dates: Fields whose dates a form shows as ``M-D-Y`` or ``D-M-Y``. Defaults to none.
    """

    read_value: Callable[[Reference], str | Unknown] = field(repr=False)
    read_smart_variable: Callable[[SmartVariable], Value] = field(default=_find_nothing, repr=False)
    missing_codes: frozenset[str] = frozenset()
    now: datetime | None = None
    other_dates: Collection[str] = ()


def to_number(value: Known) -> Decimal | None:
    """Return a value as a number, or None if it is not a number."""
    if isinstance(value, str):
        is_number = not isinstance(value, MissingCode) and _NUMBER.fullmatch(value)
        return Decimal(value) if is_number else None
    return Decimal(value)


def to_text(value: Known) -> str:
    """Return a value as text, numbers without trailing zeros."""
    match value:
        case bool():
            return str(int(value))
        case Decimal():
            text = f"{value:f}" if abs(value.adjusted()) < _LONGEST else str(value)
            return text.rstrip("0").rstrip(".") if "." in text and "E" not in text else text
    return value


def to_truth(value: Value) -> bool | Unknown:
    """Return a value as a condition, which is false for a blank and for zero.

    A missing data code is `UNKNOWN`, and so is a text such as ``0.0``, which is true in PHP and
    false as a number.
    """
    if value is UNKNOWN or isinstance(value, bool):
        return value
    if value in ("", "0"):
        return False
    if isinstance(value, MissingCode):
        return UNKNOWN
    number = to_number(value)
    if number is None or number != 0:
        return True
    return UNKNOWN if isinstance(value, str) else False
