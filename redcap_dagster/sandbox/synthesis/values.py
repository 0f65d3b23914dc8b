"""Made-up values of fields: valid ones, and ones that a check must find."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from random import Random
from typing import Final

from redcap_dagster.project import Field
from redcap_dagster.project.logic.values import to_number, to_text
from redcap_dagster.project.validations import (
    VALIDATIONS,
    Validation,
    get_validation,
    read_value,
)
from redcap_dagster.sandbox.synthesis.expressions import NOW

_WORDS: Final = (
    "stable",
    "improved",
    "as before",
    "see letter",
    "by phone",
    "not sure",
    "at home",
    "with help",
)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_FEW: Final = 20
_OTHER: Final = 7
_LAST_YEARS: Final = timedelta(days=3650)
_LONG_AFTER: Final = NOW + timedelta(days=7300)
"""A moment that is after today, whenever today is: for a minimum of ``today``."""

# Digits in place of 9, letters in place of a; of the validations whose values are texts.
_SHAPES: Final[Mapping[str, str]] = {
    "email": "aaaaa@example.com",
    "alpha_only": "aaaaaa",
    "zipcode": "99999",
    "ssn": "999-99-9999",
    "mrn_10d": "9999999999",
    "mrn_generic": "a99999",
    "phone": "(212) 555-9999",
    "phone_australia": "02 5550 9999",
    "phone_uk": "020 7946 9999",
    "postalcode_australia": "2999",
    "postalcode_canada": "K1A 0B1",
    "postalcode_french": "75999",
    "postalcode_germany": "10999",
    "postalcode_uk": "SW1A 1AA",
    "vmrn": "199999",
}
_INVALID: Final = ("12:99", "1.2.3", "2021-02-30", "?")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value of a field, as texts; blank for none."""

    low: str = ""
    high: str = ""


Drawer = Callable[[Random], str]
"""What draws a value from a source of chance."""


def make_drawer(field: Field, bounds: Bounds, codes: Sequence[str]) -> Drawer:
    """Return what draws valid values of a field that is not a checkbox; blanks if there are none.

    Args:
        field: The field.
        bounds: Its least and greatest value.
        codes: Codes that can be chosen, of a multiple-choice field.
    """
    if codes:
        return lambda rng: rng.choice(codes)
    if field.field_type == "file":
        return lambda _: "made_up.txt"
    if field.field_type in ("notes", "sql"):
        return lambda rng: f"{rng.choice(_WORDS)}, {rng.choice(_WORDS)}"
    if field.field_type == "slider" and not (bounds.low or bounds.high):
        return lambda rng: str(rng.randint(0, 100))
    if field.field_type not in ("text", "slider"):
        return lambda _: ""
    validation = get_validation(field)
    match validation.kind:
        case "integer" | "number":
            return _draw_numbers(validation, bounds)
        case "date" | "datetime":
            return _draw_moments(validation, bounds)
        case "time":
            return _draw_times(validation, bounds)
    shape = _SHAPES.get(field.validation)
    if shape is not None:
        return lambda rng: _fill_shape(rng, shape)
    if field.validation and field.validation in VALIDATIONS:
        return lambda _: ""
    return lambda rng: rng.choice(_WORDS)


def find_invalid_value(field: Field) -> str:
    """Return a value that the validation of a text field refuses; blank if it takes any."""
    if field.field_type != "text":
        return ""
    validation = get_validation(field)
    refused = (
        text
        for text in _INVALID
        if not _is_taken(text, validation)
        and not re.fullmatch(validation.tolerated, text, re.ASCII)
    )
    return next(refused, "")


def find_mistake(field: Field, value: str, bounds: Bounds) -> str:
    """Return the letter of the rule by which a value is wrong: C, D or G; blank if it is right.

    Args:
        field: Field that is not a checkbox.
        value: Value that is not blank.
        bounds: Least and greatest value of the field.
    """
    if field.choices:
        return "" if value in {choice.code for choice in field.choices} else "G"
    validation = get_validation(field)
    if not _is_taken(value, validation):
        return "C"
    number = read_value(value, validation)
    for text, is_beyond in ((bounds.low, operator.lt), (bounds.high, operator.gt)):
        limit = read_value(text, validation) if text else None
        if number is not None and limit is not None and is_beyond(number, limit):
            return "D"
    return ""


def _is_taken(text: str, validation: Validation) -> bool:
    if not re.fullmatch(validation.pattern, text, re.ASCII):
        return False
    return validation.kind == "text" or read_value(text, validation) is not None


def find_values_out_of_range(field: Field, bounds: Bounds) -> tuple[str, ...]:
    """Return values that are below or above the bounds of a field, and otherwise valid."""
    validation = get_validation(field)
    found = []
    for text, sign in ((bounds.low, -1), (bounds.high, 1)):
        limit = read_value(text, validation) if text else None
        if limit is None:
            continue
        if isinstance(limit, Decimal):
            places = validation.decimals
            if places is None:
                places = 0 if validation.kind == "integer" else 1
            mode = ROUND_CEILING if sign > 0 else ROUND_FLOOR
            beyond = (limit + sign).quantize(Decimal(1).scaleb(-places), rounding=mode)
            found.append(_write_number(beyond, validation))
        elif isinstance(limit, date):
            found.append(_write_moment(limit + sign * timedelta(days=1), validation))
        elif 0 <= limit.hour + sign < 24 and validation.clock != "M:S":
            found.append(_write_time(limit.replace(hour=limit.hour + sign), validation))
    return tuple(found)


def find_other_value(field: Field, value: str) -> str:
    """Return a value of the same kind as another one: another number, date or text."""
    number = to_number(value)
    if number is not None:
        return to_text(number + _OTHER)
    validation = get_validation(field)
    moment = read_value(value, validation)
    if isinstance(moment, date):
        return _write_moment(moment + timedelta(days=_OTHER), validation)
    return f"{value}x"


# -- numbers --------------------------------------------------------------------------------------


def _draw_numbers(validation: Validation, bounds: Bounds) -> Drawer:
    low, high = (_read_number(text, validation) for text in (bounds.low, bounds.high))
    if low is None:
        low = Decimal(0) if high is None or high >= 0 else high - 100
    if high is None:
        high = low + 100
    if low > high:
        return lambda _: ""
    places = validation.decimals
    if places is None:
        places = 0 if validation.kind == "integer" or high - low >= 20 else 1
    least, most = (
        int((limit.scaleb(places)).to_integral_value(rounding=mode))
        for limit, mode in ((low, ROUND_CEILING), (high, ROUND_FLOOR))
    )
    if least > most:  # no value with these decimals is between the bounds
        value = _write_number(low, validation)
        return lambda _: value
    scale = -places
    return lambda rng: _write_number(Decimal(rng.randint(least, most)).scaleb(scale), validation)


def _read_number(text: str, validation: Validation) -> Decimal | None:
    value = read_value(text, validation) if text else None
    return value if isinstance(value, Decimal) else None


def _write_number(number: Decimal, validation: Validation) -> str:
    text = f"{number:f}"
    return text.replace(".", ",") if validation.comma else text


def list_numbers(field: Field) -> Sequence[str]:
    """Return the whole numbers that a field takes, if they are few; else the first and the last."""
    validation = get_validation(field)
    if validation.kind not in ("integer", "number") or validation.decimals or validation.comma:
        return ()
    texts = (field.text_validation_min, field.text_validation_max)
    low, high = (_read_number(text, validation) for text in texts)
    first = int(low) if low is not None else 0
    last = int(high) if high is not None else first + _FEW
    numbers = range(first, last + 1)
    return [str(number) for number in (numbers if len(numbers) <= _FEW else (first, last))]


# -- dates and times ------------------------------------------------------------------------------


def _draw_moments(validation: Validation, bounds: Bounds) -> Drawer:
    low = _read_moment(bounds.low, validation, _LONG_AFTER)
    high = _read_moment(bounds.high, validation, NOW)
    if low is None:
        low = (high or NOW) - _LAST_YEARS
    if high is None:
        high = max(NOW - timedelta(days=1), low + timedelta(days=365))
    if low > high:
        return lambda _: ""
    first, seconds = low, int((high - low).total_seconds())

    def draw(rng: Random) -> str:
        drawn = first + timedelta(seconds=rng.randint(0, seconds))
        if validation.clock == "H:M" and drawn.replace(second=0) >= first:
            drawn = drawn.replace(second=0)
        return _write_moment(drawn, validation)

    return draw


def _read_moment(text: str, validation: Validation, today: datetime) -> datetime | None:
    if text in ("today", "now"):
        return today
    value = read_value(text, validation) if text else None
    if isinstance(value, datetime):
        return value
    return datetime.combine(value, time()) if isinstance(value, date) else None


def _write_moment(moment: date, validation: Validation) -> str:
    if validation.kind == "date" or not isinstance(moment, datetime):
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%Y-%m-%d %H:%M}" + (f":{moment:%S}" if validation.clock == "H:M:S" else "")


def _draw_times(validation: Validation, bounds: Bounds) -> Drawer:
    limits = [read_value(text, validation) for text in (bounds.low, bounds.high)]
    ends = (0, 3599 if validation.clock == "M:S" else 86399)
    least, most = (
        limit.hour * 3600 + limit.minute * 60 + limit.second if isinstance(limit, time) else end
        for limit, end in zip(limits, ends, strict=True)
    )
    step = 60 if validation.clock == "H:M" else 1
    first = -(-least // step)
    last = max(most // step, first)

    def draw(rng: Random) -> str:
        seconds = rng.randint(first, last) * step
        return _write_time(time(seconds // 3600, seconds // 60 % 60, seconds % 60), validation)

    return draw


def _write_time(moment: time, validation: Validation) -> str:
    formats = {"H:M": "%H:%M", "H:M:S": "%H:%M:%S", "M:S": "%M:%S"}
    return moment.strftime(formats[validation.clock])


# -- texts ----------------------------------------------------------------------------------------


def _fill_shape(rng: Random, shape: str) -> str:
    """Return a shape with random digits for 9 and letters for a, up to an @."""
    head, at, tail = shape.partition("@")
    drawn = [
        {"a": rng.choice(_LETTERS), "9": str(rng.randint(0, 9))}.get(letter, letter)
        for letter in head
    ]
    return "".join(drawn) + at + tail
