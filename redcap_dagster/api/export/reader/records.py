"""The rows of a record export, whole or batch by batch."""

from collections.abc import Callable, Iterator

import pyarrow as pa

from redcap_dagster.api.errors import EmptyResponseError
from redcap_dagster.api.export.reader.csv_reader import empty_batch, open_csv
from redcap_dagster.api.export.reader.row_keys import REQUEST, check_record_ids, check_row_keys
from redcap_dagster.api.export.reader.selection import csv_parameters, get_delimiter
from redcap_dagster.api.http.response import Response, read_json
from redcap_dagster.api.http.retries import ShouldRetry, is_temporary
from redcap_dagster.api.http.transport import Transport

# -- rows -----------------------------------------------------------------------------------------


def read_records(
    transport: Transport,
    parameters: dict[str, str],
    record_id_field: str,
    should_retry: ShouldRetry = is_temporary,
) -> pa.Table:
    """Export records whole, a row per record, event and instance.

    What breaks off is asked for again, as long as it may pass.

    Raises:
        MalformedResponseError: Rows have no record id, or come twice.
        REDCapError: Of the type that says what is wrong.
    """

    def receive(response: Response) -> pa.Table:
        return pa.Table.from_batches(_records(response, parameters, record_id_field))

    return _whole(transport, parameters, receive, record_id_field, should_retry)


def read_values(transport: Transport, parameters: dict[str, str]) -> pa.Table:
    """Export single values whole, a row for each; a checkbox may have several of one key.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """

    def receive(response: Response) -> pa.Table:
        rows = open_csv(response, "record", get_delimiter(parameters)).batches
        return pa.Table.from_batches(check_record_ids(rows, "record"))

    return _whole(transport, parameters, receive, "record")


def _whole(
    transport: Transport,
    parameters: dict[str, str],
    receive: Callable[[Response], pa.Table],
    id_column: str,
    should_retry: ShouldRetry = is_temporary,
) -> pa.Table:
    wanted = csv_parameters(parameters)
    try:
        return transport.post(REQUEST, wanted, receive, should_retry)
    except EmptyResponseError:
        pass
    if transport.post(REQUEST, wanted | {"format": "json"}, read_json) == []:
        return pa.Table.from_batches([empty_batch((id_column,))])
    return transport.post(REQUEST, wanted, receive, should_retry)  # there are rows


def iterate_records(
    transport: Transport, parameters: dict[str, str], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    """Export records batch by batch, as they come; there is at least one batch.

    Raises:
        MalformedResponseError: Rows have no record id, or come twice; their batch is not given.
        REDCapError: Of the type that says what is wrong; after some batches too, where the
            answer breaks off. What came before is then incomplete.
    """
    empty: EmptyResponseError
    try:
        with transport.open(REQUEST, csv_parameters(parameters)) as response:
            yield from _records(response, parameters, record_id_field)
        return
    except EmptyResponseError as error:
        empty = error
    confirm_empty(transport, REQUEST, csv_parameters(parameters), empty)
    yield empty_batch((record_id_field,))


def _records(
    response: Response, parameters: dict[str, str], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    rows = open_csv(response, record_id_field, get_delimiter(parameters)).batches
    labeled = parameters.get("rawOrLabel") == "label"
    return (check_record_ids if labeled else check_row_keys)(rows, record_id_field)


def confirm_empty(
    transport: Transport, request: str, wanted: dict[str, str], empty: EmptyResponseError
) -> None:
    """Make sure that an empty CSV means no rows: newer servers send no header, JSON tells.

    Raises:
        EmptyResponseError: There are rows, and the server sent none of them.
    """
    if transport.post(request, wanted | {"format": "json"}, read_json) != []:
        raise empty
