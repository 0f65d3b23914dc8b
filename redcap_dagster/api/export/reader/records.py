"""The rows of a record export, as one table or batch by batch."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from redcap_dagster.api.errors import EmptyResponseError
from redcap_dagster.api.export.reader.csv_reader import empty_batch, open_csv
from redcap_dagster.api.export.reader.requested import Requested
from redcap_dagster.api.export.reader.row_keys import REQUEST, check_record_ids, check_row_keys
from redcap_dagster.api.export.reader.selection import csv_parameters, get_delimiter
from redcap_dagster.api.http.response import Response, read_json
from redcap_dagster.api.http.retries import ShouldRetry, is_temporary
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject

OnHeader = Callable[[Sequence[str]], None]
"""Is called with the columns of a response, before its rows."""


def read_records(
    transport: Transport,
    parameters: dict[str, str],
    record_id_field: str,
    should_retry: ShouldRetry = is_temporary,
    *,
    project: REDCapProject | None = None,
    on_header: OnHeader | None = None,
) -> pa.Table:
    """Return exported records as a table: one row per record, event and instance.

    Args:
        transport: The connection.
        parameters: The parameters of the export.
        record_id_field: The record id field.
        should_retry: Whether to send the request again after an error.
        project: The structure. With it, columns that were not requested are left out. Defaults to
            None.
        on_header: Is called with all columns of the response. Defaults to nothing.

    Raises:
        MalformedResponseError: Rows have no record id, or are duplicate rows.
        ResponseMismatchError: Rows were not requested.
        REDCapError: The request failed. The type says why.
    """
    requested = Requested.read(csv_parameters(parameters), record_id_field, project)

    def receive(response: Response) -> pa.Table:
        return pa.Table.from_batches(_read_batches(response, parameters, requested, on_header))

    return _export_table(transport, parameters, receive, record_id_field, should_retry)


def read_values(transport: Transport, parameters: dict[str, str]) -> pa.Table:
    """Return exported values as a table: one row per value; a checkbox may have several rows.

    Raises:
        MalformedResponseError: Rows have no record id.
        REDCapError: The request failed. The type says why.
    """

    def receive(response: Response) -> pa.Table:
        rows = open_csv(response, "record", get_delimiter(parameters)).batches
        return pa.Table.from_batches(check_record_ids(rows, "record"))

    return _export_table(transport, parameters, receive, "record")


def _export_table(
    transport: Transport,
    parameters: dict[str, str],
    receive: Callable[[Response], pa.Table],
    id_column: str,
    should_retry: ShouldRetry = is_temporary,
) -> pa.Table:
    parameters = csv_parameters(parameters)
    try:
        return transport.post(REQUEST, parameters, receive, should_retry)
    except EmptyResponseError:
        pass
    if transport.post(REQUEST, parameters | {"format": "json"}, read_json) == []:
        return pa.Table.from_batches([empty_batch((id_column,))])
    return transport.post(REQUEST, parameters, receive, should_retry)  # there are rows


def iterate_records(
    transport: Transport,
    parameters: dict[str, str],
    record_id_field: str,
    *,
    project: REDCapProject,
    on_header: OnHeader | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield exported records like `read_records`, in batches as they are received; at least one.

    Raises:
        MalformedResponseError: Rows have no record id, are duplicate rows, or were not requested.
            Their batch is not yielded.
        REDCapError: The request failed, possibly after some batches, which are then incomplete.
            The type says why.
    """
    requested = Requested.read(csv_parameters(parameters), record_id_field, project)
    empty: EmptyResponseError
    try:
        with transport.open(REQUEST, csv_parameters(parameters)) as response:
            yield from _read_batches(response, parameters, requested, on_header)
        return
    except EmptyResponseError as error:
        empty = error
    confirm_empty(transport, REQUEST, csv_parameters(parameters), empty)
    yield empty_batch((record_id_field,))


def _read_batches(
    response: Response,
    parameters: dict[str, str],
    requested: Requested,
    on_header: OnHeader | None,
) -> Iterator[pa.RecordBatch]:
    record_id_field = requested.record_id_field
    received = open_csv(response, record_id_field, get_delimiter(parameters))
    if on_header:
        on_header(received.columns)
    labeled = parameters.get("rawOrLabel") == "label"
    check_keys = check_record_ids if labeled else check_row_keys
    return requested.check_rows(check_keys(received.batches, record_id_field))


def confirm_empty(
    transport: Transport, request: str, parameters: dict[str, str], empty: EmptyResponseError
) -> None:
    """Raise unless an empty CSV means no rows: newer servers then send no header either.

    The same request for JSON shows it.

    Raises:
        EmptyResponseError: There are rows, and the server did not send them.
    """
    if transport.post(request, parameters | {"format": "json"}, read_json) != []:
        raise empty
