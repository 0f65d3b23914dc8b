"""What Dagster records about the columns of a table: digests and counts, taken in one pass."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from redcap_dagster.tables.digests import digest_column
from redcap_dagster.tables.profile import count_distinct
from redcap_dagster.tables.threads import map_columns


@dataclass(frozen=True)
class Contents:
    """A table with digests and counts of its columns.

    Attributes:
        table: The table.
        digests: Digest of each column; see `digest_column`.
        distinct: Count of distinct values of the counted columns, as in `Profile`.
    """

    table: pa.Table = field(repr=False)
    digests: Mapping[str, bytes] = field(repr=False)
    distinct: Mapping[str, int] = field(default_factory=dict)


def read_contents(
    table: pa.Table, counted: Collection[str] = (), known: Contents | None = None
) -> Contents:
    """Return a table with the digests of its columns, and the counts of some of them.

    Args:
        table: The table.
        counted: Columns whose distinct values are counted. Defaults to none.
        known: A table whose columns may be the same: these are neither hashed nor counted again.
            Defaults to none.
    """

    def read(name: str) -> tuple[bytes, int | None]:
        column = table[name]
        same = known is not None and name in known.digests and column.equals(known.table[name])
        if known is not None and same and (name in known.distinct or name not in counted):
            return known.digests[name], known.distinct.get(name)
        return digest_column(column), count_distinct(column) if name in counted else None

    names = table.column_names
    columns = dict(zip(names, map_columns(read, names, table.num_rows), strict=True))
    return Contents(
        table,
        {name: digest for name, (digest, _) in columns.items()},
        {name: count for name, (_, count) in columns.items() if count is not None},
    )
