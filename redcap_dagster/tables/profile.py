"""Counts by column that do not disclose anything about one person."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.tables.threads import map_columns
from redcap_dagster.text_bytes import is_ascending

MIN_ROWS = 10
"""Number of rows with a value that a column needs for a count of its distinct values."""


@dataclass(frozen=True)
class Profile:
    """Counts by column.

    Attributes:
        missing: Count of null cells of every column.
        distinct: Count of distinct values of each column. Columns of lists are left out, and
            columns with values in fewer than ten rows, as their counts could identify people.
    """

    missing: Mapping[str, int]
    distinct: Mapping[str, int]


def profile(table: pa.Table) -> Profile:
    """Return the counts of missing and distinct values of each column.

    Args:
        table: Any table.

    Example:
        >>> table = pa.table({"id": [str(row) for row in range(10)], "sex": ["F"] * 9 + [None]})
        >>> profile(table)
        Profile(missing={'id': 0, 'sex': 1}, distinct={'id': 10})
    """
    found = map_columns(count_distinct, table.columns, table.num_rows)
    counts = dict(zip(table.column_names, found, strict=True))
    return Profile(
        {name: table[name].null_count for name in table.column_names},
        {name: count for name, count in counts.items() if count is not None},
    )


def count_distinct(column: pa.ChunkedArray) -> int | None:
    """Return the count of distinct values of a column, or None if `Profile.distinct` omits it."""
    if len(column) - column.null_count < MIN_ROWS or pa.types.is_list(column.type):
        return None
    if pa.types.is_dictionary(column.type):
        used = [
            chunk.dictionary.take(chunk.indices.unique().drop_null()) for chunk in column.chunks
        ]
        column = pa.chunked_array(used, column.type.value_type)
    if pa.types.is_string(column.type) and is_ascending(column):
        return len(column)
    return len(pc.unique(column).drop_null())
