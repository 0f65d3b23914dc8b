"""From a request to clean tables in DuckDB, as Dagster runs it."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import dagster as dg

from benchmarks.server import TOKEN
from benchmarks.study import MARKER, project_of
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


def definitions(
    url: str,
    fields: int,
    database: str,
    buckets: int | None = None,
    max_cells: int | None = MAX_CELLS,
) -> dg.Definitions:
    """Define a study whose tables are kept in a DuckDB file."""
    os.environ[_VARIABLE] = TOKEN
    return build_redcap_definitions(
        name="study",
        redcap=REDCapResource(url=url, token=dg.EnvVar(_VARIABLE), max_cells=max_cells),
        project=project_of(fields),
        cleaning=CleaningRules(missing_values=[MARKER]),
        storage=DuckDBTableIOManager(database=database),
        change_sensor=True,
        partitions=PartitionSettings(buckets) if buckets else None,
    )


def by_default(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Materialize all of a study in one run: metadata, census, records and clean tables."""
    defined, instance = (
        definitions(url, int(fields), _new_database(folder)),
        dg.DagsterInstance.ephemeral(),
    )
    return partial(materialize, defined, instance)


def as_one_request(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Likewise, with all records in one request, which is held against a census."""
    defined = definitions(url, int(fields), _new_database(folder), max_cells=None)
    return partial(materialize, defined, dg.DagsterInstance.ephemeral())


def by_functions(url: str, fields: str, folder: str) -> Callable[[], None]:
    """Make the clean tables alone, as a script of our functions would, without Dagster."""
    client, project = REDCapClient(url, TOKEN), project_of(int(fields))
    rules = CleaningRules(missing_values=[MARKER])
    warehouse = DuckDBTableIOManager(database=_new_database(folder))

    def run() -> None:
        export = client.export_records_table()
        for form in (instrument.instrument_name for instrument in project.instruments):
            cleaned = clean(instrument_table(export, project, form), form, project, rules)
            warehouse.write_table(TablePlace(dg.AssetKey(["study", "clean", form])), cleaned.table)

    return run


def one_bucket(
    url: str, fields: str, database: str, buckets: str, bucket: str
) -> Callable[[], None]:
    """Materialize the records of a bucket, as the run of a partition does.

    Not by `dg.materialize`, which keeps all that is materialized until it ends.
    """
    instance = dg.DagsterInstance.local_temp(mkdtemp(dir=Path(database).parent))
    job = dg.build_reconstructable_job(
        __name__,
        "bucket_job",
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


def bucket_job(url: str, fields: int, database: str, buckets: int) -> dg.JobDefinition:
    """Make the job of a study in buckets."""
    defined = definitions(url, fields, database, buckets)
    job = dg.define_asset_job("study", dg.AssetSelection.assets(*_in_buckets(defined)))
    return dg.Definitions.merge(defined, dg.Definitions(jobs=[job])).resolve_job_def("study")


def materialize(
    defined: dg.Definitions,
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey] = (),
    bucket: str | None = None,
) -> None:
    """Materialize assets of a study, by default all that have such partitions, in this process."""
    dg.materialize(
        _in_buckets(defined) if bucket else _assets(defined),
        selection=list(keys) or None,
        partition_key=bucket,
        resources=dict(defined.resources or {}),
        instance=instance,
        run_config=_QUIET,
    )


def _assets(defined: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [one for one in defined.assets or () if isinstance(one, dg.AssetsDefinition)]


def _in_buckets(defined: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [one for one in _assets(defined) if one.partitions_def]


def _new_database(folder: str) -> str:
    return f"{mkdtemp(dir=folder)}/warehouse.duckdb"
