"""Tables in a DuckDB file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pydantic import Field, field_validator

from redcap_dagster.io_managers.duckdb_connection import (
    STORAGE_VERSION,
    connect,
)
from redcap_dagster.io_managers.duckdb_table import (
    StoredTable,
    convert_durations,
    find_tables,
)
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.table_io_manager import (
    TableIOManager,
    get_source,
)


class DuckDBTableIOManager(TableIOManager):
    """IO manager that stores each asset as a table of a DuckDB file.

    DuckDB allows one process at a time: each read and write is one short connection, protected by
    a lock file beside the database. A write is one transaction. New files and folders are for the
    user alone (0600, 0700); existing ones keep their mode.

    Partitions share one table, with the column ``_bucket``. Its schema evolves: new columns are
    added and types become more general, until all partitions are written at once. DuckDB ignores
    the case of names, and stores a dictionary column as text, and durations in microseconds.
    Descriptions of columns are their comments, in tables of up to 1,000 columns.

    Example:
        >>> import dagster as dg
        >>> tables = DuckDBTableIOManager(database="/srv/warehouse.duckdb")
        >>> tables.get_table_name(TablePlace(dg.AssetKey(["trial", "clean", "visit"])))
        '/srv/warehouse.duckdb.trial_clean.visit'
    """

    kind: ClassVar[str | None] = "duckdb"
    database: str = Field(description="Path of the DuckDB file, which is made if it is missing.")
    lock_timeout: float = Field(
        default=60,
        description="Seconds to wait for other processes that use the file. Defaults to 60.",
    )
    storage_version: str = Field(
        default=STORAGE_VERSION,
        pattern=r"^(v\d+\.\d+\.\d+|latest)$",
        description="Storage version of a file that is made: the oldest version of DuckDB that "
        "reads it, or latest. A file that exists keeps its version. Defaults to v1.4.0.",
        examples=["v1.5.0"],
    )

    @field_validator("storage_version")
    @classmethod
    def _refuse_misread_version(cls, version: str) -> str:
        """Refuse the version whose text DuckDB 1.3 reads as missing if a later DuckDB wrote it."""
        if version.startswith("v1.3."):
            raise ValueError(
                "storage_version: DuckDB 1.3 reads text as missing in files with version v1.3 that "
                "a later DuckDB wrote. Give v1.2.0 for DuckDB 1.3, or v1.4.0."
            )
        return version

    def get_table_name(self, place: TablePlace) -> str:
        """Return the file, schema and name of a table, as Dagster's own DuckDB IO manager does."""
        return f"{self._path}.{place}"

    def write_table(self, place: TablePlace, table: pa.Table) -> None:
        """Replace the table in one transaction."""
        with self._open(place) as (stored,):
            stored.refuse_foreign()
            stored.connection.execute("begin")
            stored.replace(convert_durations(table))
            stored.write_owner(get_source(table))
            stored.connection.execute("commit")

    def write_partitions(self, place: TablePlace, parts: Mapping[str, pa.Table]) -> None:
        """Replace the rows of partitions in one transaction."""
        with self._open(place) as (stored,):
            stored.refuse_foreign()
            stored.connection.execute("begin")
            stored.replace_partitions({key: convert_durations(part) for key, part in parts.items()})
            stored.write_owner()
            stored.connection.execute("commit")

    def read_table(self, place: TablePlace, partition_keys: Sequence[str] | None) -> pa.Table:
        """Return the table, or some of its partitions, without the partition column."""
        if not self._path.exists():
            raise place.missing_error()
        with self._open(place) as (stored,):
            return stored.read(partition_keys)

    def read_sources(self, places: Sequence[TablePlace]) -> Sequence[Collection[str | None]]:
        """Return of which projects in REDCap each table or its partitions were made."""
        if not self._path.exists():
            return [[] for _ in places]
        with self._open(*places) as tables:
            return [stored.read_sources() for stored in tables]

    @property
    def _path(self) -> Path:
        return Path(self.database).absolute()

    @contextmanager
    def _open(self, *places: TablePlace) -> Iterator[list[StoredTable]]:
        with connect(
            self._path,
            self.lock_timeout,
            purpose=f"table {places[0]}" if len(places) == 1 else "the comments of tables",
            storage_version=self.storage_version,
        ) as connection:
            yield find_tables(connection, places)
