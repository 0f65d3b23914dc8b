"""Runs of Dagster that export a study and store its tables in DuckDB or Parquet."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import dagster as dg

from benchmarks.server import TOKEN
from benchmarks.study import MARKER, make_project
from redcap_dagster import (
    CleaningRules,
    DuckDBTableIOManager,
    ParquetTableIOManager,
    PartitionSettings,
    REDCapResource,
    build_redcap_definitions,
)
from redcap_dagster.api import MAX_CELLS, REDCapClient
from redcap_dagster.io_managers import TableIOManager
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.tables import clean, instrument_table

QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
"""Configuration of runs that print errors only."""

_DATABASE = ".duckdb"
_VARIABLE = "A_REDCAP_TOKEN"  # the name of a variable, not a token


def build_definitions(
    url: str,
    fields: int,
    storage: TableIOManager,
    *,
    buckets: int | None = None,
    max_cells: int | None = MAX_CELLS,
    study: str = "mixed",
    queries: bool = False,
) -> dg.Definitions:
    """Return the definitions of a study."""
    os.environ[_VARIABLE] = TOKEN
    return build_redcap_definitions(
        name="study",
        redcap=REDCapResource(url=url, token=dg.EnvVar(_VARIABLE), max_cells=max_cells),
        project=make_project(fields, study),
        cleaning=CleaningRules(missing_values=[MARKER]),
        storage=storage,
        change_sensor=True,
        partitions=PartitionSettings(buckets) if buckets else None,
        queries=queries,
    )


def prepare_query_run(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Prepare one run into DuckDB with queries, of a study with branching logic."""
    return _prepare_job(url, fields, _name_database(folder), study="branching", queries=True)


def prepare_run(url: str, fields: str, folder: str, study: str = "mixed") -> Callable[[], None]:
    """Prepare one run of all assets into DuckDB: metadata, census, records and clean tables."""
    return _prepare_job(url, fields, _name_database(folder), study=study)


def prepare_parquet_run(
    url: str, fields: str, folder: str, study: str = "mixed"
) -> Callable[[], None]:
    """Prepare the same run into Parquet files."""
    return _prepare_job(url, fields, mkdtemp(dir=folder), study=study)


def prepare_small_run(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Prepare one run of all assets into DuckDB, whose events are kept in SQLite."""
    defined = build_definitions(url, int(fields), make_duckdb(folder))
    return partial(materialize, defined, make_instance(Path(folder)))


def prepare_empty_run(assets: str, checks: str, folder: str) -> Callable[[], object]:
    """Prepare a run of one op whose assets and checks hold nothing."""
    specs = [dg.AssetSpec(f"asset_{number}") for number in range(int(assets))]
    check_specs = [
        dg.AssetCheckSpec(f"check_{number}", asset=specs[number % len(specs)].key)
        for number in range(int(checks))
    ]

    @dg.multi_asset(specs=specs, check_specs=check_specs)
    def do_nothing() -> Iterator[dg.MaterializeResult[None]]:
        for spec in specs:
            results = [
                dg.AssetCheckResult(passed=True, check_name=check.name, asset_key=check.asset_key)
                for check in check_specs
                if check.asset_key == spec.key
            ]
            yield dg.MaterializeResult(asset_key=spec.key, check_results=results)

    instance = make_instance(Path(folder))
    return partial(dg.materialize, [do_nothing], instance=instance, run_config=QUIET)


def prepare_one_request_run(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Prepare one run of all assets, with all records in one request, checked with a census."""
    return _prepare_job(url, fields, _name_database(folder), max_cells=None)


def prepare_functions(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Prepare a script that makes clean tables with our functions, without Dagster."""
    client, project = REDCapClient(url, TOKEN), make_project(int(fields))
    rules = CleaningRules(missing_values=[MARKER])
    warehouse = make_duckdb(folder)

    def run() -> None:
        export = client.export_records_table()
        for form in (instrument.instrument_name for instrument in project.instruments):
            cleaned = clean(instrument_table(export, project, form), form, project, rules)
            warehouse.write_table(TablePlace(dg.AssetKey(["study", "clean", form])), cleaned.table)

    return run


def prepare_bucket_run(
    url: str, fields: str, database: str, buckets: str, bucket: str
) -> Callable[[], None]:
    """Prepare the run of a bucket, as Dagster runs a partition."""
    instance = make_instance(Path(database).parent)
    return _prepare_job(url, fields, database, instance, bucket, buckets=int(buckets))


def _prepare_job(
    url: str,
    fields: str,
    path: str,
    instance: dg.DagsterInstance | None = None,
    bucket: str | None = None,
    **options: Any,
) -> Callable[[], None]:
    """Prepare a run of all assets of a study, as Dagster runs it.

    Not with `dg.materialize`, which keeps all values in memory until it ends.
    """
    kwargs = {"url": url, "fields": int(fields), "path": path, **options}
    job = dg.build_reconstructable_job(__name__, "build_job", reconstructable_kwargs=kwargs)
    instance = instance or dg.DagsterInstance.ephemeral()
    job.get_definition()

    def run() -> None:
        dg.execute_job(
            job,
            instance,
            {"execution": {"config": {"in_process": {}}}, **QUIET},
            tags={"dagster/partition": bucket} if bucket else None,
            raise_on_error=True,
        )

    return run


def build_job(url: str, fields: int, path: str, **options: Any) -> dg.JobDefinition:
    """Return the job of a study, which stores its tables in a DuckDB file or a folder."""
    is_database = path.endswith(_DATABASE)
    storage: TableIOManager = (
        DuckDBTableIOManager(database=path)
        if is_database
        else ParquetTableIOManager(base_path=path)
    )
    defined = build_definitions(url, fields, storage, **options)
    assets = _list_bucketed_assets(defined) if options.get("buckets") else _list_assets(defined)
    job = dg.define_asset_job("study", dg.AssetSelection.assets(*assets))
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
        run_config=QUIET,
    )


def _list_assets(defined: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [one for one in defined.assets or () if isinstance(one, dg.AssetsDefinition)]


def _list_bucketed_assets(defined: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [one for one in _list_assets(defined) if one.partitions_def]


def make_instance(folder: Path) -> dg.DagsterInstance:
    """Return a new Dagster instance that keeps its events in SQLite."""
    return dg.DagsterInstance.local_temp(mkdtemp(dir=folder))


def make_duckdb(folder: str) -> DuckDBTableIOManager:
    """Return storage in a new DuckDB file of a folder."""
    return DuckDBTableIOManager(database=_name_database(folder))


def _name_database(folder: str) -> str:
    return f"{mkdtemp(dir=folder)}/warehouse{_DATABASE}"
