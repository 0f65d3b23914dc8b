"""REDCap's logic of filters and calculations: tokens, then parser and tree, then evaluation.

A condition is true, false, or None if it cannot be decided, as ``'' < 3``.
Imports no other folder of the sandbox.

Example:
    >>> from datetime import datetime
    >>> from redcap_dagster.sandbox.logic import Facts, evaluate_condition, parse_logic
    >>> logic = parse_logic("[age] >= 40 and [sex(1)] = '1'")
    >>> def make_facts(age):
    ...     values = {("age",): age, ("sex(1)",): "1"}
    ...     return Facts(values.__getitem__, frozenset(), datetime(2026, 3, 1))
    >>> [evaluate_condition(logic, make_facts(age)) for age in ("41", "9", "")]
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
