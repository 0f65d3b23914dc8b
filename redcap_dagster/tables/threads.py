"""Work on the columns of a table, in threads where the table is large."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import pyarrow as pa

_LARGE: Final = 1 << 16
"""Rows of a table that is worth threads."""

T = TypeVar("T")
R = TypeVar("R")


def map_columns(function: Callable[[T], R], columns: Iterable[T], rows: int) -> list[R]:
    """Return the results of a function for columns of a table, in their order.

    Arrow and hashlib release the interpreter's lock, so that threads run at the same time. Arrow
    keeps unused memory for each thread: of a small table, more than the table itself.

    Args:
        function: The function.
        columns: The columns, or their names.
        rows: Number of rows of the table.

    Example:
        >>> map_columns(str.upper, ["sex", "age"], rows=3)
        ['SEX', 'AGE']
    """
    if rows < _LARGE:
        return [*map(function, columns)]
    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        return [*threads.map(function, columns)]
