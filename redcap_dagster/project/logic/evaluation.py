"""Evaluation of logic for a row: conditions and calculations."""

from decimal import Context, Decimal
from typing import Final, assert_never

from redcap_dagster.project.logic.functions import FUNCTIONS
from redcap_dagster.project.logic.operators import apply_operator
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
    MOST_DIGITS,
    UNKNOWN,
    Facts,
    Known,
    MissingCode,
    OtherDate,
    Unknown,
    Value,
    to_number,
    to_text,
    to_truth,
)

_DIGITS: Final = Context(prec=MOST_DIGITS)


def evaluate(node: Node, facts: Facts) -> Value:
    """Return the value of logic: a text, a number, a condition, or `UNKNOWN`.

    Args:
        node: Tree of the logic.
        facts: Values of the row, and the time.

    Example:
        >>> from redcap_dagster.project.logic import parse_logic
        >>> evaluate(parse_logic("[a] + 1"), Facts({Reference("a"): "2"}.__getitem__))
        Decimal('3')
    """
    # A level of the tree takes one frame of Python's stack; `parse_logic` limits the levels.
    match node:
        case Literal(value):
            return value
        case Reference():
            return _read_reference(node, facts)
        case Operation(sign, left, right):
            return apply_operator(sign, evaluate(left, facts), evaluate(right, facts))
        case Junction(word, conditions):
            # A condition that decides does so whatever cannot be said of the others.
            result: bool | Unknown = word == "and"
            for condition in conditions:
                truth = to_truth(evaluate(condition, facts))
                if truth is UNKNOWN:
                    result = UNKNOWN
                elif truth is (word == "or"):
                    return truth
            return result
        case Function("not", (condition,)):
            truth = to_truth(evaluate(condition, facts))
            return UNKNOWN if truth is UNKNOWN else not truth
        case Function("if", (condition, chosen, other)):
            truth = to_truth(evaluate(condition, facts))
            return UNKNOWN if truth is UNKNOWN else evaluate(chosen if truth else other, facts)
        case Function(name, arguments):
            values: list[Known] = []
            for argument in arguments:
                known = evaluate(argument, facts)
                if known is UNKNOWN:
                    return UNKNOWN
                values.append(known)
            return FUNCTIONS[name].call(facts, values)
        case SmartVariable():
            return facts.read_smart_variable(node)
        case _:
            assert_never(node)


def evaluate_condition(node: Node, facts: Facts) -> bool | Unknown:
    """Return whether a condition is true, or `UNKNOWN`.

    Args:
        node: Tree of the condition.
        facts: Values of the row, and the time.
    """
    return to_truth(evaluate(node, facts))


def evaluate_calculation(node: Node, facts: Facts) -> str | Unknown:
    """Return the result of a calculation as text, a blank if it has no result, or `UNKNOWN`.

    What a field holds whose calculation is a condition alone is not documented: it is `UNKNOWN`.
    The result may be a text, as for ``@CALCTEXT``; see `evaluate_calculated_field`.

    Args:
        node: Tree of the calculation.
        facts: Values of the row, and the time.
    """
    value = evaluate(node, facts)
    if value is UNKNOWN or isinstance(value, OtherDate | bool):
        return UNKNOWN
    try:
        return to_text(_DIGITS.plus(value) if isinstance(value, Decimal) else value)
    except ArithmeticError:  # too large for a number, once it is rounded
        return UNKNOWN


def evaluate_calculated_field(node: Node, facts: Facts) -> str | Unknown:
    """Return what a calculated field holds: the result if it is a number, else a blank.

    Args:
        node: Tree of the calculation.
        facts: Values of the row, and the time.

    Returns:
        `UNKNOWN` if the result is.
    """
    result = evaluate_calculation(node, facts)
    return result if result is UNKNOWN or to_number(result) is not None else ""


def _read_reference(reference: Reference, facts: Facts) -> Value:
    value = facts.read_value(reference)
    # An option of a checkbox is 0 or 1, never a code.
    if value is UNKNOWN or reference.code is not None:
        return value
    if value in facts.missing_codes:
        return MissingCode(value)
    return OtherDate(value) if value and reference.field in facts.other_dates else value
