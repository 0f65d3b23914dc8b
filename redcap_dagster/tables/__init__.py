"""An export -> tables: pure functions over Arrow tables, without network and without Dagster."""

from redcap_dagster.tables.cleaning import CleaningRules, CleanTable, clean
from redcap_dagster.tables.instruments import (
    hidden_columns,
    instrument_table,
    split_by_instrument,
)
from redcap_dagster.tables.types import ColumnType, type_of

__all__ = [
    "CleanTable",
    "CleaningRules",
    "ColumnType",
    "clean",
    "hidden_columns",
    "instrument_table",
    "split_by_instrument",
    "type_of",
]
