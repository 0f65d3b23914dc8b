"""One run of the op of records and clean tables: what it selects, exports and loads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import (
    ProjectChangedError,
    ProjectStructure,
    RecordExport,
    REDCapClient,
    REDCapError,
)
from redcap_dagster.catalog.metadata import (
    export_metadata,
    project_metadata,
    time_metadata,
)
from redcap_dagster.catalog.source import ProjectSource
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.execution.record_source import (
    check_export,
    existing_instruments,
    export_instruments,
    filter_by_bucket,
    observe_groups_and_surveys,
)
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.system_columns import ACCESS_GROUP

EXPORT_CHECKS = frozenset({"export_complete", "nothing_hidden"})
"""Checks that judge an export, so that records are exported for them even if none are stored."""

_ATTEMPTS = 3
"""How often structure and records are exported while the project is being changed."""

_T = TypeVar("_T")

Result = dg.MaterializeResult[Any] | dg.AssetCheckResult
"""What an op yields: a table that is stored, or the result of a check alone."""


@dataclass(frozen=True)
class Run:
    """One run: one snapshot of the structure and, if selected, the census and the records.

    Attributes:
        context: Dagster's context of the op.
        recipe: How tables are made.
        selection: The assets, checks and buckets that are selected.
        client: The client of the project.
        structure: The structure, as exported.
        project: The same as a model, with the columns that the export's header shows.
        began: When the first request was sent, in UTC.
        census: The records and events that REDCap lists in the selected buckets, if exported.
        listed: How many pairs of record and event REDCap lists in all buckets, if exported.
        exported_instruments: The instruments whose records were exported.
        not_exported: Why the records of other instruments cannot be exported.
        export: Their records, if there are such instruments.
        unplaced_cells: Counts of exported cells that belong to no table, by column.
    """

    context: dg.AssetExecutionContext = field(repr=False)
    recipe: Recipe
    selection: Selection
    client: REDCapClient
    structure: ProjectStructure = field(repr=False)
    project: REDCapProject = field(repr=False)
    began: datetime
    census: pa.Table | None = field(default=None, repr=False)
    listed: int | None = None
    exported_instruments: Sequence[str] = ()
    not_exported: Mapping[str, str] = field(default_factory=dict)
    export: RecordExport | None = field(default=None, repr=False)
    unplaced_cells: Mapping[str, int] = field(default_factory=dict)
    _remembered: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def source(self) -> ProjectSource:
        """The project that the tables of this run are made of."""
        return ProjectSource.of(self.client.url, self.project)

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata of all tables that this run exports: the project, when, and how."""
        of_project = project_metadata(self.client.url, self.project)
        if self.export is not None:
            return {**of_project, **export_metadata(self.export)}
        return {**of_project, **time_metadata(self.began), "redcap/listed": self.listed}

    def remember(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return the result of a function, which is called once for the same key.

        Args:
            key: What the result depends on, beside this run.
            make: The function.
        """
        if key not in self._remembered:
            self._remembered[key] = make()
        found: _T = self._remembered[key]
        return found

    @cached_property
    def has_no_groups(self) -> bool:
        """Whether the project certainly does not have access groups, which takes a request."""
        try:
            return not self.client.groups.export()
        except REDCapError:  # without the right to the groups, nobody can say
            return False

    @property
    def has_all_buckets(self) -> bool:
        """Whether the run is about all buckets; true without buckets."""
        return len(self.selection.buckets) == self.recipe.tables.buckets

    def sees_all_records(self, table: pa.Table) -> bool:
        """Whether the token's user certainly sees the records of all access groups.

        REDCap leaves the column of the groups out for a user in a group, but also for one who may
        not read the groups, and in a project without groups. Only without it, REDCap is requested.

        Args:
            table: Rows of an export with the access groups.
        """
        return ACCESS_GROUP in table.column_names or self.has_no_groups

    def replaces(self, instrument: str) -> bool:
        """Whether the run replaces the stored records of an instrument."""
        return self.selection.has(self.recipe.tables.records[instrument])

    def needs_export(self, instrument: str) -> bool:
        """Whether the records must be exported: for their asset, or for checks of an export."""
        spec = self.recipe.tables.records[instrument]
        selected = self.selection.checks_of(spec)
        return self.selection.has(spec) or not selected.isdisjoint(EXPORT_CHECKS)

    def loads_records(self, instrument: str) -> bool:
        """Whether the records must be loaded: for their other checks, or for the clean table."""
        spec = self.recipe.tables.records[instrument]
        if self.selection.has(spec):
            return False
        return self.needs_clean(instrument) or bool(self.selection.checks_of(spec) - EXPORT_CHECKS)

    def needs_clean(self, instrument: str) -> bool:
        """Whether the clean table must be made: for its asset, or for its checks."""
        spec = self.recipe.tables.clean[instrument]
        return self.selection.has(spec) or bool(self.selection.checks_of(spec))


def start_run(
    context: dg.AssetExecutionContext, recipe: Recipe, selection: Selection, client: REDCapClient
) -> Run:
    """Return a run with the structure of the project, as it is now.

    Raises:
        REDCapError: A request failed.
    """
    began = datetime.now(UTC)
    structure = client.export_structure()
    return Run(context, recipe, selection, client, structure, structure.project(), began)


def export_selected(run: Run) -> Run:
    """Return a run with the census and the records that it selects.

    If the project is changed meanwhile, its structure and its records are exported again.

    Raises:
        ProjectChangedError: The project was changed in each attempt.
        REDCapError: A request failed, or the export is not complete.
        DisagreementError: The export does not fit the structure.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _export(run)
        except ProjectChangedError as error:
            run.context.log.info(f"{error}")
        began, structure = datetime.now(UTC), run.client.export_structure()
        run = replace(run, structure=structure, project=structure.project(), began=began)
    return _export(run)


def _export(run: Run) -> Run:
    """Return a run with the census and the records that it selects, exported once.

    Raises:
        ProjectChangedError: The project was changed meanwhile.
        REDCapError: A request failed, or the export is not complete.
        DisagreementError: The export does not fit the structure.
    """
    context, recipe, selection, client = run.context, run.recipe, run.selection, run.client
    structure, tables = run.structure, recipe.tables
    needed = [instrument for instrument in tables.records if run.needs_export(instrument)]
    existing = existing_instruments(run.project, needed)
    run = replace(run, not_exported=_find_unclear(run.project, existing, recipe.known))
    exported = [instrument for instrument in existing if instrument not in run.not_exported]
    if not (exported or selection.has(tables.census)):
        return run
    among = filter_by_bucket(structure.record_id_field, tables.buckets, selection.buckets)
    if not exported:
        census = client.export_census()
        return replace(run, census=among(census) if among else census, listed=census.num_rows)
    export = export_instruments(client, structure, run.project, exported, context.log, among)
    # Each response is a chunk: with one of all, each step calls Arrow once for a column.
    export = replace(export, table=export.table.combine_chunks())
    project = observe_groups_and_surveys(run.project, export.table, recipe.known)
    return replace(
        run,
        project=project,
        census=export.census,
        listed=export.listed,
        exported_instruments=exported,
        export=export,
        unplaced_cells=check_export(context.log, export.table, project, recipe.rules),
    )


def _find_unclear(
    project: REDCapProject, instruments: Sequence[str], known: REDCapProject
) -> dict[str, str]:
    """Return the instruments that share a column with something else, each with the reason.

    An export of them would name that column twice, and fail for all instruments.
    """
    with_surveys = replace(project, surveys=known.surveys)
    unclear: dict[str, str] = {}
    for instrument in instruments:
        try:
            with_surveys.check_columns(instrument)
        except StructureError as error:
            unclear[instrument] = str(error)
    return unclear
