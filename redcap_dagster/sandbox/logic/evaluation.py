"""Evaluation of logic for a row: conditions and calculations."""

import operator
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Final, assert_never

from redcap_dagster.sandbox.logic.functions import (
    FUNCTIONS,
    Facts,
    Value,
    to_number,
    to_text,
    to_truth,
)
from redcap_dagster.sandbox.logic.tokens import LogicError
from redcap_dagster.sandbox.logic.tree import (
    Function,
    Junction,
    Literal,
    Node,
    Operation,
    Reference,
)

_DIGITS: Final = Context(prec=14)
_ORDERINGS: Final[Mapping[str, Callable[[Decimal | str, Decimal | str], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Final[Mapping[str, Callable[[Decimal, Decimal], Decimal]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "^": operator.pow,
}


def evaluate_condition(node: Node, facts: Facts) -> bool | None:
    """Return whether a condition is true, or None if that cannot be decided.

    Raises:
        LogicError: The logic is nested too deeply.
    """
    try:
        return to_truth(_evaluate(node, facts))
    except RecursionError:
        raise LogicError("it is nested too deeply") from None


def evaluate_calculation(node: Node, facts: Facts) -> str:
    """Return the result of a calculation as text, or a blank if it has no result.

    Raises:
        LogicError: The logic is nested too deeply.
    """
    try:
        value = _evaluate(node, facts)
    except RecursionError:
        raise LogicError("it is nested too deeply") from None
    # The number of digits that PHP shows (guess).
    return to_text(_DIGITS.plus(value) if isinstance(value, Decimal) else value)


def _evaluate(node: Node, facts: Facts) -> Value:
    match node:
        case Literal(value):
            return value
        case Reference(parts):
            return facts.value(parts)
        case Junction(word, conditions):
            return _join(word, [to_truth(_evaluate(each, facts)) for each in conditions])
        case Operation(sign, left, right):
            return _operate(sign, _evaluate(left, facts), _evaluate(right, facts))
        case Function(name, arguments):
            values = tuple(_evaluate(each, facts) for each in arguments)
            try:
                return FUNCTIONS[name].call(facts, values)
            except (ArithmeticError, ValueError):
                return None  # the root of a negative number, the 31st of February
        case _:
            assert_never(node)


def _join(word: str, truths: list[bool | None]) -> bool | None:
    """Join conditions with ``and`` or ``or``; None if the decided ones do not decide the result."""
    deciding = word == "or"
    if deciding in truths:
        return deciding
    return None if None in truths else not deciding


def _operate(sign: str, left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    if sign in _ARITHMETIC:
        if left == "" or right == "":
            return ""  # as documented: a sum with a blank in it is blank
        numbers = to_number(left), to_number(right)
        if numbers[0] is None or numbers[1] is None:
            return None
        try:
            return _ARITHMETIC[sign](numbers[0], numbers[1])
        except ArithmeticError:
            return None
    return _compare(sign, left, right)


def _compare(sign: str, left: Value, right: Value) -> bool | None:
    """Compare as numbers if both are numbers, else as texts; blanks have no order."""
    first, second = to_number(left), to_number(right)
    numeric = first is not None and second is not None
    if sign in ("=", "<>"):
        equal = first == second if numeric else left == right
        return equal if sign == "=" else not equal
    if first is not None and second is not None:
        return _ORDERINGS[sign](first, second)
    if first is not None or second is not None or "" in (left, right):
        return None
    return _ORDERINGS[sign](str(left), str(right))
