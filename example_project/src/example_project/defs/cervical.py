"""The study in REDCap as tables in a warehouse, and the analysis of its clean table."""

from pathlib import Path

import dagster as dg

from example_project import analysis
from redcap_dagster import (
    CleaningRules,
    DuckDBTableIOManager,
    REDCapResource,
    build_redcap_definitions,
)

WAREHOUSE = Path(__file__).parents[3] / "warehouse.duckdb"


@dg.definitions
def cervical() -> dg.Definitions:
    """Define the assets of the project that the environment names, and what is made of them."""
    warehouse = DuckDBTableIOManager(database=str(WAREHOUSE))
    redcap = build_redcap_definitions(
        name="cervical",
        redcap=REDCapResource(url=dg.EnvVar("REDCAP_API_URL"), token=dg.EnvVar("REDCAP_API_TOKEN")),
        rules=CleaningRules(missing_values=["?"]),
        io_manager=warehouse,
    )
    if analysis.CLEAN not in redcap.resolve_all_asset_keys():
        return redcap  # Your own project: write your own analysis.
    return dg.Definitions.merge(
        redcap,
        dg.Definitions(
            assets=dg.load_assets_from_modules(
                [analysis], group_name="analysis", key_prefix=["cervical", "analysis"]
            ),
            resources={"io_manager": warehouse},
        ),
    )
