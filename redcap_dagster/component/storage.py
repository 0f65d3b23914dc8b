"""The option ``storage`` in YAML: a DuckDB file, Parquet files, or another resource."""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from redcap_dagster.component.yaml_options import OptionModel
from redcap_dagster.frames import Frames
from redcap_dagster.io_managers import (
    DuckDBTableIOManager,
    ParquetTableIOManager,
    Storage,
    StorageSettings,
)

_COMPANIONS = {
    "duckdb": ["lock_timeout", "storage_version"],
    "parquet": ["storage_options"],
    "io_manager_key": ["kind"],
}
"""The places of tables, each with its own options; YAML names one place."""


class StorageModel(OptionModel):
    """Where the tables are stored: in a DuckDB file, as Parquet files, or by an IO manager."""

    model_config = ConfigDict(
        title="storage",
        json_schema_extra={
            "oneOf": [{"required": [place]} for place in _COMPANIONS],
            "dependentRequired": {
                name: [place] for place, names in _COMPANIONS.items() for name in names
            },
        },
    )

    duckdb: str | None = Field(
        default=None,
        description="Path of a DuckDB file, relative to the root of the Dagster project.",
        examples=["warehouse.duckdb"],
    )
    lock_timeout: float = DuckDBTableIOManager.model_fields["lock_timeout"]  # type: ignore[assignment]
    storage_version: str = DuckDBTableIOManager.model_fields["storage_version"]  # type: ignore[assignment]
    parquet: str | None = Field(
        default=None,
        description="Folder of Parquet files, relative to the root of the Dagster project, or a "
        "URL.",
        examples=["s3://bucket/redcap"],
    )
    storage_options: dict[str, Any] = ParquetTableIOManager.model_fields["storage_options"]  # type: ignore[assignment]
    io_manager_key: str | None = Field(
        default=None, description="Key of your own IO manager that stores the tables."
    )
    kind: str | None = Field(
        default=None,
        description="Kind of storage that Dagster's UI shows for your own resource, such as "
        "snowflake.",
    )

    frames: Frames | None = Field(
        default=None,
        description="Dtypes of the DataFrames that assets get from duckdb or parquet, or that your "
        "own IO manager gets: pandas for those of ordinary pandas, or arrow for Arrow dtypes. "
        "Defaults to pandas, and to arrow for Dagster's own database IO managers.",
    )

    @model_validator(mode="after")
    def _check_place(self) -> "StorageModel":
        places = [name for name in _COMPANIONS if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError("storage: give one of duckdb, parquet and io_manager_key.")
        strange = self.model_fields_set - {"frames", *places, *_COMPANIONS[places[0]]}
        if strange:
            names = ", ".join(sorted(strange))
            raise ValueError(f"storage: {names} cannot be used with {places[0]}. Leave it out.")
        return self

    def storage(self, root: Path) -> Storage:
        """Return what `build_redcap_definitions` takes as ``storage``.

        Args:
            root: Root of the Dagster project.
        """
        frames = self.frames or "pandas"
        if self.duckdb is not None:
            database = str(root / self.duckdb)
            return DuckDBTableIOManager(
                database=database,
                lock_timeout=self.lock_timeout,
                storage_version=self.storage_version,
                frames=frames,
            )
        if self.parquet is not None:
            base = self.parquet if "://" in self.parquet else str(root / self.parquet)
            return ParquetTableIOManager(
                base_path=base, storage_options=self.storage_options, frames=frames
            )
        return StorageSettings(str(self.io_manager_key), kind=self.kind, frames=self.frames)
