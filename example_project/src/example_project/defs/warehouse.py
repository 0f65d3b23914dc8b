"""Where all tables are kept: those of the studies, and what is made of them."""

from pathlib import Path

import dagster as dg

from redcap_dagster import DuckDBTableIOManager

WAREHOUSE = Path(__file__).parents[3] / "warehouse.duckdb"


@dg.definitions
def warehouse() -> dg.Definitions:
    """Name it so that Dagster keeps there whatever says nothing else."""
    return dg.Definitions(resources={"io_manager": DuckDBTableIOManager(database=str(WAREHOUSE))})
