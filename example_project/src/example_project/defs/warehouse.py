"""The warehouse: a DuckDB file with the tables of the studies and of the analysis."""

from pathlib import Path

import dagster as dg

from redcap_dagster import DuckDBTableIOManager

WAREHOUSE = Path(__file__).parents[3] / "warehouse.duckdb"


@dg.definitions
def warehouse() -> dg.Definitions:
    """Return it as ``io_manager``, which Dagster uses for all assets without another one."""
    return dg.Definitions(resources={"io_manager": DuckDBTableIOManager(database=str(WAREHOUSE))})
