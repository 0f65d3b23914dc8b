"""One table of an open DuckDB file: its rows, its partitions, and the asset that it belongs to."""
# ruff: noqa: S608 - names in queries are quoted, everything else is a parameter

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from redcap_dagster.io_managers.duckdb_connection import ROW_GROUP_SIZE
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.schema_evolution import concatenate, conform, merge_schemas
from redcap_dagster.io_managers.table_io_manager import (
    DESCRIPTION,
    add_partition_column,
    get_source,
)
from redcap_dagster.partitions import BUCKET, get_partitioning

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DURATION = pa.duration("us")

_OWNER = "Dagster asset "
"""Beginning of a table's comment, before the key of its asset; its source is the second line."""

_MOST_COMMENTED = 1000
"""Columns of a table up to which each has its description as a comment.

DuckDB copies all columns for each comment: for 3,000 columns it takes 3 GB of memory.
"""


@dataclass(frozen=True)
class StoredTable:
    """A table of an open database as it is found, which may not exist yet."""

    connection: "DuckDBPyConnection"
    place: TablePlace
    found: Mapping[tuple[str, str], str | None]
    """The comment of each table that was at the place at first, by schema and name."""

    @cached_property
    def schema_name(self) -> str:
        """The name of its schema, quoted."""
        # With the database, which is named after its file: a schema may have the same name.
        database = self.connection.sql("select current_database()").fetchall()[0][0]
        return f"{_quote(database)}.{_quote(self.place.schema)}"

    @cached_property
    def name(self) -> str:
        """Its name with that of its schema, quoted."""
        return f"{self.schema_name}.{_quote(self.place.table)}"

    def read_owner(self) -> str | None:
        """Return the asset in the table's comment; None without a table or such a comment."""
        return self._read_comment()[0]

    def refuse_foreign(self) -> None:
        """Refuse to replace a table or view that no asset made.

        Raises:
            ValueError: There is one.
        """
        if self.read_owner() is not None:
            return
        views = self.connection.execute(
            "select 1 from duckdb_views() where database_name = current_database() "
            "and lower(schema_name) = lower(?) and lower(view_name) = lower(?)",
            [self.place.schema, self.place.table],
        ).fetchall()
        if self.found or views:
            raise ValueError(
                f"The database already has a table or view {self.place} that no Dagster asset "
                "made, or that lost its comment, which names its asset. It is not replaced. "
                f"Rename or drop it, or give asset {self.place.owner} another key."
            )

    def read_sources(self) -> Collection[str | None]:
        """Return the source of each partition, or of the table; nothing without a table."""
        if not self._is_stored:
            return []
        source = self._read_comment()[1]  # of a table without partitions
        return [source] if source else [*self.read_partitions().values()] or [None]

    def _read_comment(self) -> tuple[str | None, str | None]:
        """Return the asset and the source of the table, as far as its comment has them."""
        for comment in self.found.values():
            if comment and comment.startswith(_OWNER):
                owner, _, source = comment.removeprefix(_OWNER).partition("\n")
                return owner, source or None
        return None, None

    def write_owner(self, source: str | None = None) -> None:
        """Write the asset and the source of the table into its comment."""
        comment = _literal("\n".join(filter(None, (f"{_OWNER}{self.place.owner}", source))))
        self.connection.execute(f"comment on table {self.name} is {comment}")

    @property
    def _is_stored(self) -> bool:
        """Whether the table was stored at first."""
        return (self.place.schema, self.place.table) in self.found

    def read_partitions(self) -> dict[str, str | None]:
        """Return the partitions that were written, each with its source.

        Those without rows have no other trace.
        """
        _, comment = self._read_columns().get(BUCKET, ("", None))
        # A list of keys is that of an older version.
        return _as_mapping(json.loads(comment)) if comment else {}

    def _read_columns(self) -> dict[str, tuple[str, str | None]]:
        """Return the type and the comment of each stored column; none without a table."""
        if not self._is_stored:
            return {}
        # fetchall, always: DuckDB 2 does not run anything else before a result is read to its end.
        found = self.connection.execute(
            "select column_name, data_type, comment from duckdb_columns() "
            "where database_name = current_database() and schema_name = ? and table_name = ? "
            "order by column_index",
            [self.place.schema, self.place.table],
        ).fetchall()
        return {name: (kind, comment) for name, kind, comment in found}

    def read(self, partition_keys: Sequence[str] | None) -> pa.Table:
        """Return the table, or some of its partitions."""
        if not self._is_stored:
            raise self.place.missing_error()
        if partition_keys and not set(partition_keys) <= self.read_partitions().keys():
            raise self.place.missing_error()
        columns = self._fetch(f"from {self.name} limit 0").column_names
        names = ", ".join(_quote(name) for name in columns if name != BUCKET)
        query = f"select {names} from {self.name}"
        if partition_keys is None:
            return self._fetch(query)
        partition_query = f"{query} where {_quote(BUCKET)} = ?"
        return pa.concat_tables(self._fetch(partition_query, [key]) for key in partition_keys)

    def _fetch(self, query: str, parameters: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a query, with DuckDB's intervals as durations."""
        relation = self.connection.sql(query, params=parameters)
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        durations = [name for name, kind in types.items() if kind == "INTERVAL"]
        if not durations:
            return relation.to_arrow_table()
        counts = ", ".join(f"epoch_us({_quote(name)}) as {_quote(name)}" for name in durations)
        table = relation.project(f"* replace ({counts})").to_arrow_table()
        kinds = dict.fromkeys(durations, _DURATION)
        fields = [field.with_type(kinds.get(field.name, field.type)) for field in table.schema]
        return table.cast(pa.schema(fields))

    def replace(self, table: pa.Table) -> None:
        """Replace the table, with the descriptions of its columns as comments, up to a number."""
        self.connection.execute(f"create schema if not exists {self.schema_name}")
        stored = self._read_columns()
        with self._register(conform(table, _replace_null_types(table.schema))) as types:
            if self._has_only(types, stored):
                # Its comments stay: to write them takes longer than to write a few hundred rows.
                self.connection.execute(f"truncate {self.name}")
                self.connection.execute(f"insert into {self.name} select * from new_rows")
            else:
                self.connection.execute(
                    f"create or replace table {self.name} as select * from new_rows"
                )
                stored = {}
        self._comment(table.schema, stored)

    def replace_partitions(self, parts: Mapping[str, pa.Table]) -> None:
        """Replace the rows of partitions in a table whose schema evolves as needed."""
        table = concatenate(add_partition_column(part, key) for key, part in parts.items())
        present = {get_partitioning(key) for key in parts}
        kept = {
            key: source
            for key, source in self.read_partitions().items()
            if get_partitioning(key) in present and key not in parts
        }
        # The keys are in the column's comment: they change and are dropped with the table.
        sources = {**kept, **{key: get_source(part) for key, part in parts.items()}}
        text = {DESCRIPTION: json.dumps(sources, sort_keys=True)}
        position = table.schema.get_field_index(BUCKET)
        bucket = table.schema.field(position).with_metadata(text)
        table = table.cast(table.schema.set(position, bucket))
        if kept:
            self._exchange(table, kept.keys())
        else:
            self.replace(table)

    def _exchange(self, table: pa.Table, kept: Collection[str]) -> None:
        """Replace all rows except those of the partitions to keep."""
        stored = self._fetch(f"from {self.name} limit 0").schema
        schema = _replace_null_types(merge_schemas(stored, table.schema))
        if any(schema.field(column.name).type != column.type for column in stored):
            # Rare. Arrow casts the rows: it refuses to lose a digit, where DuckDB rounds.
            rows = self._fetch(f"from {self.name}")
            self.replace(conform(rows, schema))
            stored = schema
        with self._register(conform(table, schema)) as types:
            for added in schema.names[len(stored.names) :]:
                self.connection.execute(
                    f"alter table {self.name} add column {_quote(added)} {types[added]}"
                )
            self.connection.execute(
                f"delete from {self.name} where not list_contains(?, {_quote(BUCKET)})",
                [sorted(kept)],
            )
            self.connection.execute(f"insert into {self.name} by name select * from new_rows")
        self._comment(table.schema, self._read_columns())

    @contextmanager
    def _register(self, table: pa.Table) -> Iterator[dict[str, str]]:
        """Let queries read a table as `new_rows`, and yield the DuckDB types of its columns."""
        self.connection.register("new_rows", _read_in_row_groups(table))
        relation = self.connection.sql("from new_rows")
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        # DuckDB renames columns whose names it considers equal: data would get a wrong name.
        if renamed := [name for name in table.column_names if name not in types]:
            raise ValueError(
                f"Table {self.place} has columns whose names differ from others by case only: "
                f"{', '.join(renamed)}. DuckDB ignores the case. Rename them."
            )
        yield types
        self.connection.unregister("new_rows")

    def _has_only(
        self, types: Mapping[str, str], stored: Mapping[str, tuple[str, str | None]]
    ) -> bool:
        """Return whether the table has these columns, and no index or constraint of a user's."""
        if [(name, kind) for name, (kind, _) in stored.items()] != [*types.items()]:
            return False
        at_place = "database_name = current_database() and schema_name = ? and table_name = ?"
        added = self.connection.execute(
            f"select 1 from duckdb_indexes() where {at_place} "
            f"union all select 1 from duckdb_constraints() where {at_place}",
            [self.place.schema, self.place.table] * 2,
        ).fetchall()
        return not added

    def _comment(self, schema: pa.Schema, stored: Mapping[str, tuple[str, str | None]]) -> None:
        """Write the descriptions of columns as their comments, where the stored ones differ."""
        commented = len(schema) <= _MOST_COMMENTED
        for field in schema:
            if not commented and field.name != BUCKET:
                continue
            text = _read_description(field)
            _, before = stored.get(field.name, ("", None))
            if text != before:
                self.connection.execute(
                    f"comment on column {self.name}.{_quote(field.name)} "
                    f"is {'null' if text is None else _literal(text)}"
                )


def find_tables(
    connection: "DuckDBPyConnection", places: Sequence[TablePlace]
) -> list[StoredTable]:
    """Return the table at each place, all found by one query.

    DuckDB ignores the case of names. To list the tables is slow where a file has many.

    Raises:
        ValueError: A table belongs to another asset.
    """
    found: list[dict[tuple[str, str], str | None]] = [{} for _ in places]
    for position, schema, table, comment in connection.execute(
        "select position, schema_name, table_name, comment from duckdb_tables() join "
        "(select unnest(range(len($1))) as position, unnest($1) as place, unnest($2) as name) "
        "on lower(schema_name) = lower(place) and lower(table_name) = lower(name) "
        "where database_name = current_database()",
        [[place.schema for place in places], [place.table for place in places]],
    ).fetchall():
        found[position][schema, table] = comment
    tables = [StoredTable(connection, *one) for one in zip(places, found, strict=True)]
    for table in tables:
        table.place.check_owner(table.read_owner())
    return tables


def _read_description(field: pa.Field) -> str | None:
    """Return the description of a column, without what DuckDB cannot store."""
    return (field.metadata or {}).get(DESCRIPTION, b"").decode().replace("\0", "") or None


def _as_mapping(partitions: dict[str, str | None] | list[str]) -> dict[str, str | None]:
    return partitions if isinstance(partitions, dict) else dict.fromkeys(partitions)


def convert_durations(table: pa.Table) -> pa.Table:
    """Return a table whose durations are in microseconds, as DuckDB stores them.

    Raises:
        ValueError: A duration has nanoseconds, or is within a list or another nested value.
    """
    for position, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        problem = _holds_duration(kind)
        if pa.types.is_duration(kind):
            try:
                column = table.column(position).cast(_DURATION)
                table = table.set_column(position, field.with_type(_DURATION), column)
                problem = False
            except pa.ArrowInvalid:
                pass
        if problem:
            raise ValueError(
                f"Column {field.name!r} has durations that DuckDB cannot store: with nanoseconds, "
                "too long, or in nested values. Round them with .dt.round('us'), or give them as "
                "numbers."
            )
    return table


def _read_in_row_groups(table: pa.Table) -> pa.RecordBatchReader:
    """Return a reader of a table in batches of a row group, each of which one thread compresses."""
    pieces = (
        table.slice(first, ROW_GROUP_SIZE).combine_chunks()
        for first in range(0, len(table), ROW_GROUP_SIZE)
    )
    return pa.RecordBatchReader.from_batches(
        table.schema, (batch for piece in pieces for batch in piece.to_batches())
    )


def _holds_duration(kind: pa.DataType) -> bool:
    fields = [kind.field(number) for number in range(kind.num_fields)]
    return pa.types.is_duration(kind) or any(_holds_duration(field.type) for field in fields)


def _replace_null_types(schema: pa.Schema) -> pa.Schema:
    """Return the schema with text for columns of only nulls, which DuckDB makes integer."""
    return pa.schema(
        field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema
    )


def _quote(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
