"""The validations of text fields: the values that REDCap accepts, their kind and their notation.

One table for the clean tables, the import of records and the sandbox. The patterns match the values
that a server accepts and exports; they are valid in `re` and in RE2. Dates are imported and
exported as ``Y-M-D``, whatever the display format (recorded from real servers). The patterns of
numbers, dates and times match values of real servers; those of other texts are guesses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "integer", "number", "date", "datetime", "time"]


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation of a text field.

    Attributes:
        kind: Kind of value.
        pattern: Regular expression that a whole value matches.
        decimals: Number of decimals that a value must have; None for any.
        comma: Whether the decimal character is a comma.
        clock: Parts of a time of day: ``H:M``, ``H:M:S`` or ``M:S``; blank without a time.
    """

    kind: Kind
    pattern: str
    decimals: int | None = None
    comma: bool = False
    clock: Literal["", "H:M", "H:M:S", "M:S"] = ""


_HOURS: Final = r"(?:[01]?\d|2[0-3])"
_MINUTES: Final = r"[0-5]\d"
_DAY: Final = r"\d{4}-\d{2}-\d{2}"


def _build_number_pattern(point: str) -> str:
    """Return a pattern of numbers with a decimal character."""
    return rf"[-+]?(?:\d+{point}?\d*|{point}\d+)(?:[eE][-+]?\d+)?"


_DATED: Final[Mapping[str, Validation]] = {
    "date": Validation("date", _DAY),
    "datetime": Validation("datetime", rf"{_DAY} {_HOURS}:{_MINUTES}", clock="H:M"),
    "datetime_seconds": Validation(
        "datetime", rf"{_DAY} {_HOURS}:{_MINUTES}:{_MINUTES}", clock="H:M:S"
    ),
}

VALIDATIONS: Final[Mapping[str, Validation]] = {
    "integer": Validation("integer", r"[-+]?\d+"),
    "int": Validation("integer", r"[-+]?\d+"),  # the name in project XML
    "number": Validation("number", _build_number_pattern(r"\.")),
    "float": Validation("number", _build_number_pattern(r"\.")),  # the name in project XML
    "number_comma_decimal": Validation("number", _build_number_pattern(","), comma=True),
    **{f"number_{n}dp": Validation("number", rf"-?\d+\.\d{{{n}}}", n) for n in range(1, 5)},
    **{
        f"number_{n}dp_comma_decimal": Validation("number", rf"-?\d+,\d{{{n}}}", n, comma=True)
        for n in range(1, 5)
    },
    **{
        f"{name}_{order}": validation
        for name, validation in _DATED.items()
        for order in ("ymd", "mdy", "dmy")
    },
    "time": Validation("time", rf"{_HOURS}:{_MINUTES}", clock="H:M"),
    "time_hh_mm_ss": Validation("time", rf"{_HOURS}:{_MINUTES}:{_MINUTES}", clock="H:M:S"),
    "time_mm_ss": Validation("time", rf"{_MINUTES}:{_MINUTES}", clock="M:S"),
    "email": Validation("text", r"[^@\s]+@[^@\s]+\.[^@\s.]+"),
    "alpha_only": Validation("text", r"[a-zA-Z]+"),
    "zipcode": Validation("text", r"\d{5}(?:-\d{4})?"),
    "ssn": Validation("text", r"\d{3}-\d{2}-\d{4}"),
    "mrn_10d": Validation("text", r"\d{10}"),
    "mrn_generic": Validation("text", r"[a-zA-Z0-9_-]+"),
    "phone": Validation("text", r"[-+0-9(). x]*\d{3}[-. ]?\d{4}.*"),
    "postalcode_australia": Validation("text", r"\d{4}"),
    "postalcode_germany": Validation("text", r"\d{5}"),
    "postalcode_french": Validation("text", r"\d{5}"),
}
"""The validations by their name in the data dictionary. Servers may have more of their own."""
