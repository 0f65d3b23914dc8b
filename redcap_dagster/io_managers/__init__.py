"""IO managers that store each asset's frame as a table, never as a pickle.

In the order of use: `storage`, `duckdb` or `parquet`, `table_io_manager`, `location`, and what only
one of them needs. Imports `redcap_dagster.partitions`, `redcap_dagster.options` and
`redcap_dagster.frames` only.

An asset returns a `pandas.DataFrame`, a `pyarrow.Table`, or an object that offers the Arrow C
stream, such as a `polars.DataFrame`. An asset that takes it as input gets a DataFrame (see
`redcap_dagster.frames`), or a `pyarrow.Table` if its parameter is annotated so. The last part of
the asset key is the table, the other parts are the schema: see `TablePlace`.
"""

from redcap_dagster.frames import to_frame
from redcap_dagster.io_managers.duckdb import DuckDBTableIOManager
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.parquet import ParquetTableIOManager
from redcap_dagster.io_managers.storage import (
    Storage,
    StorageSettings,
    place_metadata,
    storage_kind,
)
from redcap_dagster.io_managers.table_io_manager import TableIOManager

__all__ = [
    "DuckDBTableIOManager",
    "ParquetTableIOManager",
    "Storage",
    "StorageSettings",
    "TableIOManager",
    "TablePlace",
    "place_metadata",
    "storage_kind",
    "to_frame",
]
