"""Records -> clean tables: text becomes typed values, labels and nulls, by the dictionary.

In the order of use: `rules` say how; `column_types` and `type_inference` decide a field's type;
`labels` looks up codes; `cells` cleans one field, `clean_table` an instrument. `lineage` describes
a clean table before it is made, `invalid_values` lists what it does not hold.
"""

from redcap_dagster.tables.cleaning.clean_table import CleanTable, clean
from redcap_dagster.tables.cleaning.column_types import ColumnType, get_column_type
from redcap_dagster.tables.cleaning.invalid_values import list_invalid_values
from redcap_dagster.tables.cleaning.labels import pair_labels
from redcap_dagster.tables.cleaning.lineage import column_sources, list_clean_types
from redcap_dagster.tables.cleaning.rules import CleaningRules

__all__ = [
    "CleanTable",
    "CleaningRules",
    "ColumnType",
    "clean",
    "column_sources",
    "get_column_type",
    "list_clean_types",
    "list_invalid_values",
    "pair_labels",
]
