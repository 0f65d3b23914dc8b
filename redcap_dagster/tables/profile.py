"""Counts by column that do not disclose anything about one person."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

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
    columns = dict(zip(table.column_names, table.columns, strict=True))
    counted = {
        name: column
        for name, column in columns.items()
        if len(column) - column.null_count >= MIN_ROWS and not pa.types.is_list(column.type)
    }
    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        distinct = dict(zip(counted, threads.map(_count_distinct, counted.values()), strict=True))
    return Profile({name: column.null_count for name, column in columns.items()}, distinct)


def _count_distinct(column: pa.ChunkedArray) -> int:
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.indices for chunk in column.chunks])
    return int(pc.count_distinct(column, mode="only_valid").as_py())
