"""The records of one instrument in a run: from its export, or from storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.catalog.event_log import Metadata, last_metadata
from redcap_dagster.catalog.how_to_request import record_request_metadata
from redcap_dagster.catalog.metadata import project_metadata, stored_export_metadata
from redcap_dagster.execution.record_source import has_header, observe_groups_and_surveys
from redcap_dagster.execution.run import Run
from redcap_dagster.execution.stored_tables import load_records
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import (
    check_keys,
    find_instrument_rows,
    hidden_columns,
    instrument_table,
)


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
    return run.remember(("exported", instrument), lambda: _take_exported(run, instrument))


def _take_exported(run: Run, instrument: str) -> Records:
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
    return Records(instrument, table, project, hidden, told)


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
    return run.remember(("stored", instrument), lambda: _load_stored(run, instrument))


def _load_stored(run: Run, instrument: str) -> Records:
    spec = run.recipe.tables.records[instrument]
    buckets = run.selection.buckets
    table = load_records(run.context, spec, buckets)
    stored = find_stored(run, instrument)
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
    return Records(instrument, table, project, sorted(hidden), told)


def find_stored(run: Run, instrument: str) -> Sequence[Metadata]:
    """Return the metadata of the stored records of an instrument; none if they are not stored."""
    spec, buckets = run.recipe.tables.records[instrument], run.selection.buckets
    return last_metadata(run.context, spec.key, "redcap/hidden_columns", buckets, run.source)
