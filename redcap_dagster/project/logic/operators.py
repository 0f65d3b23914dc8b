"""The operators of logic: comparisons and arithmetic of two values."""

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from redcap_dagster.project.logic.moments import may_be_date, read_moment
from redcap_dagster.project.logic.values import (
    UNKNOWN,
    Known,
    MissingCode,
    Unknown,
    Value,
    to_number,
    to_text,
)

_CLOSE: Final = Decimal("1e-12")
_ORDERINGS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Final[Mapping[str, Callable[[Decimal, Decimal], Decimal]]] = {
    "/": operator.truediv,
    "^": operator.pow,
}


def apply_operator(sign: str, left: Value, right: Value) -> Value:
    """Return the value of an operation; `UNKNOWN` if one of its values is."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if sign in ("=", "<>"):
        equal = _is_equal(left, right)
        return equal if equal is UNKNOWN else equal is (sign == "=")
    if sign in _ORDERINGS:
        return _compare(_ORDERINGS[sign], left, right)
    return calculate(get_remainder if sign == "%" else _ARITHMETIC[sign], left, right)


def _is_equal(left: Known, right: Known) -> bool | Unknown:
    """Compare as numbers or moments if both are, else as texts: exactly."""
    if left == right:
        return True
    if _may_be_equal(left, right) or _may_be_equal(right, left):
        return UNKNOWN
    # A missing data code is a number here, as -99: `[a] = -99` is how people ask for it.
    first, second = (
        to_number(str(side) if isinstance(side, MissingCode) else side) for side in (left, right)
    )
    if first is not None and second is not None:
        computed = isinstance(left, Decimal) or isinstance(right, Decimal)
        return UNKNOWN if computed and _are_close(first, second) else first == second
    moments = read_moment(left), read_moment(right)
    if None in moments:
        # Such as 12/31/2024: it cannot be said whether REDCap takes it for a date.
        dates = [isinstance(moment, datetime) for moment in moments]
        may_be = any(dates) and may_be_date(left) and may_be_date(right)
        return UNKNOWN if may_be else False
    return moments[0] == moments[1]


def _may_be_equal(result: Known, other: Known) -> bool:
    """Return whether JavaScript and PHP differ about a result and a value that it is not.

    A condition that holds may be equal to any text, as ``isnumber([a]) = 'true'``. What is false or
    0 may be equal to a blank.
    """
    if other == "":
        return not isinstance(result, str) and not result
    return result is True and to_number(other) not in (0, 1)


def _compare(ordering: Callable[[Any, Any], bool], left: Known, right: Known) -> bool | Unknown:
    """Compare the order of two numbers, moments or texts; what is of two kinds has no order."""
    if _has_no_order(left) or _has_no_order(right):
        return UNKNOWN
    first, second = to_number(left), to_number(right)
    if first is not None and second is not None:
        computed = isinstance(left, Decimal) or isinstance(right, Decimal)
        return UNKNOWN if computed and _are_close(first, second) else ordering(first, second)
    moments = read_moment(left), read_moment(right)
    if None not in moments:
        same = isinstance(moments[0], datetime) == isinstance(moments[1], datetime)
        return ordering(*moments) if same else UNKNOWN
    if (first, second, *moments) != (None,) * 4:
        return UNKNOWN
    return ordering(to_text(left), to_text(right))


def _are_close(first: Decimal, second: Decimal) -> bool:
    """Return whether two numbers differ so little that the floating-point numbers may not."""
    try:
        return first != second and abs(first - second) <= abs(first) * _CLOSE
    except ArithmeticError:  # the difference is too large for a number
        return False


def _has_no_order(value: Known) -> bool:
    return value == "" or isinstance(value, MissingCode)


def calculate(function: Callable[..., Decimal], *values: Known) -> Value:
    """Return the number that a function of numbers has.

    Returns:
        A blank if one of the values is blank, as is documented of sums; `UNKNOWN` if one is not a
        number, or if there is no result, as of a division by zero.
    """
    if "" in values:
        return ""
    numbers = [to_number(value) for value in values]
    if None in numbers:
        return UNKNOWN
    try:
        return function(*numbers)
    except (ArithmeticError, ValueError):
        return UNKNOWN


def get_remainder(number: Decimal, divisor: Decimal) -> Decimal:
    """Return the remainder of a division of whole numbers, with the sign of the first.

    Raises:
        ValueError: One is not whole: JavaScript and PHP differ.
    """
    if number % 1 or divisor % 1:
        raise ValueError("The remainder is of whole numbers.")
    return number % divisor
