"""REDCap's logic, as filters and calculations have it: read into a tree, then asked row by row.

A result has three values: true, false, and None for what cannot be said, like ``'' < 3``.

Example:
    >>> from datetime import datetime
    >>> from redcap_dagster.sandbox.logic import Facts, parse_logic, evaluate_condition
    >>> logic = parse_logic("[age] >= 40 and [sex(1)] = '1'")
    >>> def about(age):
    ...     values = {("age",): age, ("sex(1)",): "1"}
    ...     return Facts(values.__getitem__, frozenset(), datetime(2026, 3, 1))
    >>> [evaluate_condition(logic, about(age)) for age in ("41", "9", "")]
    [True, False, None]
"""

from redcap_dagster.sandbox.logic.evaluation import evaluate_calculation, evaluate_condition
from redcap_dagster.sandbox.logic.functions import Facts
from redcap_dagster.sandbox.logic.parser import parse_logic
from redcap_dagster.sandbox.logic.tokens import LogicError
from redcap_dagster.sandbox.logic.tree import Node, list_references

__all__ = [
    "Facts",
    "LogicError",
    "Node",
    "evaluate_calculation",
    "evaluate_condition",
    "list_references",
    "parse_logic",
]
