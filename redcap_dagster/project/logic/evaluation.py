"""Evaluation of logic for a row: conditions and calculations."""

import operator
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Final, assert_never

from redcap_dagster.project.logic.functions import FUNCTIONS
from redcap_dagster.project.logic.tokens import LogicError
from redcap_dagster.project.logic.tree import (
    Function,
    Junction,
    Literal,
    Node,
    Operation,
    Reference,
    SmartVariable,
)
from redcap_dagster.project.logic.values import (
    UNKNOWN,
    Facts,
    Unknown,
    Value,
    to_number,
    to_text,
    to_truth,
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


def evaluate(node: Node, facts: Facts) -> Value:
    """Return the value of logic: text, number, condition, or `UNKNOWN`.

    Raises:
        LogicError: The logic is nested too deeply.
    """
    try:
        return _evaluate(node, facts)
    except RecursionError:
        raise LogicError("it is nested too deeply") from None


def evaluate_condition(node: Node, facts: Facts) -> bool | Unknown:
    """Return whether a condition is true, or `UNKNOWN`.

    Raises:
        LogicError: The logic is nested too deeply.
    """
    return to_truth(evaluate(node, facts))


def evaluate_calculation(node: Node, facts: Facts) -> str | Unknown:
    """Return the result of a calculation as text, a blank if it has no result, or `UNKNOWN`.

    Raises:
        LogicError: The logic is nested too deeply.
    """
    value = evaluate(node, facts)
    if value is UNKNOWN:
        return UNKNOWN
    # The number of digits that PHP shows (guess).
    return to_text(_DIGITS.plus(value) if isinstance(value, Decimal) else value)


def _evaluate(node: Node, facts: Facts) -> Value:
    match node:
        case Literal(value):
            return value
        case Reference():
            return facts.read_value(node)
        case SmartVariable():
            return facts.read_smart_variable(node)
        case Junction(word, conditions):
            return _join(word, [to_truth(_evaluate(each, facts)) for each in conditions])
        case Operation(sign, left, right):
            return _operate(sign, _evaluate(left, facts), _evaluate(right, facts))
        case Function("not", (condition,)):
            truth = to_truth(_evaluate(condition, facts))
            return UNKNOWN if truth is UNKNOWN else not truth
        case Function("if", (condition, chosen, other)):
            truth = to_truth(_evaluate(condition, facts))
            return UNKNOWN if truth is UNKNOWN else _evaluate(chosen if truth else other, facts)
        case Function(name, arguments):
            return _call(name, [_evaluate(each, facts) for each in arguments], facts)
        case _:
            assert_never(node)


def _call(name: str, values: list[Value], facts: Facts) -> Value:
    known = tuple(value for value in values if value is not UNKNOWN)
    if len(known) < len(values):
        return UNKNOWN
    try:
        return FUNCTIONS[name].call(facts, known)
    except (ArithmeticError, ValueError):
        return UNKNOWN  # the root of a negative number, the 31st of February


def _join(word: str, truths: list[bool | Unknown]) -> bool | Unknown:
    """Join conditions with ``and`` or ``or``: `UNKNOWN` only if the known ones do not decide."""
    deciding = word == "or"
    if deciding in truths:
        return deciding
    return UNKNOWN if UNKNOWN in truths else not deciding


def _operate(sign: str, left: Value, right: Value) -> Value:
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if sign in _ARITHMETIC:
        if left == "" or right == "":
            return ""  # as documented: a sum with a blank in it is blank
        numbers = to_number(left), to_number(right)
        if numbers[0] is None or numbers[1] is None:
            return UNKNOWN
        try:
            return _ARITHMETIC[sign](numbers[0], numbers[1])
        except ArithmeticError:
            return UNKNOWN
    return _compare(sign, left, right)


def _compare(sign: str, left: Value, right: Value) -> bool | Unknown:
    """Compare as numbers if both are numbers, else as texts; blanks have no order."""
    first, second = to_number(left), to_number(right)
    numeric = first is not None and second is not None
    if sign in ("=", "<>"):
        equal = first == second if numeric else left == right
        return equal if sign == "=" else not equal
    if first is not None and second is not None:
        return _ORDERINGS[sign](first, second)
    if first is not None or second is not None or "" in (left, right):
        return UNKNOWN
    return _ORDERINGS[sign](str(left), str(right))
