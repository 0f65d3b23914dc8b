"""The functions of logic by name.

Evidence: a community list of REDCap 16's functions, held by ``tests/project/logic``. Where sources
disagree, or JavaScript and PHP would, a function is `UNKNOWN`.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from redcap_dagster.project.logic import date_functions as dates
from redcap_dagster.project.logic import number_functions as numbers
from redcap_dagster.project.logic import text_functions as texts
from redcap_dagster.project.logic.operators import calculate, get_remainder
from redcap_dagster.project.logic.values import (
    MOST_DIGITS,
    UNKNOWN,
    Facts,
    Known,
    MissingCode,
    OtherDate,
    Value,
    to_number,
    to_text,
)


@dataclass(frozen=True, slots=True)
class LogicFunction:
    """A function of logic.

    Attributes:
        arity: Least and most arguments; None for any number.
        call: Function that returns its value, of facts and known values.
    """

    arity: tuple[int, int | None]
    call: Callable[[Facts, Sequence[Known]], Value]


def _make_numeric(
    call: Callable[..., Decimal], least: int = 1, most: int | None = 1
) -> LogicFunction:
    """Return a function of numbers, blank if one is blank."""
    return LogicFunction((least, most), lambda _, values: calculate(call, *values))


def _make_aggregate(
    call: Callable[[list[Decimal]], Decimal], of_blanks: Value = ""
) -> LogicFunction:
    """Return a function of any number of numbers, which ignores blanks."""

    def call_with_numbers(_: Facts, values: Sequence[Known]) -> Value:
        known = [value for value in values if value != ""]
        return calculate(lambda *each: call(list(each)), *known) if known else of_blanks

    return LogicFunction((1, None), call_with_numbers)


def _find_deviation(_: Facts, values: Sequence[Known]) -> Value:
    """Return the standard deviation where that of a sample is that of a population: 0.

    REDCap does not document which of them it is.
    """
    known = [value for value in values if value != ""]
    if not known:
        return ""
    spread = calculate(lambda *numbers: max(numbers) - min(numbers), *known)
    return spread if spread == 0 and len(known) > 1 else UNKNOWN


def _make_textual(
    call: Callable[..., Value], least: int = 1, most: int | None = 1
) -> LogicFunction:
    """Return a function of texts; numbers are converted to texts.

    It is `UNKNOWN` of what is not one text everywhere: a date that a form shows in another
    notation, a number with more digits than PHP shows, a character that JavaScript counts as two.
    """

    def call_with_texts(_: Facts, values: Sequence[Known]) -> Value:
        return call(*map(to_text, values)) if all(map(_has_one_text, values)) else UNKNOWN

    return LogicFunction((least, most), call_with_texts)


def _has_one_text(value: Known) -> bool:
    if isinstance(value, Decimal):
        return len(value.normalize().as_tuple().digits) <= MOST_DIGITS
    return not isinstance(value, OtherDate) and max(to_text(value), default="") <= "\uffff"


def _make_test(test: Callable[[Facts, str], bool]) -> LogicFunction:
    """Return a function that tests the text of a value."""
    return LogicFunction((1, 1), lambda facts, values: test(facts, to_text(values[0])))


def _make_number_test(test: Callable[[str], bool]) -> LogicFunction:
    """Return a function that tests whether a value is a number; `UNKNOWN` of a code such as -99."""

    def call(_: Facts, values: Sequence[Known]) -> Value:
        text = to_text(values[0])
        is_code = isinstance(text, MissingCode)
        return UNKNOWN if is_code and to_number(str(text)) is not None else test(text)

    return LogicFunction((1, 1), call)


def _has_missing_code(facts: Facts, values: Sequence[Known]) -> Value:
    codes = {code.strip() for code in ",".join(map(to_text, values[1:])).split(",")}
    return to_text(values[0]) in codes & facts.missing_codes


def _find_nothing(_: Facts, __: Sequence[Known]) -> Value:
    return UNKNOWN


FUNCTIONS: Final[Mapping[str, LogicFunction]] = {
    "+": _make_numeric(lambda *numbers: sum(numbers, Decimal(0)), 2, None),
    "*": _make_numeric(lambda *numbers: math.prod(numbers, start=Decimal(1)), 2, None),
    "-": _make_numeric(lambda number: -number),
    "^": LogicFunction((2, 2), _find_nothing),
    "datediff": LogicFunction((3, 5), dates.subtract_dates),
    "calcdate": LogicFunction((3, 4), dates.shift_date),
    "age_at_date": LogicFunction((2, 3), dates.get_age),
    "dayoftheweek": LogicFunction((1, 1), dates.get_day_of_week),
    "year": LogicFunction((1, 1), dates.make_part_reader("year")),
    "month": LogicFunction((1, 1), dates.make_part_reader("month")),
    "day": LogicFunction((1, 1), dates.make_part_reader("day")),
    "round": _make_numeric(numbers.round_half_up, 1, 2),
    "roundup": _make_numeric(numbers.round_up, 1, 2),
    "rounddown": _make_numeric(numbers.round_down, 1, 2),
    "sqrt": _make_numeric(lambda number: number.sqrt()),
    "abs": _make_numeric(abs),
    "exponential": _make_numeric(lambda number: number.exp()),
    "log": _make_numeric(numbers.get_logarithm, 1, 2),
    "mod": _make_numeric(get_remainder, 2, 2),
    "random": LogicFunction((0, 2), _find_nothing),
    # People report 0 for the sum of blanks; of the others, a blank is a guess.
    "sum": _make_aggregate(lambda numbers: sum(numbers, Decimal(0)), of_blanks=Decimal(0)),
    "mean": _make_aggregate(statistics.mean),
    "median": _make_aggregate(statistics.median),
    "stdev": LogicFunction((1, None), _find_deviation),
    "min": _make_aggregate(min),
    "max": _make_aggregate(max),
    "isnumber": _make_number_test(lambda text: to_number(text) is not None),
    "isinteger": _make_number_test(texts.is_integer),
    "isblankormissingcode": _make_test(lambda facts, text: text in {"", *facts.missing_codes}),
    "isblanknotmissingcode": _make_test(lambda _, text: text == ""),
    "ismissingcode": _make_test(lambda facts, text: text in facts.missing_codes),
    "hasmissingcode": LogicFunction((2, None), _has_missing_code),
    "contains": _make_textual(texts.contains, 2, 2),
    "not_contain": _make_textual(texts.does_not_contain, 2, 2),
    "starts_with": _make_textual(texts.starts_with, 2, 2),
    "ends_with": _make_textual(texts.ends_with, 2, 2),
    "find": _make_textual(texts.find_part, 2, 2),
    "left": _make_textual(texts.take_left, 2, 2),
    "right": _make_textual(texts.take_right, 2, 2),
    "mid": _make_textual(texts.take_middle, 3, 3),
    "length": _make_textual(lambda text: Decimal(len(text))),
    "trim": _make_textual(texts.trim),
    "upper": _make_textual(texts.to_upper),
    "lower": _make_textual(texts.to_lower),
    "replace_text": _make_textual(texts.replace_part, 3, 3),
    "concat": _make_textual(lambda *parts: "".join(parts), 1, None),
    "concat_ws": _make_textual(
        lambda separator, *parts: separator.join(filter(None, parts)), 2, None
    ),
}
"""The functions by name in lower case, but ``if`` and ``not``, which `evaluation` has."""
