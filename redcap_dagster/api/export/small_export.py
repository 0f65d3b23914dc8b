"""The records of a small project as a table: one request, compared with the census."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from redcap_dagster.api.calls.project_structure import ProjectStructure
from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.download.fetcher import ExportSettings, FetchedRecords
from redcap_dagster.api.export.plan.adaptive_limits import (
    FEW_RECORDS,
    AdaptiveLimits,
    should_retry_whole,
)
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.plan.record_requests import RecordRequest
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.selection import RecordSelection
from redcap_dagster.api.export.snapshot import ListedRecords, take_snapshot
from redcap_dagster.api.export.verification.columns import ExportedColumns, check_columns
from redcap_dagster.api.export.verification.completeness import (
    find_missing_records,
    list_again,
    list_selected_rows,
)
from redcap_dagster.api.http.retries import ShouldRetry
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import REPEAT_COLUMNS


def export_table(
    transport: Transport,
    dictionary: Sequence[Mapping[str, Any]],
    structure: Callable[[], ProjectStructure],
    selection: RecordSelection,
    settings: ExportSettings,
    records_where: str | None = None,
) -> pa.Table:
    """Return exported records like `take_snapshot`, with fewer requests for a small project.

    An export that fits into one request, where nothing repeats, and that has only columns of the
    dictionary, needs nothing else of the structure.

    Args:
        transport: The connection.
        dictionary: The data dictionary.
        structure: Returns the structure, where it is needed.
        selection: The checked selection.
        settings: The settings of the export.
        records_where: REDCap logic that a row of each record has to match. Defaults to all records.

    Raises:
        IncompleteExportError: Records are missing.
        REDCapError: A request failed. The type says why.
    """
    project = REDCapProject.from_exports(metadata=dictionary)
    query = ExportQuery(project, selection, groups=True, records_where=records_where)
    id_field, most = project.record_id_field, settings.limits.max_cells
    since = datetime.now(UTC)
    listing = list_selected_rows(transport, query, settings)
    count, repeats = len(listing.records), REPEAT_COLUMNS[0] in listing.rows.column_names
    received: set[str] = set()

    def read(
        parameters: dict[str, str], should_retry: ShouldRetry
    ) -> tuple[pa.Table, tuple[str, ...]]:
        table = read_records(
            transport,
            parameters,
            id_field,
            should_retry,
            project=project,
            on_header=received.update,
            text=settings.text,
        )
        return table, check_columns(transport, query, table, ExportedColumns(id_field), received)

    if not count and not records_where:
        table, other = read(query.write_single_request(), should_retry_whole)
        if not table.num_rows and not other:
            return table
    cells = listing.rows.num_rows * query.column_set.width
    fits = (most is None or cells <= most) and (count <= FEW_RECORDS or not query.selects_records)
    one = RecordRequest(query.column_set, listing.records, 0, count, query.selects_records, cells)
    adaptive_limits = AdaptiveLimits(settings.limits, settings.budget)
    if count and fits and not repeats and one.names <= settings.limits.max_names:
        try:
            table, other = read(query.write_request(one), adaptive_limits.choose_retries(one))
        except REDCapError as error:
            adaptive_limits.split_failed(one, error)  # raises where smaller requests do not help
        else:
            before, shown = listing, query.select_keys(table)
            if query.selects_records or listing.find_lost_records(shown):
                listing = list_again(transport, query, settings, [listing.rows, shown])
            unchanged = not query.selects_records or not before.find_changed_records(listing)
            # A server may omit these columns where no listed row is an instance.
            repeats = REPEAT_COLUMNS[0] in table.column_names
            missing = find_missing_records(FetchedRecords(table), listing, query)
            lost = listing.find_lost_records(shown)
            if unchanged and not (repeats or missing or lost or other):
                return table
    listed = ListedRecords(listing, since)
    return take_snapshot(
        transport,
        structure(),
        selection,
        settings,
        listed=listed,
        records_where=records_where,
        adaptive_limits=adaptive_limits,
    ).table
