"""The functions of logic.

Evidence: a community list of REDCap 16's functions. Where it does not mention blanks, their result
is a guess: a blank.
"""

import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

from redcap_dagster.project.logic.values import (
    UNKNOWN,
    Facts,
    Known,
    Value,
    to_number,
    to_text,
)

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")
_LONGEST_TEXT: Final = 1_000_000
_SECONDS: Final = {
    "y": Decimal("31556952"),  # 365.2425 days
    "M": Decimal("2630016"),  # 30.44 days
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
}


@dataclass(frozen=True, slots=True)
class LogicFunction:
    """A function of logic: its least and most arguments, and its implementation.

    It is called with known values only.
    """

    arity: tuple[int, int]
    call: Callable[[Facts, tuple[Known, ...]], Value]


# -- kinds of functions ---------------------------------------------------------------------------


def _make_numeric(
    call: Callable[..., Decimal], least: int = 1, most: int | None = None
) -> LogicFunction:
    """Return a function of numbers: blank for a blank argument, unknown for a text."""

    def call_with_numbers(_: Facts, values: tuple[Known, ...]) -> Value:
        numbers = [to_number(value) for value in values]
        if None not in numbers:
            return call(*numbers)
        return "" if any(value == "" for value in values) else UNKNOWN

    return LogicFunction((least, most or least), call_with_numbers)


def _make_aggregate(call: Callable[[list[Decimal]], Decimal]) -> LogicFunction:
    """Return a function of any number of numbers, which ignores blanks."""

    def call_with_known_numbers(_: Facts, values: tuple[Known, ...]) -> Value:
        numbers = [to_number(value) for value in values if value != ""]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            return UNKNOWN
        return call(known) if known else ""

    return LogicFunction((1, 1000), call_with_known_numbers)


def _make_textual(
    call: Callable[..., Value], least: int = 1, most: int | None = None
) -> LogicFunction:
    """Return a function of texts; numbers are converted to texts."""

    def call_with_texts(_: Facts, values: tuple[Known, ...]) -> Value:
        return call(*map(to_text, values))

    return LogicFunction((least, most or least), call_with_texts)


# -- functions ------------------------------------------------------------------------------------


def _make_rounding(mode: str) -> LogicFunction:
    def round_number(number: Decimal, places: Decimal = Decimal(0)) -> Decimal:
        return number.quantize(Decimal(1).scaleb(-int(places)), rounding=mode)

    return _make_numeric(round_number, 1, 2)


def _log(number: Decimal, base: Decimal | None = None) -> Decimal:
    return number.ln() if base is None else number.ln() / base.ln()


def _read_count(text: str) -> int:
    """Return the number of characters that a text names, 0 if it names none."""
    number = to_number(text)
    return max(int(number), 0) if number is not None else 0


def _replace(text: str, old: str, new: str) -> str:
    if len(text) + text.count(old) * len(new) > _LONGEST_TEXT:
        raise ValueError("The text is too long for a field.")
    return text.replace(old, new) if old else text


def _mid(text: str, start: str, length: str) -> str:
    begin = max(_read_count(start) - 1, 0)
    return text[begin : begin + _read_count(length)]


def _make_date_part(begin: int, end: int) -> LogicFunction:
    """Return a function of the part of a date between two positions."""
    return _make_textual(lambda text: Decimal(text[begin:end]) if _MOMENT.fullmatch(text) else "")


def _is_missing_code(facts: Facts, value: Known) -> bool:
    return to_text(value) in facts.missing_codes


def _has_missing_code(_: Facts, values: tuple[Known, ...]) -> Value:
    codes = {code.strip() for code in ",".join(map(to_text, values[1:])).split(",")}
    return to_text(values[0]) in codes


def _to_datetime(facts: Facts, value: Known) -> datetime | None:
    text = to_text(value)
    if text in ("now", "today"):
        if facts.now is None:
            return None
        now = facts.now.replace(tzinfo=None, microsecond=0)
        return now if text == "now" else now.replace(hour=0, minute=0, second=0)
    return datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None


def _datediff(facts: Facts, values: tuple[Known, ...]) -> Value:
    """Return the time between two dates; older logic has their format before the sign."""
    if values[0] == "" or values[1] == "":
        return ""
    unit, *more = (to_text(value) for value in values[2:])
    first, second = _to_datetime(facts, values[0]), _to_datetime(facts, values[1])
    if first is None or second is None or unit not in _SECONDS:
        return UNKNOWN
    between = second - first
    seconds = Decimal(between.days) * 86400 + between.seconds
    signed = any(text.lower() in ("true", "1") for text in more)
    return (seconds if signed else abs(seconds)) / _SECONDS[unit]


def _age_at_date(facts: Facts, values: tuple[Known, ...]) -> Value:
    """Return the age at a date in years; whole years, and unknown before birth, are guesses."""
    if values[0] == "" or values[1] == "":
        return ""
    born, at = _to_datetime(facts, values[0]), _to_datetime(facts, values[1])
    if born is None or at is None or at < born:
        return UNKNOWN
    return Decimal(at.year - born.year - ((at.month, at.day) < (born.month, born.day)))


FUNCTIONS: Final[Mapping[str, LogicFunction]] = {
    "minus": _make_numeric(lambda number: -number),
    "datediff": LogicFunction((3, 5), _datediff),
    "age_at_date": LogicFunction((2, 2), _age_at_date),
    "year": _make_date_part(0, 4),
    "month": _make_date_part(5, 7),
    "day": _make_date_part(8, 10),
    "round": _make_rounding(ROUND_HALF_UP),
    "roundup": _make_rounding(ROUND_CEILING),
    "rounddown": _make_rounding(ROUND_FLOOR),
    "sqrt": _make_numeric(lambda number: number.sqrt()),
    "abs": _make_numeric(abs),
    "exponential": _make_numeric(lambda number: number.exp()),
    "log": _make_numeric(_log, 1, 2),
    "mod": _make_numeric(lambda number, by: number % by, 2),
    "sum": _make_aggregate(lambda numbers: sum(numbers, Decimal(0))),
    "mean": _make_aggregate(statistics.mean),
    "median": _make_aggregate(statistics.median),
    "stdev": _make_aggregate(statistics.stdev),
    "min": _make_aggregate(min),
    "max": _make_aggregate(max),
    "isnumber": _make_textual(lambda text: to_number(text) is not None),
    "isinteger": _make_textual(lambda text: re.fullmatch(r"[-+]?[0-9]+", text) is not None),
    "isblankormissingcode": LogicFunction(
        (1, 1), lambda f, v: v[0] == "" or _is_missing_code(f, v[0])
    ),
    "isblanknotmissingcode": LogicFunction((1, 1), lambda _, v: v[0] == ""),
    "ismissingcode": LogicFunction((1, 1), lambda f, v: _is_missing_code(f, v[0])),
    "hasmissingcode": LogicFunction((2, 2), _has_missing_code),
    "contains": _make_textual(lambda text, part: part.lower() in text.lower(), 2),
    "not_contain": _make_textual(lambda text, part: part.lower() not in text.lower(), 2),
    "starts_with": _make_textual(lambda text, part: text.lower().startswith(part.lower()), 2),
    "ends_with": _make_textual(lambda text, part: text.lower().endswith(part.lower()), 2),
    "find": _make_textual(lambda part, text: Decimal(text.lower().find(part.lower()) + 1), 2),
    "left": _make_textual(lambda text, count: text[: _read_count(count)], 2),
    "right": _make_textual(lambda text, count: text[max(len(text) - _read_count(count), 0) :], 2),
    "mid": _make_textual(_mid, 3),
    "length": _make_textual(lambda text: Decimal(len(text))),
    "trim": _make_textual(lambda text: text.strip()),
    "upper": _make_textual(lambda text: text.upper()),
    "lower": _make_textual(lambda text: text.lower()),
    "replace_text": _make_textual(_replace, 3),
    "concat": _make_textual(lambda *texts: "".join(texts), 1, 1000),
    "concat_ws": _make_textual(
        lambda separator, *texts: separator.join(filter(None, texts)), 2, 1000
    ),
}
"""Functions by name in lower case; ``not`` and ``minus`` are operators of the parser."""
