"""The census of a project: its records and events, against which an export is checked."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pyarrow as pa

from redcap_dagster.api.errors import (
    EmptyResponseError,
    IncompleteExportError,
    RefusedError,
    RightsError,
)
from redcap_dagster.api.export.plan.adaptive_limits import should_retry_whole
from redcap_dagster.api.export.plan.listing import Listing, keep_distinct_places
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.row_keys import REQUEST, may_be_hashed
from redcap_dagster.api.export.reader.selection import check_selection, csv_parameters
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.retries import ShouldRetry
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.name_lists import list_names

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")

_REFUSALS = (400, 401, 403)
"""The statuses with which REDCap refuses what a user may not export."""


def read_header(transport: Transport, record_id_field: str) -> tuple[str, ...]:
    """Return the columns of an export of all fields, by a request that matches no row.

    Where the server sends no header without rows (17.4.1 does not), one record is exported
    instead; all of them if REDCap shows hashes instead of record ids, by which it finds none.
    Without records, there are no columns.

    Raises:
        REDCapError: A request failed. The type says why.
    """
    parameters = check_selection(
        filter_logic=f"[{record_id_field}] = ''", export_survey_fields=True
    )

    def receive(response: Response) -> tuple[str, ...]:
        return open_csv(response, record_id_field).columns

    try:
        return _export_with_groups(
            lambda chosen: transport.post(REQUEST, csv_parameters(chosen), receive), parameters
        )
    except EmptyResponseError:
        pass
    first = read_census(transport, record_id_field)[record_id_field].slice(0, 1).to_pylist()
    if not first:
        return ()
    with_rows = check_selection(
        records=None if may_be_hashed(first) else first, export_survey_fields=True
    )
    return _export_with_groups(
        lambda chosen: transport.post(REQUEST, csv_parameters(chosen), receive), with_rows
    )


def read_census(transport: Transport, record_id_field: str) -> pa.Table:
    """Return the census: one row per record and event, in REDCap's order.

    Raises:
        REDCapError: The request failed. The type says why.
    """
    return keep_distinct_places(list_rows(transport, record_id_field, {}), record_id_field)


def list_rows(
    transport: Transport,
    record_id_field: str,
    selection: Mapping[str, str],
    *,
    groups: bool = True,
    should_retry: ShouldRetry = should_retry_whole,
    project: REDCapProject | None = None,
) -> pa.Table:
    """Return listed rows by their keys: one per record and event, and per repeating event.

    Args:
        transport: The connection.
        record_id_field: The record id field.
        selection: API parameters that select records and events.
        groups: Whether to list access groups, if the token's user may see them. Defaults to True.
        should_retry: Whether to send the request again after an error.
        project: The structure, with which the columns are compared. Defaults to None.

    Raises:
        REDCapError: The request failed. The type says why.
    """
    parameters = {"fields[0]": record_id_field, "exportSurveyFields": "true", **selection}

    def export(chosen: dict[str, str]) -> pa.Table:
        return read_records(transport, chosen, record_id_field, should_retry, project=project)

    return _export_with_groups(export, parameters) if groups else export(parameters)


def _export_with_groups(export: Callable[[dict[str, str]], T], parameters: dict[str, str]) -> T:
    """Return an export with access groups, or without where REDCap refuses it with them.

    Few users have the right, and servers refuse the export whether or not the project has groups.
    What they say is in any language, so the export without groups shows whether that was the cause.
    """
    try:
        return export(parameters | {"exportDataAccessGroups": "true"})
    except (RightsError, RefusedError) as error:
        if not is_refusal(error):
            raise
    rows = export(parameters)
    logger.info("%s: without access groups, as the token's user may not see them", REQUEST)
    return rows


def is_refusal(error: RightsError | RefusedError) -> bool:
    """Return whether REDCap refused a request, other than by a failure with status 200."""
    return error.status in _REFUSALS


def check_complete(
    transport: Transport,
    export: pa.Table,
    census: pa.Table,
    events: Sequence[str] | None,
    record_id_field: str,
) -> None:
    """Raise unless an export has every record of the census taken before it.

    Where a record is missing, it may have been deleted meanwhile: then two more censuses lack it.

    Raises:
        IncompleteExportError: Records are missing.
        REDCapError: The request for another census failed. The type says why.
    """
    listing = Listing(census, record_id_field)
    missing = listing.find_missing(export, events)[record_id_field].to_pylist()
    if not missing:
        return
    again, once_more = (
        Listing(read_census(transport, record_id_field), record_id_field) for _ in range(2)
    )
    left = again.add([once_more]).select_records(missing).find_missing(export, events)
    if left.num_rows:
        raise incomplete_error(left.num_rows)


def incomplete_error(missing: int, forms: Sequence[str] = ()) -> IncompleteExportError:
    """Return the error for missing records, with their number and the instruments."""
    of = f" (of {list_names(forms, most=5)})" if forms else ""
    error = IncompleteExportError(
        f"{REQUEST}: {missing} records or events that REDCap lists are missing in its export{of}. "
        "Large responses can lose records. Lower max_cells, and tell the server's administrator.",
        request=REQUEST,
    )
    error.missing, error.forms = missing, tuple(forms)
    return error
