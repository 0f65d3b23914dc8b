"""What Dagster asks of an IO manager, for tables; each kind of storage says how it keeps them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.partitions import BUCKET

DESCRIPTION = b"description"
"""The key of a column's description in the metadata of its Arrow field."""


class TableIOManager(dg.ConfigurableIOManager):
    """Stores each asset as a table; the base of the IO managers for one kind of storage.

    Partitions of an asset share one table, and the column ``_bucket`` says which partition a row
    is of; it is dropped on load. A run of several partitions hands out one frame with that column.

    Each table says which asset it is of (`TablePlace.owner`), and no other asset gets or replaces
    it (`TablePlace.check_owner`).
    """

    kind: ClassVar[str | None] = None
    """Kind of storage that Dagster\'s UI shows."""

    @abstractmethod
    def write_table(self, place: TablePlace, table: pa.Table) -> None:
        """Replace a table; the old one stays until the new one is whole."""

    @abstractmethod
    def write_partitions(self, place: TablePlace, parts: Mapping[str, pa.Table]) -> None:
        """Replace partitions of a table, by their keys; each stays until the new one is whole.

        What is stored of another partitioning goes: the table that had no partitions, and buckets
        of another number (see `redcap_dagster.partitions.get_partitioning`).
        """

    @abstractmethod
    def read_table(self, place: TablePlace, partition_keys: Sequence[str] | None) -> pa.Table:
        """Read a table (None), or some of its partitions, in the order of their keys.

        Raises:
            LookupError: The table, or one of the partitions, was never written.
        """

    @abstractmethod
    def get_table_name(self, place: TablePlace) -> str:
        """Say where a table is, for `dagster/table_name`."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Store the frame of an asset.

        Raises:
            ValueError: What the asset returned cannot be kept as a table, or in its partitions; or
                the table is that of another asset.
            dg.DagsterInvariantViolationError: It returned nothing, without saying so.
        """
        if obj is None:
            raise dg.DagsterInvariantViolationError(
                "The asset returned None, which is no table. If it is meant to store nothing, "
                "annotate it with '-> None' or return a MaterializeResult without a value."
            )
        place = _place(context)
        table = _describe(_to_arrow(obj), context)
        if context.has_asset_partitions:
            self.write_partitions(place, _split(table, context.asset_partition_keys))
        else:
            if BUCKET in table.column_names:
                raise ValueError(
                    f"{BUCKET} is where partition keys are kept, and this asset has none: rename "
                    "that column."
                )
            self.write_table(place, table)
        if "dagster/table_name" not in {**context.definition_metadata, **context.output_metadata}:
            context.add_output_metadata({"dagster/table_name": self.get_table_name(place)})

    def load_input(self, context: dg.InputContext) -> pd.DataFrame | pa.Table | None:
        """Load an asset as a frame with pyarrow dtypes, or as the `pyarrow.Table` asked for.

        Several partitions come as one table. None is for a partition that depends on none.

        Raises:
            LookupError: It, or one of its partitions, was never stored here.
            ValueError: The table is that of another asset.
        """
        keys = context.asset_partition_keys if context.has_asset_partitions else None
        if keys is not None and not keys:
            return None
        table = self.read_table(_place(context), keys)
        if context.dagster_type.typing_type is pa.Table:
            return table
        return to_frame(table)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Give a table as pandas: Arrow dtypes, dictionaries as categoricals, which pandas can sort."""

    def dtype(kind: pa.DataType) -> pd.ArrowDtype | None:
        return None if pa.types.is_dictionary(kind) else pd.ArrowDtype(kind)

    frame: pd.DataFrame = table.to_pandas(types_mapper=dtype, ignore_metadata=True)
    return frame


def _place(context: dg.OutputContext | dg.InputContext) -> TablePlace:
    if not context.has_asset_key:
        raise dg.DagsterInvariantViolationError(
            "This IO manager stores assets, and what is passed between the ops of a graph is none. "
            "Give that op's output another io_manager_key."
        )
    return TablePlace(context.asset_key)


def _split(table: pa.Table, keys: Sequence[str]) -> Mapping[str, pa.Table]:
    """Give each partition its rows: all of them to one, or to several by the column that says."""
    if BUCKET not in table.column_names:
        if len(keys) == 1:
            return {keys[0]: table}
        raise ValueError(
            f"One frame for {len(keys)} partitions: which rows belong to which cannot be told. "
            f"Give it a column {BUCKET} with the partition key of each row, or launch the backfill "
            "with one run for each partition (BackfillPolicy.multi_run())."
        )
    of_rows = table[BUCKET].cast(pa.string())
    others = pc.sum(pc.invert(pc.is_in(of_rows, pa.array(keys, pa.string()))), min_count=0).as_py()
    if others:
        raise ValueError(
            f"{others} of {len(table)} rows have in {BUCKET} no partition key of this run."
        )
    rows = table.drop_columns(BUCKET)
    return {key: rows.filter(pc.equal(of_rows, key)) for key in keys}


def _to_arrow(obj: object) -> pa.Table:
    """Turn what an asset returned into a table, with neither values in errors nor hidden losses."""
    if isinstance(obj, pd.DataFrame):
        _check_names(list(obj.columns))
        index = obj.index
        if index.names != [None] or not index.equals(pd.RangeIndex(len(obj))):
            raise ValueError(
                "The frame has an index of its own, which a table does not keep. Call "
                "reset_index() to make it a column, or reset_index(drop=True) to let go of it."
            )
        return pa.table({name: _to_arrow_column(name, obj[name]) for name in obj.columns})
    if isinstance(obj, pa.Table):
        _check_names(obj.column_names)
        return obj.replace_schema_metadata(None)
    raise ValueError(
        f"The asset returned {type(obj).__module__}.{type(obj).__qualname__}; this IO manager "
        "stores pandas.DataFrame and pyarrow.Table."
    )


def _to_arrow_column(name: str, column: "pd.Series[Any]") -> pa.ChunkedArray:
    # Column by column, so that the error can name it: pyarrow's own text holds values.
    try:
        frame = pd.DataFrame({name: column})
        arrow = pa.Table.from_pandas(frame, preserve_index=False).column(0)
        if pa.types.is_dictionary(arrow.type) and pa.types.is_null(arrow.type.value_type):
            return pa.chunked_array([pa.nulls(len(arrow), pa.string())])  # no categories
        return arrow
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        raise ValueError(
            f"Column {name!r} (dtype {column.dtype}) holds values of mixed kinds, or of one that "
            "no table has. Give it one type, for instance with astype('string[pyarrow]')."
        ) from None


def _check_names(names: list[object]) -> None:
    """Refuse names that a table cannot have."""
    if not names:
        raise ValueError("The frame has no columns, and a table needs at least one.")
    others = sum(not isinstance(name, str) or not name for name in names)
    if others:
        raise ValueError(f"{others} of {len(names)} columns have a name that is no text, or blank.")
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Columns that come more than once: {', '.join(twice)}. Rename them.")


def with_key(table: pa.Table, partition_key: str) -> pa.Table:
    """Add the column that says which partition the rows are of."""
    return table.append_column(BUCKET, pa.repeat(pa.scalar(partition_key, pa.string()), len(table)))


def _describe(table: pa.Table, context: dg.OutputContext) -> pa.Table:
    """Give the columns the descriptions of the `dagster/column_schema` of their asset.

    A MaterializeResult's metadata is the output's; that of the AssetSpec is the definition's.
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
