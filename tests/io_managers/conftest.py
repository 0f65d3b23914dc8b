"""Both IO managers, empty, each test in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from upath import UPath

from redcap_dagster.io_managers import (
    DuckDBTableIOManager,
    ParquetTableIOManager,
    TableIOManager,
    TablePlace,
)

VISIT = TablePlace(dg.AssetKey(["trial", "clean", "visit"]))


@pytest.fixture(params=["duckdb", "parquet", "memory"])
def io_manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TableIOManager]:
    """Each kind of storage: a test that takes this holds for all of them."""
    if request.param == "duckdb":
        # The file's name is also that of a schema, which DuckDB takes for the database.
        yield DuckDBTableIOManager(database=str(tmp_path / "trial_clean.duckdb"))
    elif request.param == "parquet":
        yield ParquetTableIOManager(base_path=str(tmp_path / "tables"))
    else:
        base = UPath(f"memory://{uuid4().hex}")
        yield ParquetTableIOManager(base_path=str(base))
        if base.exists():
            base.fs.rm(base.path, recursive=True)
