"""An export -> tables: pure functions over Arrow tables, without network and without Dagster."""

from redcap_dagster.tables.cleaning import CleaningRules, CleanTable, clean
from redcap_dagster.tables.instruments import (
    census_table,
    hidden_columns,
    instrument_table,
    split_by_instrument,
)
from redcap_dagster.tables.structure import choices_table, structure_table
from redcap_dagster.tables.types import ColumnType, type_of

__all__ = [
    "CleanTable",
    "CleaningRules",
    "ColumnType",
    "census_table",
    "choices_table",
    "clean",
    "hidden_columns",
    "instrument_table",
    "split_by_instrument",
    "structure_table",
    "type_of",
]
