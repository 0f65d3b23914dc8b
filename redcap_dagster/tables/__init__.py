"""An export -> tables: pure functions over Arrow tables, without network and without Dagster.

In the order of use: `compatibility`, `instruments`, `cleaning`, then what reads its result.
`queries` and `status` make the lists that data managers read. Imports `redcap_dagster.project`,
`options`, `frames` and `markdown` only.

For users:

- `split_by_instrument`: one table per instrument of a flat export.
- `CleaningRules`: how records become clean tables.
- `clean`: the typed rows of one instrument, as a `CleanTable`.
- `list_invalid_values`: one row per value that a clean table does not hold.
- `find_asked`: whether each field was asked, in each row of `StudyRows`.
- `list_logic_problems`: fields whose branching logic cannot be evaluated.
- `pair_labels`: choices of fields whose dictionary lists none.
- `profile`: counts by column, as a `Profile`.
- `to_frame`: any of these tables as a DataFrame.

The other names are for the package itself.
"""

from redcap_dagster.frames import to_frame
from redcap_dagster.tables.cleaning import (
    CleaningRules,
    CleanTable,
    ColumnType,
    clean,
    column_sources,
    get_column_type,
    list_clean_types,
    list_invalid_values,
    pair_labels,
)
from redcap_dagster.tables.compatibility import DisagreementError, check_agreement, check_keys
from redcap_dagster.tables.contents import Contents, read_contents
from redcap_dagster.tables.export_gaps import (
    count_duplicate_rows,
    count_unplaced_cells,
    has_hashed_ids,
    hidden_columns,
)
from redcap_dagster.tables.instruments import (
    census_table,
    find_instrument_rows,
    instrument_table,
    split_by_instrument,
)
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.metadata_tables import choices_table, structure_table
from redcap_dagster.tables.profile import Profile, profile
from redcap_dagster.tables.quality import Ranges, check_ranges
from redcap_dagster.tables.text_columns import list_typed_columns, read_text
from redcap_dagster.tables.validity import (
    choice_columns,
    count_blank_required,
    count_merged_codes,
    is_required,
)
from redcap_dagster.tables.visibility import LogicProblem, find_asked, list_logic_problems

# Earlier names, which can still be imported.
duplicate_keys = count_duplicate_rows
in_ranges = check_ranges
leftovers = count_unplaced_cells
rejected = list_invalid_values
type_of = get_column_type
unfilled = count_blank_required

__all__ = [
    "CleanTable",
    "CleaningRules",
    "ColumnType",
    "Contents",
    "DisagreementError",
    "LogicProblem",
    "Profile",
    "Ranges",
    "StudyRows",
    "census_table",
    "check_agreement",
    "check_keys",
    "check_ranges",
    "choice_columns",
    "choices_table",
    "clean",
    "column_sources",
    "count_blank_required",
    "count_duplicate_rows",
    "count_merged_codes",
    "count_unplaced_cells",
    "find_asked",
    "find_instrument_rows",
    "get_column_type",
    "has_hashed_ids",
    "hidden_columns",
    "instrument_table",
    "is_required",
    "list_clean_types",
    "list_invalid_values",
    "list_logic_problems",
    "list_typed_columns",
    "pair_labels",
    "profile",
    "read_contents",
    "read_text",
    "split_by_instrument",
    "structure_table",
    "to_frame",
]
