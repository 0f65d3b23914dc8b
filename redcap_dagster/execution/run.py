"""One run of the op of records and clean tables: what it selects, exports and loads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import (
    ProjectChangedError,
    ProjectStructure,
    RecordExport,
    REDCapClient,
)
from redcap_dagster.catalog.event_log import Metadata, last_metadata
from redcap_dagster.catalog.how_to_request import record_request_metadata
from redcap_dagster.catalog.metadata import (
    export_metadata,
    project_metadata,
    stored_export_metadata,
    time_metadata,
)
from redcap_dagster.catalog.source import ProjectSource
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.execution.record_source import (
    check_export,
    existing_instruments,
    export_instruments,
    filter_by_bucket,
    has_header,
    observe_groups_and_surveys,
)
from redcap_dagster.execution.stored_tables import load_records
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import (
    check_keys,
    find_instrument_rows,
    hidden_columns,
    instrument_table,
)
from redcap_dagster.tables.logic import StudyRows

EXPORT_CHECKS = frozenset({"export_complete", "nothing_hidden"})
"""Checks that judge an export, so that records are exported for them even if none are stored."""

_ATTEMPTS = 3
"""How often structure and records are exported while the project is being changed."""

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
    _exported: dict[str, "Records"] = field(default_factory=dict, init=False, repr=False)
    _stored: dict[str, "Records"] = field(default_factory=dict, init=False, repr=False)

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

    @cached_property
    def study(self) -> StudyRows:
        """The records of all instruments, in which the references of logic are looked up.

        They are those of this run's export; of instruments that it does not replace, the stored
        ones, which are loaded when logic refers to them.
        """
        known = self.recipe.known
        project = self.project
        if self.export is None:
            project = replace(
                project,
                surveys=known.surveys,
                has_access_groups=known.has_access_groups,
                has_survey_identifier=known.has_survey_identifier,
            )
        stored = [name for name in self.recipe.tables.records if not self._replaces(name)]
        return StudyRows(project, _StudyTables(self), frozenset(stored if self.export else ()))

    def _replaces(self, instrument: str) -> bool:
        """Whether the run replaces the stored records."""
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


class _StudyTables(Mapping[str, pa.Table]):
    """The records tables of a run's instruments, each without the columns that rights hide."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._read: dict[str, pa.Table | None] = {}

    def __getitem__(self, instrument: str) -> pa.Table:
        if instrument not in self._read:
            self._read[instrument] = self._read_table(instrument)
        table = self._read[instrument]
        if table is None:
            raise KeyError(instrument)
        return table

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._run.recipe.tables.records if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _read_table(self, instrument: str) -> pa.Table | None:
        run = self._run
        if instrument not in run.recipe.tables.records:
            return None
        spec = run.recipe.tables.records[instrument]
        try:
            if run._replaces(instrument):
                records = exported_records(run, instrument)
            elif instrument in run._stored or _find_stored(run, spec):
                records = stored_records(run, instrument)
            else:
                return None
        except StructureError as error:
            run.context.log.info(
                f"Logic cannot refer to the values of {instrument!r} in this run: {error}"
            )
            return None
        shown = [name for name in records.table.column_names if name not in records.hidden]
        return records.table.select(shown)


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


@dataclass(frozen=True)
class Records:
    """The records of one instrument as text, and the structure that they belong to.

    Attributes:
        instrument: The instrument.
        table: Its rows.
        project: The structure.
        hidden: The columns that export rights hide.
        metadata: The metadata of all tables that are made from these records.
    """

    instrument: str
    table: pa.Table = field(repr=False)
    project: REDCapProject = field(repr=False)
    hidden: Sequence[str]
    metadata: Mapping[str, Any]


def exported_records(run: Run, instrument: str) -> Records:
    """Return the records of an instrument from the run's export.

    Raises:
        StructureError: The run did not export them.
    """
    if instrument in run._exported:
        return run._exported[instrument]
    if run.export is None or instrument in run.not_exported:
        reason = run.not_exported.get(instrument, "its records were not exported.")
        raise StructureError(reason)
    export, project = run.export.table, run.project
    table = instrument_table(
        export,
        project,
        instrument,
        blank_status=project.honors_blank_status,
        keep_unsaved=run.recipe.rules.keep_unsaved,
    )
    hidden = hidden_columns(export.column_names, project, instrument) if has_header(export) else []
    how = record_request_metadata(
        run.client.url, run.export.parameters, instrument, project.record_id_field
    )
    told = {**run.metadata, **how}
    run._exported[instrument] = Records(instrument, table, project, hidden, told)
    return run._exported[instrument]


def _find_stored(run: Run, spec: dg.AssetSpec) -> Sequence[Metadata]:
    """Return the metadata of the stored records of an instrument; none if they are not stored."""
    buckets = run.selection.buckets
    return last_metadata(run.context, spec.key, "redcap/hidden_columns", buckets, run.source)


def count_exported_rows(run: Run, instrument: str) -> int:
    """Return how many rows an instrument has in the run's export.

    Raises:
        StructureError: The structure of the instrument gives no table.
    """
    if run.export is None:
        return 0
    rows = find_instrument_rows(
        run.export.table,
        run.project,
        instrument,
        blank_status=run.project.honors_blank_status,
        keep_unsaved=run.recipe.rules.keep_unsaved,
    )
    return pc.sum(rows).as_py() or 0


def stored_records(run: Run, instrument: str) -> Records:
    """Return the records of an instrument from storage.

    Raises:
        StructureError: They are not stored, not stored as text, or not of the run's structure.
    """
    if instrument in run._stored:
        return run._stored[instrument]
    spec = run.recipe.tables.records[instrument]
    buckets = run.selection.buckets
    table = load_records(run.context, spec, buckets)
    stored = _find_stored(run, spec)
    for metadata in stored:
        # A table of several buckets has every column that one of them has.
        own = {column.name for column in metadata["dagster/column_schema"].value.columns}
        table = table.select([name for name in table.column_names if name in own])
    project = observe_groups_and_surveys(run.project, table, run.recipe.known)
    check_keys(table, project, instrument)
    hidden = {name for metadata in stored for name in metadata["redcap/hidden_columns"].value}
    of_project = project_metadata(run.client.url, run.project)
    of_export = stored_export_metadata(stored)
    request = of_export["redcap/request"].value if "redcap/request" in of_export else {}
    how = record_request_metadata(run.client.url, request, instrument, project.record_id_field)
    told = {**of_project, **of_export, **how}
    run._stored[instrument] = Records(instrument, table, project, sorted(hidden), told)
    return run._stored[instrument]
