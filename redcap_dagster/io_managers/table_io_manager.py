"""The IO manager for tables, on which those for each kind of storage are based."""

import json
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from redcap_dagster.frames import INDEX_REFUSAL, Frames, to_frame, to_table
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.partitions import BUCKET

SOURCE_ENTRY = "redcap/source"
"""Metadata entry of a table, as JSON, that says of which project in REDCap it was made."""

SOURCE = b"redcap_source"
"""Key of the same text in the metadata of an Arrow schema."""

DESCRIPTION = b"description"
"""Key of a column's description in the metadata of its Arrow field."""


class TableIOManager(dg.ConfigurableIOManager):
    """Base class of IO managers that store each asset as a table.

    Partitions of an asset share one table with the column ``_bucket``, the key of each row's
    partition, which is dropped on load. An asset that is run for several partitions at once returns
    one frame with that column.

    The asset is stored with its table (`TablePlace.owner`); no other asset can read or replace the
    table (`TablePlace.check_owner`). So is the project in REDCap that the table was made of, if its
    metadata have the entry ``redcap/source``.
    """

    kind: ClassVar[str | None] = None
    """Kind of storage that Dagster's UI shows."""

    frames: Frames = Field(
        default="pandas",
        description="Dtypes of the DataFrames that assets get as inputs: pandas for those of "
        "ordinary pandas, or arrow for Arrow dtypes. Defaults to pandas.",
    )

    @abstractmethod
    def write_table(self, place: TablePlace, table: pa.Table) -> None:
        """Replace a table; the old one stays until the new one is complete."""

    @abstractmethod
    def write_partitions(self, place: TablePlace, parts: Mapping[str, pa.Table]) -> None:
        """Replace partitions of a table; each old one stays until the new one is complete.

        Rows of another partitioning are removed: those of a table without partitions, or of
        another number of buckets (see `redcap_dagster.partitions.get_partitioning`).

        Args:
            place: Place of the table.
            parts: Rows of each partition, by its key.
        """

    @abstractmethod
    def read_table(self, place: TablePlace, partition_keys: Sequence[str] | None) -> pa.Table:
        """Return a table, or some of its partitions in the order of their keys.

        Args:
            place: Place of the table.
            partition_keys: Keys of the partitions; None for the whole table.

        Raises:
            LookupError: The table, or one of the partitions, is not stored.
        """

    def read_sources(self, places: Sequence[TablePlace]) -> Sequence[Collection[str | None] | None]:
        """Return of which projects in REDCap stored tables were made.

        Args:
            places: Places of the tables.

        Returns:
            For each place, the text of the metadata entry ``redcap/source`` of each part of the
            table; None for a part that does not say it. Nothing where no table is stored. By
            default None for each place: this storage cannot tell.
        """
        return [None for _ in places]

    @abstractmethod
    def get_table_name(self, place: TablePlace) -> str:
        """Return the name of a table in its storage, for the metadata `dagster/table_name`."""

    def find_table_name(self, place: TablePlace) -> str | None:
        """Return the name of a table before a run; None if only a run knows it.

        A run knows the values of environment variables, and the folder of its Dagster instance.
        """
        if any(isinstance(value, dg.EnvVar) for _, value in self):
            return None
        with suppress(ValueError):
            return self.get_table_name(place)
        return None

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Store what an asset returned: a DataFrame, an Arrow table, or what offers the C stream.

        Raises:
            TypeError: The output is not a table.
            ValueError: The output cannot be stored as a table, or divided into its partitions; or
                the table belongs to another asset.
            dg.DagsterInvariantViolationError: The asset returned None, but is not annotated so.
        """
        if obj is None:
            raise dg.DagsterInvariantViolationError(
                "The asset returned None, which is not a table. If it does not store anything, "
                "annotate it with '-> None' or return a MaterializeResult without a value."
            )
        place = _get_place(context)
        table = _add_source(_add_descriptions(_to_arrow(obj), context), context)
        if context.has_asset_partitions:
            self.write_partitions(place, _split_partitions(table, context.asset_partition_keys))
        else:
            if BUCKET in table.column_names:
                raise ValueError(
                    f"The frame has a column {BUCKET}, which is reserved for partition keys, but "
                    "the asset does not have partitions. To store it, rename the column."
                )
            self.write_table(place, table)
        name = self.get_table_name(place)
        told = {"dagster/table_name": name, **context.definition_metadata}["dagster/table_name"]
        if told == name and "dagster/table_name" not in context.output_metadata:
            context.add_output_metadata({"dagster/table_name": name})

    def load_input(self, context: dg.InputContext) -> pd.DataFrame | pa.Table | None:
        """Return the stored table of an asset as a DataFrame, with the dtypes of `frames`.

        A parameter that is annotated as `pyarrow.Table` gets such a table. Several partitions are
        one table. The input of a partition that does not depend on any partition is None.

        Raises:
            LookupError: The table, or one of its partitions, is not stored here.
            ValueError: The table belongs to another asset.
        """
        keys = context.asset_partition_keys if context.has_asset_partitions else None
        if keys is not None and not keys:
            return None
        table = self.read_table(_get_place(context), keys)
        if context.dagster_type.typing_type is pa.Table:
            return table
        return to_frame(table, self.frames)


def _get_place(context: dg.OutputContext | dg.InputContext) -> TablePlace:
    """Return the place of the asset's table.

    Raises:
        dg.DagsterInvariantViolationError: The value is not an asset.
    """
    if not context.has_asset_key:
        raise dg.DagsterInvariantViolationError(
            "This IO manager stores assets only, but an op of a graph returned the value. Give the "
            "output of that op another io_manager_key."
        )
    return TablePlace(context.asset_key)


def _split_partitions(table: pa.Table, keys: Sequence[str]) -> Mapping[str, pa.Table]:
    """Return the rows of each partition, by the column ``_bucket`` if there are several."""
    if BUCKET not in table.column_names:
        if len(keys) == 1:
            return {keys[0]: table}
        raise ValueError(
            f"The asset returned one frame for {len(keys)} partitions without the column {BUCKET}, "
            "so its rows cannot be assigned to partitions. Add that column with the partition key "
            "of each row, or use BackfillPolicy.multi_run(), one run per partition."
        )
    row_keys = table[BUCKET].cast(pa.string())
    others = pc.sum(pc.invert(pc.is_in(row_keys, pa.array(keys, pa.string()))), min_count=0).as_py()
    if others:
        raise ValueError(
            f"{others} of {len(table)} rows have a value in the column {BUCKET} that is not a "
            "partition key of this run. Set it to the partition key of each row."
        )
    rows = table.drop_columns(BUCKET)
    return {key: rows.filter(pc.equal(row_keys, key)) for key in keys}


def _to_arrow(obj: Any) -> pa.Table:
    """Return an asset's output as a table.

    Raises:
        TypeError: The output is not a table.
        ValueError: It cannot be stored without loss; the message does not hold values.
    """
    if isinstance(obj, pd.DataFrame) and not obj.index.equals(pd.RangeIndex(len(obj))):
        raise ValueError(INDEX_REFUSAL)
    table = to_table(obj)
    if not table.column_names:
        raise ValueError("The frame does not have columns. Return a frame with at least one.")
    return table


def add_partition_column(table: pa.Table, partition_key: str) -> pa.Table:
    """Return a table with the column of its partition key."""
    return table.append_column(BUCKET, pa.repeat(pa.scalar(partition_key, pa.string()), len(table)))


def get_source(table: pa.Table) -> str | None:
    """Return the text that says of which project in REDCap a table was made; None without one."""
    text: bytes | None = (table.schema.metadata or {}).get(SOURCE)
    return None if text is None else text.decode()


def _add_source(table: pa.Table, context: dg.OutputContext) -> pa.Table:
    """Return a table whose schema says of which project in REDCap it was made, if that is known."""
    entry = context.output_metadata.get(SOURCE_ENTRY)
    if entry is None:
        return table
    content = entry.value if isinstance(entry, dg.MetadataValue) else entry
    return table.replace_schema_metadata({SOURCE: json.dumps(content, sort_keys=True)})


def _add_descriptions(table: pa.Table, context: dg.OutputContext) -> pa.Table:
    """Return a table whose columns have the descriptions of the asset's `dagster/column_schema`.

    Metadata of a MaterializeResult are the output's, those of an AssetSpec the definition's.
    """
    metadata = {**context.definition_metadata, **context.output_metadata}
    entry = metadata.get("dagster/column_schema")
    schema = entry.schema if isinstance(entry, dg.TableSchemaMetadataValue) else entry
    if not isinstance(schema, dg.TableSchema):
        return table
    texts = {column.name: column.description for column in schema.columns}
    fields = [
        field.with_metadata({DESCRIPTION: texts[field.name]}) if texts.get(field.name) else field
        for field in table.schema
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))
