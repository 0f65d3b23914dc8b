"""Comparisons of columns by Arrow, where they are exactly those of logic: numbers and dates."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
"""The comparisons of logic, as functions of columns."""

_MOMENTS: Final = {
    10: r"^\d{4}-\d\d-\d\d$",
    16: r"^\d{4}-\d\d-\d\d \d\d:\d\d$",
    19: r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$",
}
"""Patterns of dates and times by the number of their characters."""

_NUMBER: Final = r"^[-+]?(?:\d{1,9}(?:\.\d{0,6})?|\.\d{1,6})$"
_MOST_DIGITS: Final = 15
"""Different numbers of so many digits are different as floating-point numbers."""

_LEAST: Final = 1e-300

_NULL: Final = pa.scalar(None, pa.string())


def compare_columns(
    sign: str, left: pa.StringArray, right: pa.StringArray, missing_codes: Collection[str]
) -> tuple[pa.BooleanArray, pa.BooleanArray]:
    """Return the result of a comparison in each row, and whether the row could be compared here.

    Compared are two numbers, two dates or times of one notation, and anything with a blank.

    Args:
        sign: One of `COMPARISONS`.
        left: Texts of the left side, null where they cannot be said.
        right: Texts of the right side.
        missing_codes: Missing data codes of the project, which are not numbers.

    Returns:
        The results, null where they cannot be said; and True for each row that was compared.

    Example:
        >>> left, right = pa.array(["9", "", "b"]), pa.array(["10", "10", "a"])
        >>> [each.to_pylist() for each in compare_columns("<", left, right, [])]
        [[True, None, None], [True, True, False]]
    """
    result, is_compared = _compare_blanks(sign, left, right)
    lengths = [pc.binary_length(side) for side in (left, right)]
    found = set.intersection(*(set(pc.unique(each).to_pylist()) for each in lengths))
    for length, pattern in _MOMENTS.items():
        if length in found:
            sides = [
                _read_moments(side, pc.equal(each, length), pattern)
                for side, each in zip((left, right), lengths, strict=True)
            ]
            result, is_compared = _compare(sign, sides, result, is_compared)
    if not pc.all(is_compared).as_py():
        sides = [
            _read_numbers(side, each) for side, each in zip((left, right), lengths, strict=True)
        ]
        result, is_compared = _compare(sign, sides, result, is_compared)
    if missing_codes:
        codes = pa.array(sorted(missing_codes), pa.string())
        is_code = pc.or_(pc.is_in(left, codes), pc.is_in(right, codes))
        is_compared = pc.and_not(is_compared, is_code)
    return result, is_compared


def _compare_blanks(
    sign: str, left: pa.StringArray, right: pa.StringArray
) -> tuple[pa.BooleanArray, pa.BooleanArray]:
    """Compare the rows with a blank: a blank has no order. What cannot be said stays so."""
    blank = pc.equal(left, ""), pc.equal(right, "")
    result = pa.nulls(len(left), pa.bool_())
    if sign in ("=", "<>"):
        result = COMPARISONS[sign](*blank)
        result = pc.if_else(pc.or_(*blank), result, pa.scalar(None, pa.bool_()))
    return result, pc.fill_null(pc.or_(*blank), True)


def _compare(
    sign: str,
    sides: list[pa.Array],
    result: pa.BooleanArray,
    is_compared: pa.BooleanArray,
) -> tuple[pa.BooleanArray, pa.BooleanArray]:
    left, right = sides
    compared = COMPARISONS[sign](left, right)
    return pc.coalesce(result, compared), pc.or_(is_compared, pc.is_valid(compared))


def _read_moments(texts: pa.StringArray, is_long: pa.BooleanArray, pattern: str) -> pa.Array:
    """Return the dates and times of a notation, null for texts that do not have its length."""
    texts = pc.if_else(is_long, texts, _NULL)
    if pattern != _MOMENTS[10]:
        texts = pc.if_else(pc.match_substring(texts, "T"), _NULL, texts)
    return _cast(texts, pa.timestamp("s"), pattern)


def _read_numbers(texts: pa.StringArray, length: pa.Int32Array) -> pa.Array:
    """Return the numbers, null for other texts."""
    is_short = pc.and_(pc.greater(length, 0), pc.less_equal(length, _MOST_DIGITS))
    texts = pc.if_else(is_short, texts, _NULL)
    numbers = _cast(texts, pa.float64(), _NUMBER)
    # Neither "inf" nor "1e-400", which is not zero.
    size = pc.abs(numbers)
    is_safe = pc.and_(pc.is_finite(numbers), pc.greater(size, _LEAST))
    if pc.all(is_safe).as_py():
        return numbers
    zeros = pc.if_else(pc.equal(size, 0), texts, _NULL)
    is_zero = pc.match_substring_regex(zeros, "^[-+.0]*$")
    is_safe = pc.or_(is_safe, pc.fill_null(is_zero, False))
    return pc.if_else(is_safe, numbers, pa.scalar(None, pa.float64()))


def _cast(texts: pa.StringArray, kind: pa.DataType, pattern: str) -> pa.Array:
    """Return texts as another type; if one cannot be, only those that match the pattern."""
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        texts = pc.if_else(pc.match_substring_regex(texts, pattern), texts, _NULL)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:  # such as the 31st of February, of which there are few
        good = [_is_castable(text, kind) for text in texts.to_pylist()]
        return pc.if_else(pa.array(good), texts, _NULL).cast(kind)


def _is_castable(text: str | None, kind: pa.DataType) -> bool:
    try:
        pa.scalar(text, pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
