"""Projects in a sandbox, materialized by real Dagster runs."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa

from redcap_dagster import DuckDBTableIOManager, REDCapResource, build_redcap_definitions
from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import Dialect
from redcap_dagster.sandbox.synthesis import MadeUpStudy

TOKEN_VARIABLE = "A_REDCAP_TOKEN"  # the name of a variable, not a token


@dataclass(frozen=True)
class Study:
    """A project of a sandbox, with a place for its tables and for what Dagster keeps."""

    sandbox: Sandbox
    token: str
    instance: dg.DagsterInstance
    database: Path

    def definitions(self, **options: Any) -> dg.Definitions:
        """Build the definitions of the project, by default from the sandbox's structure."""
        given = {
            "name": "study",
            "redcap": REDCapResource(url=self.sandbox.url, token=dg.EnvVar(TOKEN_VARIABLE)),
            "storage": DuckDBTableIOManager(database=str(self.database)),
        }
        return build_redcap_definitions(**{**given, **options})

    def run(
        self, definitions: dg.Definitions | None = None, *, select: Sequence[str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize all assets, or those that are named, with their checks."""
        definitions = definitions or self.definitions()
        job = definitions.resolve_implicit_global_asset_job_def()
        keys = None if select is None else [dg.AssetKey.from_user_string(key) for key in select]
        return job.execute_in_process(
            instance=self.instance, asset_selection=keys, raise_on_error=False
        )

    def check(
        self, definitions: dg.Definitions, checks: Sequence[tuple[str, str]]
    ) -> dg.ExecuteInProcessResult:
        """Launch checks alone, each an asset and a name."""
        selected = [
            dg.AssetCheckKey(dg.AssetKey.from_user_string(key), name) for key, name in checks
        ]
        job = dg.define_asset_job("checks", selection=dg.AssetSelection.checks(*selected))
        whole = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
        return whole.resolve_job_def("checks").execute_in_process(
            instance=self.instance, raise_on_error=False
        )

    def add_edited(
        self, metadata: Sequence[Mapping[str, str]], records: Sequence[Mapping[str, str]]
    ) -> str:
        """Add the project with another dictionary or other records; return its new token.

        It has the id of the project, which it is after an edit.
        """
        info = REDCapClient(self.sandbox.url, self.token).export_structure().info
        exports = {"metadata": metadata, "project": {"project_id": info["project_id"]}}
        return self.sandbox.add_project(exports=exports, records=records)

    def contents(self) -> list[str]:
        """Name what the sandbox was asked for so far."""
        return [request.content for request in self.sandbox.requests]

    def table(self, name: str) -> pa.Table:
        """Read a table of the warehouse, such as ``study_clean.form_1``."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.sql(f"from {name}").to_arrow_table()


@contextmanager
def studying(
    folder: Path,
    *arguments: Any,
    version: str | None = None,
    dialect: str | Dialect = "default",
    study: MadeUpStudy | None = None,
    **project: Any,
) -> Iterator[Study]:
    """Put a made-up study into a sandbox of its own, or a project as `Sandbox.add_project` does."""
    with (
        Sandbox(version=version, dialect=dialect) as sandbox,
        dg.DagsterInstance.ephemeral(tempdir=str(folder)) as instance,
    ):
        token = sandbox.add_study(study) if study else sandbox.add_project(*arguments, **project)
        before = os.environ.get(TOKEN_VARIABLE)
        os.environ[TOKEN_VARIABLE] = token
        try:
            yield Study(sandbox, token, instance, folder / "warehouse.duckdb")
        finally:
            os.environ.pop(TOKEN_VARIABLE)
            if before is not None:
                os.environ[TOKEN_VARIABLE] = before


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    """Give what a run materialized, by key."""
    return {
        event.materialization.asset_key.to_user_string(): event.materialization
        for event in result.get_asset_materialization_events()
    }


def versions(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Give the data versions of what a run materialized, by key."""
    return {
        key: (materialization.tags or {})["dagster/data_version"]
        for key, materialization in materializations(result).items()
    }


def entry(materialization: dg.AssetMaterialization, name: str) -> Any:
    """Give the value of a metadata entry."""
    return materialization.metadata[name].value


def summary(materialization: dg.AssetMaterialization, column: str) -> dict[str, str]:
    """Give a column of the summary of a table's columns, by name: cells that are blank or 0 not."""
    head, _, *lines = (
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in entry(materialization, "redcap/columns").splitlines()
    )
    place = head.index(column)
    return {line[0]: line[place] for line in lines if line[place] not in ("", "0")}


def keys(layer: str, tables: Iterable[str]) -> set[str]:
    """Name assets of the study."""
    return {f"study/{layer}/{table}" for table in tables}


def check_results(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], Any]:
    """Give what the checks of a run found, by asset and name; each has one result."""
    evaluations = result.get_asset_check_evaluations()
    found = {(one.asset_key.to_user_string(), one.check_name): one for one in evaluations}
    assert len(found) == len(evaluations)
    return found
