"""What IO managers store and load: Arrow tables if they are this package's, else DataFrames."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from redcap_dagster.dagster_private import DbIOManager
from redcap_dagster.frames import Frames, to_frame, to_table
from redcap_dagster.io_managers import TableIOManager
from redcap_dagster.partitions import BUCKET
from redcap_dagster.project import StructureError
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.tables import list_typed_columns, read_text

IO_MANAGER_KEY = "dagster/io_manager_key"
"""Metadata entry of a spec that names the IO manager of its table."""


def find_io_manager(context: dg.AssetExecutionContext, spec: dg.AssetSpec) -> object:
    """Return the IO manager of a table, which its op requires as a resource.

    Args:
        context: Context of the run.
        spec: Spec of the table.
    """
    return getattr(context.resources, str(spec.metadata[IO_MANAGER_KEY]))


def fit_to_io_manager(
    context: dg.AssetExecutionContext,
    spec: dg.AssetSpec,
    result: dg.MaterializeResult[pa.Table],
    frames: Frames | None,
) -> dg.MaterializeResult[Any]:
    """Return a result with its table as the IO manager stores it.

    Args:
        context: Context of the run.
        spec: Spec of the table.
        result: The table, with its metadata and checks.
        frames: Dtypes of a DataFrame; None for those that suit the IO manager.
    """
    io_manager = find_io_manager(context, spec)
    if isinstance(io_manager, TableIOManager):
        return result
    frames = frames or ("arrow" if isinstance(io_manager, DbIOManager) else "pandas")
    return result._replace(value=to_frame(result.value, frames))


def load_records(
    context: dg.AssetExecutionContext, spec: dg.AssetSpec, buckets: Sequence[str]
) -> pa.Table:
    """Return the stored records of an instrument, whichever IO manager keeps them.

    Args:
        context: Context of the run.
        spec: Spec of the records.
        buckets: The buckets to load. Empty for a table without buckets.

    Raises:
        StructureError: The records are not stored, or not stored as text.
    """
    tables = []
    for bucket in buckets or (None,):
        try:
            rows = _load(context, spec, bucket)
        except Exception as error:  # noqa: BLE001 an IO manager's text may hold cell values
            raise StructureError(
                f"its records ({_name(spec, bucket)}) could not be loaded from storage "
                f"({type(error).__name__}). Materialize them first, or together with the clean "
                "table."
            ) from None
        tables.append(_read_stored(to_table(rows)))
    return pa.concat_tables(tables, promote_options="default")


def load_history(
    context: dg.AssetExecutionContext, spec: dg.AssetSpec, buckets: Sequence[str]
) -> Sequence[pa.Table]:
    """Return a stored table that a run continues, in parts; none of what was never stored.

    Args:
        context: Context of the run.
        spec: Spec of the table.
        buckets: The buckets to load. Empty for a table without buckets.

    Raises:
        StructureError: The table is stored, but could not be loaded. It must not be replaced.
    """
    loaded = []
    for bucket in buckets or (None,):
        try:
            loaded.append(to_table(_load(context, spec, bucket)))
        except Exception as error:  # noqa: BLE001 an IO manager's text may hold cell values
            if _is_never_stored(context, spec, bucket, error):
                continue
            raise StructureError(
                f"{_name(spec, bucket)} could not be loaded from storage ({type(error).__name__}), "
                "so it was not replaced. If the table was dropped on purpose, wipe the "
                "materializations of this asset in Dagster."
            ) from None
    return loaded


def _load(context: dg.AssetExecutionContext, spec: dg.AssetSpec, bucket: str | None) -> Any:
    """Return a stored table, or one of its buckets, as its IO manager loads it."""
    is_ours = isinstance(find_io_manager(context, spec), TableIOManager)
    kind = pa.Table if is_ours else pd.DataFrame
    return context.load_asset_value(spec.key, python_type=kind, partition_key=bucket)


def _is_never_stored(
    context: dg.AssetExecutionContext, spec: dg.AssetSpec, bucket: str | None, error: Exception
) -> bool:
    """Whether loading failed as there is nothing to load.

    Our IO managers say so. Of others, Dagster knows whether they ever stored the table.
    """
    if isinstance(find_io_manager(context, spec), TableIOManager):
        cause: BaseException | None = error
        while cause is not None and type(cause) is not LookupError:  # not a KeyError
            cause = cause.__cause__ or cause.__context__
        return cause is not None
    query = dg.AssetRecordsFilter(spec.key, asset_partitions=None if bucket is None else [bucket])
    return not context.instance.fetch_materializations(query, limit=1).records


def _name(spec: dg.AssetSpec, bucket: str | None) -> str:
    return f"{spec.key.to_user_string()}{f', bucket {bucket}' if bucket else ''}"


def _read_stored(stored: pa.Table) -> pa.Table:
    """Return stored records as REDCap sent them: as text, except for the number of the arm.

    Raises:
        StructureError: The IO manager guessed types, so that the text is lost.
    """
    guessed = list_typed_columns(stored)
    if guessed:
        raise StructureError(
            "its records are stored with types other than text, so that the text that REDCap sent "
            f"is lost (007 became 7): {list_names(guessed)}. Use an IO manager that keeps text as "
            "text, or materialize the clean table together with its records."
        )
    return read_text(stored.select([name for name in stored.column_names if name != BUCKET]))
