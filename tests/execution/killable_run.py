"""A run of the pipeline in a process that can be killed."""

import os
from pathlib import Path

import dagster as dg

from redcap_dagster import (
    DuckDBTableIOManager,
    ParquetTableIOManager,
    REDCapResource,
    build_redcap_definitions,
)
from redcap_dagster.io_managers import TableIOManager
from tests.dagster_runs import TOKEN_VARIABLE

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def io_manager(kind: str, folder: Path) -> TableIOManager:
    if kind == "duckdb":
        return DuckDBTableIOManager(database=str(folder / "warehouse" / "study.duckdb"))
    return ParquetTableIOManager(base_path=str(folder / "warehouse"))


def materialize(kind: str, folder: Path, url: str, token: str) -> None:
    """Materialize all tables of a project."""
    os.environ[TOKEN_VARIABLE] = token
    definitions = build_redcap_definitions(
        name="study",
        redcap=REDCapResource(url=url, token=dg.EnvVar(TOKEN_VARIABLE)),
        storage=io_manager(kind, folder),
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral(tempdir=str(folder)) as instance:
        job.execute_in_process(instance=instance, run_config=QUIET)
