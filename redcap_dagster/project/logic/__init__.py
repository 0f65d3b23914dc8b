"""REDCap's logic of branching, filters and calculations, without input or output.

In the order of use: `tokens`, `tree`, `values`, `moments`, `operators`, the functions, `parser`,
`evaluation`; and `events`.

A value can be `UNKNOWN`: it cannot be said, as whether ``'' < 3``. It is never merged with a blank.
What a server's PHP and a browser's JavaScript evaluate differently is `UNKNOWN`, too.

Example:
    >>> from redcap_dagster.project.logic import Facts, evaluate_condition, parse_logic
    >>> logic = parse_logic("[age] >= 40 and [sex(1)] = '1'")
    >>> def make_facts(age):
    ...     values = {"age": age, "sex": "1"}
    ...     return Facts(lambda reference: values[reference.field])
    >>> [evaluate_condition(logic, make_facts(age)) for age in ("41", "9", "")]
    [True, False, <Unknown.UNKNOWN: 'cannot be said'>]
"""

from redcap_dagster.project.logic.evaluation import (
    evaluate,
    evaluate_calculated_field,
    evaluate_calculation,
    evaluate_condition,
)
from redcap_dagster.project.logic.number_functions import find_rounding_unit
from redcap_dagster.project.logic.parser import parse_logic
from redcap_dagster.project.logic.tokens import LogicError
from redcap_dagster.project.logic.tree import (
    Function,
    Junction,
    Literal,
    Node,
    Operation,
    Reference,
    SmartVariable,
    list_references,
    list_smart_variables,
)
from redcap_dagster.project.logic.values import UNKNOWN, Facts, Unknown, Value

__all__ = [
    "UNKNOWN",
    "Facts",
    "Function",
    "Junction",
    "Literal",
    "LogicError",
    "Node",
    "Operation",
    "Reference",
    "SmartVariable",
    "Unknown",
    "Value",
    "evaluate",
    "evaluate_calculated_field",
    "evaluate_calculation",
    "evaluate_condition",
    "find_rounding_unit",
    "list_references",
    "list_smart_variables",
    "parse_logic",
]
