"""Tables in a DuckDB file."""
# ruff: noqa: S608 - names in queries are quoted, everything else is a parameter

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
from pydantic import Field

from redcap_dagster.io_managers.duckdb_connection import connect
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.schema_evolution import concatenate, conform, widen_schema
from redcap_dagster.io_managers.table import DESCRIPTION, TableIOManager, with_key
from redcap_dagster.partitions import BUCKET, get_partitioning

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OWNER = "Dagster asset "
"""What the comment of a table begins with, before the key of its asset."""


class DuckDBTableIOManager(TableIOManager):
    """Keeps each asset as a table of a DuckDB file, partitions in one table by column ``_bucket``.

    DuckDB lets one process at a time into its file, so each read and write is one short
    connection, behind a lock file beside the database. A write is one transaction. Files and
    folders that this makes are for the user alone (0600, 0700); those that exist keep their mode.

    Columns of a partitioned table are added and widened as its partitions bring them, and neither
    dropped nor narrowed until all of its partitions are written at once. DuckDB compares names
    without regard to case, and has no dictionary type: a dictionary column is text.

    Example:
        >>> import dagster as dg
        >>> tables = DuckDBTableIOManager(database="warehouse.duckdb")
        >>> tables.get_table_name(TablePlace(dg.AssetKey(["trial", "clean", "visit"])))
        'trial_clean.visit'
    """

    kind: ClassVar[str | None] = "duckdb"
    database: str = Field(description="Path of the DuckDB file; it is made when missing.")
    lock_timeout: float = Field(
        default=60, description="Seconds to wait for other processes that use the file."
    )

    def get_table_name(self, place: TablePlace) -> str:
        """Say where a table is: its schema and name."""
        return str(place)

    def write_table(self, place: TablePlace, table: pa.Table) -> None:
        """Replace the table, in one transaction."""
        with self._open(place) as stored:
            stored.connection.execute("begin")
            stored.replace(table)
            stored.sign()
            stored.connection.execute("commit")

    def write_partitions(self, place: TablePlace, parts: Mapping[str, pa.Table]) -> None:
        """Replace the rows of partitions, all of them in one transaction."""
        with self._open(place) as stored:
            stored.connection.execute("begin")
            stored.replace_partitions(parts)
            stored.sign()
            stored.connection.execute("commit")

    def read_table(self, place: TablePlace, partition_keys: Sequence[str] | None) -> pa.Table:
        """Read the table without its partition column."""
        if not self._path.exists():
            raise place.never_written()
        with self._open(place) as stored:
            return stored.read(partition_keys)

    @property
    def _path(self) -> Path:
        return Path(self.database).absolute()

    @contextmanager
    def _open(self, place: TablePlace) -> "Iterator[_Table]":
        with connect(self._path, self.lock_timeout, purpose=f"table {place}") as connection:
            stored = _Table(connection, place)
            place.check_owner(stored.owner())
            yield stored


@dataclass(frozen=True)
class _Table:
    """A table of an open database, whether it is there yet or not."""

    connection: "DuckDBPyConnection"
    place: TablePlace

    @cached_property
    def schema_name(self) -> str:
        # With the name of the database, which is that of its file and may be that of a schema too.
        database = self.connection.sql("select current_database()").fetchall()[0][0]
        return f"{_quote(database)}.{_quote(self.place.schema)}"

    @cached_property
    def name(self) -> str:
        return f"{self.schema_name}.{_quote(self.place.table)}"

    def owner(self) -> str | None:
        """Give the asset that the table says it is of; None if it is not there, or says nothing."""
        # Names are compared as DuckDB does it.
        found = self.connection.execute(
            "select comment from duckdb_tables() where database_name = current_database() "
            "and lower(schema_name) = lower(?) and lower(table_name) = lower(?)",
            [self.place.schema, self.place.table],
        ).fetchall()
        comments = [comment for (comment,) in found if (comment or "").startswith(_OWNER)]
        return comments[0].removeprefix(_OWNER) if comments else None

    def sign(self) -> None:
        """Say in the comment of the table which asset it is of."""
        comment = _literal(f"{_OWNER}{self.place.owner}")
        self.connection.execute(f"comment on table {self.name} is {comment}")

    def columns(self) -> pa.Schema | None:
        """Give the stored columns, that of the partitions included; None if there is no table."""
        # fetchall, always: DuckDB 2 lets nothing else begin before a result is read to its end.
        found = self.connection.execute(
            "select 1 from duckdb_tables() where database_name = current_database() "
            "and schema_name = ? and table_name = ?",
            [self.place.schema, self.place.table],
        ).fetchall()
        if not found:
            return None
        return self.connection.sql(f"from {self.name} limit 0").to_arrow_table().schema

    def partitions(self) -> list[str]:
        """Give the partitions that were written; one without rows is known by this list alone."""
        found = self.connection.execute(
            "select comment from duckdb_columns() where database_name = current_database() "
            "and schema_name = ? and table_name = ? and column_name = ? and comment is not null",
            [self.place.schema, self.place.table, BUCKET],
        ).fetchall()
        return [key for (comment,) in found for key in json.loads(comment)]

    def read(self, partition_keys: Sequence[str] | None) -> pa.Table:
        columns = self.columns()
        if columns is None or not set(partition_keys or ()) <= set(self.partitions()):
            raise self.place.never_written()
        names = ", ".join(_quote(name) for name in columns.names if name != BUCKET)
        query = f"select {names} from {self.name}"
        if partition_keys is None:
            return self.connection.sql(query).to_arrow_table()
        of_partition = f"{query} where {_quote(BUCKET)} = ?"
        return pa.concat_tables(
            self.connection.sql(of_partition, params=[key]).to_arrow_table()
            for key in partition_keys
        )

    def replace(self, table: pa.Table) -> None:
        """Put a table where another may be, with the descriptions of its columns as comments."""
        self.connection.execute(f"create schema if not exists {self.schema_name}")
        with self._incoming(conform(table, _with_types(table.schema))):
            self.connection.execute(
                f"create or replace table {self.name} as select * from incoming"
            )
        self._comment(table.schema)

    def replace_partitions(self, parts: Mapping[str, pa.Table]) -> None:
        """Replace the rows of partitions in a table whose columns grow as needed."""
        table = concatenate(with_key(part, key) for key, part in parts.items())
        present = {get_partitioning(key) for key in parts}
        kept = {key for key in self.partitions() if get_partitioning(key) in present} - parts.keys()
        if kept:
            self._exchange(table, kept)
        else:
            self.replace(table)
        # The list is in the comment of its column: it changes and goes together with the table.
        text = {DESCRIPTION: json.dumps(sorted({*kept, *parts}))}
        self._comment(pa.schema([pa.field(BUCKET, pa.string(), metadata=text)]))

    def _exchange(self, table: pa.Table, kept: set[str]) -> None:
        """Put rows in the place of all that are not of the partitions to be kept."""
        stored = self.connection.sql(f"from {self.name} limit 0").to_arrow_table().schema
        schema = _with_types(widen_schema(stored, table.schema))
        if any(schema.field(column.name).type != column.type for column in stored):
            # Rare. Cast by Arrow, which refuses to lose a digit where DuckDB would round.
            rows = self.connection.sql(f"from {self.name}").to_arrow_table()
            self.replace(conform(rows, schema))
            stored = schema
        with self._incoming(conform(table, schema)) as types:
            for added in schema.names[len(stored.names) :]:
                self.connection.execute(
                    f"alter table {self.name} add column {_quote(added)} {types[added]}"
                )
            self.connection.execute(
                f"delete from {self.name} where not list_contains(?, {_quote(BUCKET)})",
                [sorted(kept)],
            )
            self.connection.execute(f"insert into {self.name} by name select * from incoming")
        self._comment(table.schema)

    @contextmanager
    def _incoming(self, table: pa.Table) -> Iterator[dict[str, str]]:
        """Let queries read a table as `incoming`; gives the types of its columns in DuckDB."""
        self.connection.register("incoming", table)
        relation = self.connection.sql("from incoming")
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        # DuckDB renames what it takes for the same name: no data may go by a name not its own.
        if renamed := [name for name in table.column_names if name not in types]:
            raise ValueError(
                f"Columns of table {self.place} whose name differs from another's only by case, "
                f"which DuckDB takes for the same: {', '.join(renamed)}. Rename them."
            )
        yield types
        self.connection.unregister("incoming")

    def _comment(self, schema: pa.Schema) -> None:
        for field in schema:
            if text := (field.metadata or {}).get(DESCRIPTION, b"").decode():
                self.connection.execute(
                    f"comment on column {self.name}.{_quote(field.name)} is {_literal(text)}"
                )


def _with_types(schema: pa.Schema) -> pa.Schema:
    """Make columns of only nulls text: DuckDB has no column without a type, or makes it integer."""
    return pa.schema(
        field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema
    )


def _quote(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("\0", "").replace("'", "''")
    return f"'{escaped}'"
