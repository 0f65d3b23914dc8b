"""REDCap's logic, as filters and calculations have it: read into a tree, then asked row by row.

A result has three values: true, false, and None for what cannot be said, like ``'' < 3``.

Example:
    >>> from datetime import datetime
    >>> from redcap_dagster.sandbox.logic import Facts, parse_logic, truth
    >>> logic = parse_logic("[age] >= 40 and [sex(1)] = '1'")
    >>> def about(age):
    ...     values = {("age",): age, ("sex(1)",): "1"}
    ...     return Facts(values.__getitem__, frozenset(), datetime(2026, 3, 1))
    >>> [truth(logic, about(age)) for age in ("41", "9", "")]
    [True, False, None]
"""

from redcap_dagster.sandbox.logic.evaluation import result, truth
from redcap_dagster.sandbox.logic.functions import Facts
from redcap_dagster.sandbox.logic.parser import parse_logic
from redcap_dagster.sandbox.logic.tokens import LogicError
from redcap_dagster.sandbox.logic.tree import Node, references_of

__all__ = ["Facts", "LogicError", "Node", "parse_logic", "references_of", "result", "truth"]
