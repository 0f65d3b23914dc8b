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
    key = spec.key
    is_ours = isinstance(find_io_manager(context, spec), TableIOManager)
    kind = pa.Table if is_ours else pd.DataFrame
    loaded = []
    for bucket in buckets or (None,):
        try:
            rows = context.load_asset_value(key, python_type=kind, partition_key=bucket)
        except Exception as error:  # noqa: BLE001 an IO manager's text may hold cell values
            of_bucket = f", bucket {bucket}" if bucket else ""
            raise StructureError(
                f"its records ({key.to_user_string()}{of_bucket}) could not be loaded from storage "
                f"({type(error).__name__}). Materialize them first, or together with the clean "
                "table."
            ) from None
        loaded.append(to_table(rows))
    tables = [_read_stored(table) for table in loaded]
    return pa.concat_tables(tables, promote_options="default")


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
