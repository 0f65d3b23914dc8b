"""Logic over tables: the values of references, conditions and calculations, as columns.

In the order of use: `study`, `row_search`, `resolution`, `comparison`, `evaluation`. Imports
`redcap_dagster.project` only.
"""

from redcap_dagster.tables.logic.evaluation import evaluate_calculations, evaluate_conditions
from redcap_dagster.tables.logic.resolution import (
    find_column,
    names_field,
    resolve,
    resolve_smart_variable,
)
from redcap_dagster.tables.logic.study import RowKeys, StudyRows

__all__ = [
    "RowKeys",
    "StudyRows",
    "evaluate_calculations",
    "evaluate_conditions",
    "find_column",
    "names_field",
    "resolve",
    "resolve_smart_variable",
]
