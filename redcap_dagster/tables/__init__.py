"""An export -> tables: pure functions over Arrow tables, without network and without Dagster."""

from redcap_dagster.tables.cleaning import CleanTable, clean
from redcap_dagster.tables.compatibility import DisagreementError, check_agreement, check_keys
from redcap_dagster.tables.coverage import (
    duplicate_keys,
    has_hashed_ids,
    hidden_columns,
    leftovers,
)
from redcap_dagster.tables.instruments import (
    census_table,
    instrument_table,
    split_by_instrument,
)
from redcap_dagster.tables.labels import pair_labels
from redcap_dagster.tables.lineage import column_sources
from redcap_dagster.tables.metadata_tables import choices_table, structure_table
from redcap_dagster.tables.profile import Profile, profile
from redcap_dagster.tables.rejected import rejected
from redcap_dagster.tables.rules import CleaningRules
from redcap_dagster.tables.types import ColumnType, type_of
from redcap_dagster.tables.validity import (
    Ranges,
    choice_columns,
    in_ranges,
    is_required,
    unfilled,
)

__all__ = [
    "CleanTable",
    "CleaningRules",
    "ColumnType",
    "DisagreementError",
    "Profile",
    "Ranges",
    "census_table",
    "check_agreement",
    "check_keys",
    "choice_columns",
    "choices_table",
    "clean",
    "column_sources",
    "duplicate_keys",
    "has_hashed_ids",
    "hidden_columns",
    "in_ranges",
    "instrument_table",
    "is_required",
    "leftovers",
    "pair_labels",
    "profile",
    "rejected",
    "split_by_instrument",
    "structure_table",
    "type_of",
    "unfilled",
]
