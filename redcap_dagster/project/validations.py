"""The validations of text fields: the values that REDCap accepts, their kind and their notation.

One table for the clean tables, the import of records and the sandbox. The patterns match the values
that a server accepts and exports; they are valid in `re` and in RE2. Dates are imported and
exported as ``Y-M-D``, whatever the display format (recorded from real servers). The patterns of
numbers, dates and times match values of real servers. Those of other texts are not documented, only
examples are: each has a second pattern of what a server may accept, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from redcap_dagster.project.rows import Field

Kind = Literal["text", "integer", "number", "date", "datetime", "time"]


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation of a text field.

    Attributes:
        kind: Kind of value.
        pattern: Regular expression that a whole value matches.
        tolerated: Regular expression of the values that a server may accept beyond `pattern`;
            whether it does cannot be said. Blank if `pattern` is all.
        decimals: Number of decimals that a value must have; None for any.
        comma: Whether the decimal character is a comma.
        clock: Parts of a time of day: ``H:M``, ``H:M:S`` or ``M:S``; blank without a time.
    """

    kind: Kind
    pattern: str
    tolerated: str = field(default="", kw_only=True)
    decimals: int | None = None
    comma: bool = False
    clock: Literal["", "H:M", "H:M:S", "M:S"] = ""


_HOURS: Final = r"(?:[01]?\d|2[0-3])"
_MINUTES: Final = r"[0-5]\d"
_DAY: Final = r"\d{4}-\d{2}-\d{2}"


CLOCKS: Final[Mapping[str, str]] = {
    "": "",
    "H:M": f"{_HOURS}:{_MINUTES}",
    "H:M:S": f"{_HOURS}:{_MINUTES}:{_MINUTES}",
    "M:S": f"{_MINUTES}:{_MINUTES}",
}
"""The patterns of times of day by their parts."""


def build_number_pattern(point: str) -> str:
    """Return a pattern of numbers whose decimal character has the pattern `point`."""
    return rf"[-+]?(?:\d+{point}?\d*|{point}\d+)(?:[eE][-+]?\d+)?"


def _tolerate_phone(least: int, most: int) -> str:
    """Return a pattern of a number of digits in any notation, with an extension."""
    return rf"\W*(?:\d\W*){{{least},{most}}}(?:[a-zA-Z][\w.:# ]*)?"


_DATED: Final[Mapping[str, Validation]] = {
    "date": Validation("date", _DAY),
    "datetime": Validation("datetime", f"{_DAY} {CLOCKS['H:M']}", clock="H:M"),
    "datetime_seconds": Validation("datetime", f"{_DAY} {CLOCKS['H:M:S']}", clock="H:M:S"),
}

VALIDATIONS: Final[Mapping[str, Validation]] = {
    "integer": Validation("integer", r"[-+]?\d+"),
    "int": Validation("integer", r"[-+]?\d+"),  # the name in project XML
    "number": Validation("number", build_number_pattern(r"\.")),
    "float": Validation("number", build_number_pattern(r"\.")),  # the name in project XML
    "number_comma_decimal": Validation("number", build_number_pattern(","), comma=True),
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
    "time": Validation("time", CLOCKS["H:M"], clock="H:M"),
    "time_hh_mm_ss": Validation("time", CLOCKS["H:M:S"], clock="H:M:S"),
    "time_mm_ss": Validation("time", CLOCKS["M:S"], clock="M:S"),
    "email": Validation(
        "text",
        r"[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}",
        tolerated=r"\s*[^@\s]+@[^@\s]+\.[^@\s.]+\s*",
    ),
    "alpha_only": Validation("text", r"[a-zA-Z]+", tolerated=r"[^\x00-@\[-`{-\x7f]+"),
    "zipcode": Validation("text", r"\d{5}(?:-\d{4})?", tolerated=r"\d{5}[- ]?\d{4}"),
    "ssn": Validation("text", r"\d{3}-\d{2}-\d{4}", tolerated=r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "mrn_10d": Validation("text", r"\d{10}"),
    "mrn_generic": Validation("text", r"[a-zA-Z0-9_-]+", tolerated=r"[\s\S]*[a-zA-Z0-9][\s\S]*"),
    "vmrn": Validation("text", r"0*[1-9]\d{3,8}"),  # 4 to 9 digits, after leading zeros
    "phone": Validation(
        "text",
        r"(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ]?)[2-9]\d\d[-. ]?\d{4}",
        tolerated=_tolerate_phone(10, 15),
    ),
    "phone_australia": Validation(
        "text",
        r"(?:\+61[ -]?\(?0?\)?|\(?0)[2-478]\)?(?:[ -]?\d){8}",
        tolerated=_tolerate_phone(6, 15),
    ),
    "phone_uk": Validation(
        "text",
        r"(?:\+44[ -]?(?:\(0\))?|\(?0)(?:[ ()-]{0,2}\d){9,10}",
        tolerated=_tolerate_phone(9, 15),
    ),
    "postalcode_australia": Validation("text", r"\d{4}", tolerated=r"\d{3}"),
    "postalcode_canada": Validation(
        "text",
        r"[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d",
        tolerated=r"[A-Za-z]\d[A-Za-z][ -]*\d[A-Za-z]\d",
    ),
    "postalcode_french": Validation(
        "text", r"(?:0[1-9]|[1-8]\d|9[0-578])\d{3}", tolerated=r"\d{4,5}"
    ),
    "postalcode_germany": Validation("text", r"\d{5}", tolerated=r"(?:DE?[- ]?)?\d{4,5}"),
    "postalcode_uk": Validation(
        "text",
        r"(?:[A-Za-z]{1,2}\d[A-Za-z\d]?|[Gg][Ii][Rr]) ?\d[A-Za-z]{2}",
        tolerated=r"[A-Za-z]{1,4}\d{0,2}[A-Za-z]? *\d[A-Za-z]{2}",
    ),
}
"""The validations by their name in the data dictionary. Servers may have more of their own."""

NO_VALIDATION: Final = Validation("text", r"[\s\S]*")
"""The validation of a field that takes any text."""

_OTHER_ORDERS: Final = tuple(f"{name}_{order}" for name in _DATED for order in ("mdy", "dmy"))

_CALCULATED: Final = VALIDATIONS["number"]
_SLIDER: Final = VALIDATIONS["integer"]


def get_validation(field: Field) -> Validation:
    """Return the validation of a field; `NO_VALIDATION` if it is unknown here.

    Example:
        >>> get_validation(Field("pain", "visit", field_type="slider")).kind
        'integer'
    """
    if field.field_type != "text":
        return {"calc": _CALCULATED, "slider": _SLIDER}.get(field.field_type, NO_VALIDATION)
    return VALIDATIONS.get(field.validation, NO_VALIDATION)


def shows_other_dates(field: Field) -> bool:
    """Return whether a form shows the dates of a field in another order than the stored ``Y-M-D``.

    Example:
        >>> name = "text_validation_type_or_show_slider_number"
        >>> [shows_other_dates(Field("due", "visit", **{name: f"date_{order}"}))
        ...  for order in ("ymd", "dmy")]
        [False, True]
    """
    return field.field_type == "text" and field.validation in _OTHER_ORDERS


_CLOCK: Final = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)
_DATE: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](.+))?", re.ASCII)


def read_value(text: str, validation: Validation) -> Decimal | date | time | None:
    """Return the value of a text by its validation; None if it does not have such a value.

    Reads more than the validation accepts, as values of another validation may be stored: numbers
    with any count of decimals, and times with or without seconds.

    Args:
        text: The text, with dates as ``Y-M-D``.
        validation: The validation. By one of kind ``text``, no text has a value.

    Example:
        >>> [str(read_value(text, VALIDATIONS["time"])) for text in ("6:23", "06:23", "25:00")]
        ['06:23:00', '06:23:00', 'None']
    """
    try:
        match validation.kind:
            case "integer" | "number":
                point = "[.,]" if validation.comma else r"\."
                grammar = (
                    r"[-+]?\d+" if validation.kind == "integer" else build_number_pattern(point)
                )
                is_number = re.fullmatch(grammar, text, re.ASCII)
                return Decimal(text.replace(",", ".")) if is_number else None
            case "time":
                return _read_time(f"00:{text}" if validation.clock == "M:S" else text)
            case "date" | "datetime":
                return _read_date(text, validation)
    except (ValueError, InvalidOperation):  # such as 2023-02-29, 24:00, 1e99999999999999999999
        pass
    return None


def _read_time(text: str) -> time | None:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = (int(part or 0) for part in found.groups())
    return time(hour, minute, second)


def _read_date(text: str, validation: Validation) -> date | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day = date(*map(int, found.group(1, 2, 3)))
    if validation.kind == "date":
        return None if found[4] else day
    clock = _read_time(found[4] or "")
    return None if clock is None else datetime.combine(day, clock)
