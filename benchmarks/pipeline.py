"""Runs of Dagster that export a study and store its clean tables in DuckDB."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import dagster as dg

from benchmarks.server import TOKEN
from benchmarks.study import MARKER, make_project
from redcap_dagster import (
    CleaningRules,
    DuckDBTableIOManager,
    PartitionSettings,
    REDCapResource,
    build_redcap_definitions,
)
from redcap_dagster.api import MAX_CELLS, REDCapClient
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.tables import clean, instrument_table

_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}

_VARIABLE = "A_REDCAP_TOKEN"  # the name of a variable, not a token


def build_definitions(
    url: str,
    fields: int,
    database: str,
    buckets: int | None = None,
    max_cells: int | None = MAX_CELLS,
) -> dg.Definitions:
    """Return the definitions of a study whose tables are stored in a DuckDB file."""
    os.environ[_VARIABLE] = TOKEN
    return build_redcap_definitions(
        name="study",
        redcap=REDCapResource(url=url, token=dg.EnvVar(_VARIABLE), max_cells=max_cells),
        project=make_project(fields),
        cleaning=CleaningRules(missing_values=[MARKER]),
        storage=DuckDBTableIOManager(database=database),
        change_sensor=True,
        partitions=PartitionSettings(buckets) if buckets else None,
    )


def prepare_run(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Prepare one run of all assets: metadata, census, records and clean tables."""
    defined, instance = (
        build_definitions(url, int(fields), _make_database_path(folder)),
        dg.DagsterInstance.ephemeral(),
    )
    return partial(materialize, defined, instance)


def prepare_one_request_run(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Prepare one run of all assets, with all records in one request, checked with a census."""
    defined = build_definitions(url, int(fields), _make_database_path(folder), max_cells=None)
    return partial(materialize, defined, dg.DagsterInstance.ephemeral())


def prepare_functions(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Prepare a script that makes clean tables with our functions, without Dagster."""
    client, project = REDCapClient(url, TOKEN), make_project(int(fields))
    rules = CleaningRules(missing_values=[MARKER])
    warehouse = DuckDBTableIOManager(database=_make_database_path(folder))

    def run() -> None:
        export = client.export_records_table()
        for form in (instrument.instrument_name for instrument in project.instruments):
            cleaned = clean(instrument_table(export, project, form), form, project, rules)
            warehouse.write_table(TablePlace(dg.AssetKey(["study", "clean", form])), cleaned.table)

    return run


def prepare_bucket_run(
    url: str, fields: str, database: str, buckets: str, bucket: str
) -> Callable[[], None]:
    """Prepare the run of a bucket, as Dagster runs a partition.

    Not with `dg.materialize`, which keeps all values in memory until it ends.
    """
    instance = dg.DagsterInstance.local_temp(mkdtemp(dir=Path(database).parent))
    job = dg.build_reconstructable_job(
        __name__,
        "build_bucket_job",
        reconstructable_kwargs={
            "url": url,
            "fields": int(fields),
            "database": database,
            "buckets": int(buckets),
        },
    )

    def run() -> None:
        dg.execute_job(
            job,
            instance,
            {"execution": {"config": {"in_process": {}}}, **_QUIET},
            tags={"dagster/partition": bucket},
            raise_on_error=True,
        )

    return run


def build_bucket_job(url: str, fields: int, database: str, buckets: int) -> dg.JobDefinition:
    """Return the job of a study in buckets."""
    defined = build_definitions(url, fields, database, buckets)
    job = dg.define_asset_job("study", dg.AssetSelection.assets(*_list_bucketed_assets(defined)))
    return dg.Definitions.merge(defined, dg.Definitions(jobs=[job])).resolve_job_def("study")


def materialize(
    defined: dg.Definitions,
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey] = (),
    bucket: str | None = None,
) -> None:
    """Materialize assets of a study in this process.

    Args:
        defined: Definitions of the study.
        instance: Dagster instance.
        keys: Assets to materialize. Defaults to all.
        bucket: Bucket to materialize. Defaults to None, for assets without partitions.
    """
    dg.materialize(
        _list_bucketed_assets(defined) if bucket else _list_assets(defined),
        selection=list(keys) or None,
        partition_key=bucket,
        resources=dict(defined.resources or {}),
        instance=instance,
        run_config=_QUIET,
    )


def _list_assets(defined: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [one for one in defined.assets or () if isinstance(one, dg.AssetsDefinition)]


def _list_bucketed_assets(defined: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [one for one in _list_assets(defined) if one.partitions_def]


def _make_database_path(folder: str) -> str:
    return f"{mkdtemp(dir=folder)}/warehouse.duckdb"
