"""The census of a project: its records and events, and whether an export has them all."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import pyarrow as pa

from redcap_dagster.api.errors import EmptyResponseError, IncompleteExportError, RightsError
from redcap_dagster.api.export.plan.adaptive_limits import should_retry_whole
from redcap_dagster.api.export.plan.listing import Listing, distinct_places
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.row_keys import REQUEST
from redcap_dagster.api.export.reader.selection import check_selection, csv_parameters
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.retries import ShouldRetry
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.name_lists import list_names

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")


def read_header(transport: Transport, record_id_field: str) -> tuple[str, ...]:
    """Give the columns of an export of everything, by one that matches no row.

    Servers that send no header without rows (17.4.1 does not) are asked for one record instead;
    it is blank where there is none.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    parameters = check_selection(
        filter_logic=f"[{record_id_field}] = ''", export_survey_fields=True
    )

    def receive(response: Response) -> tuple[str, ...]:
        return open_csv(response, record_id_field).columns

    try:
        return _with_groups(
            lambda wanted: transport.post(REQUEST, csv_parameters(wanted), receive), parameters
        )
    except EmptyResponseError:
        pass
    listed = read_census(transport, record_id_field)[record_id_field]
    if not len(listed):
        return ()
    one = check_selection(records=[listed[0].as_py()], export_survey_fields=True)
    return _with_groups(
        lambda wanted: transport.post(REQUEST, csv_parameters(wanted), receive), one
    )


def read_census(transport: Transport, record_id_field: str) -> pa.Table:
    """Export what there is: one row per record and event, in REDCap's order.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    return distinct_places(list_rows(transport, record_id_field, {}), record_id_field)


def list_rows(
    transport: Transport,
    record_id_field: str,
    selection: Mapping[str, str],
    *,
    groups: bool = True,
    should_retry: ShouldRetry = should_retry_whole,
) -> pa.Table:
    """List rows by their keys: of each record and event, and of the events that repeat.

    Args:
        transport: The connection.
        record_id_field: The record id field.
        selection: Parameters of the API that say which records and events.
        groups: Whether to ask for access groups, if the token's user may see them.
        should_retry: Whether to send the request again after an error.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    parameters = {"fields[0]": record_id_field, "exportSurveyFields": "true", **selection}

    def ask(wanted: dict[str, str]) -> pa.Table:
        return read_records(transport, wanted, record_id_field, should_retry)

    return _with_groups(ask, parameters) if groups else ask(parameters)


def _with_groups(ask: Callable[[dict[str, str]], T], parameters: dict[str, str]) -> T:
    """Ask with access groups, and without where the user may not see them.

    Servers refuse it whether or not the project has groups, and few users have the right.
    """
    try:
        return ask(parameters | {"exportDataAccessGroups": "true"})
    except RightsError as error:
        if "Data Access Groups" not in error.rights:
            raise
    logger.info("%s: without access groups, as the token's user may not see them", REQUEST)
    return ask(parameters)


def check_complete(
    transport: Transport,
    export: pa.Table,
    census: pa.Table,
    events: Sequence[str] | None,
    record_id_field: str,
) -> None:
    """Make sure that an export has every record of the census taken before it.

    Where one is missing, the census is taken again: it may have been deleted meanwhile.

    Raises:
        IncompleteExportError: Records are missing.
        REDCapError: Of the type that says what is wrong with the second census.
    """
    if Listing(census, record_id_field).find_missing(export, events).num_rows:
        again = Listing(read_census(transport, record_id_field), record_id_field)
        if missing := again.find_missing(export, events).num_rows:
            raise incomplete_error(missing)


def incomplete_error(missing: int, forms: Sequence[str] = ()) -> IncompleteExportError:
    """Say how many records are missing, of which forms, and what to do."""
    of = f" (of {list_names(forms, most=5)})" if forms else ""
    error = IncompleteExportError(
        f"{REQUEST}: {missing} records or events that REDCap lists are not in what it sent{of}. "
        "Large answers can lose records: ask for less at once (max_cells), and tell the server's "
        "administrator.",
        request=REQUEST,
    )
    error.missing, error.forms = missing, tuple(forms)
    return error
