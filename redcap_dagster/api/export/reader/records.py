"""The rows of a record export, as one table or batch by batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import pyarrow as pa

from redcap_dagster.api.errors import EmptyResponseError, MalformedResponseError
from redcap_dagster.api.export.reader.csv_reader import collect_batches, empty_batch, open_csv
from redcap_dagster.api.export.reader.requested import Requested
from redcap_dagster.api.export.reader.row_keys import (
    REQUEST,
    check_distinct_keys,
    check_record_ids,
    check_row_keys,
)
from redcap_dagster.api.export.reader.selection import (
    csv_parameters,
    get_delimiter,
    split_records,
)
from redcap_dagster.api.http.response import Response, read_json
from redcap_dagster.api.http.retries import ShouldRetry, is_temporary
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import REPEAT_COLUMNS

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
    text: pa.DataType = pa.string(),  # noqa: B008 (immutable)
) -> pa.Table:
    """Return exported records as a table: one row per record, event and instance.

    If the parameters name more records than one request may, several are sent.

    Args:
        transport: The connection.
        parameters: The parameters of the export.
        record_id_field: The record id field.
        should_retry: Whether to send the request again after an error.
        project: The structure. With it, columns that were not requested are left out. Defaults to
            None.
        on_header: Is called with all columns of each response. Defaults to nothing.
        text: The type of all columns but keys. Defaults to `pyarrow.string`.

    Raises:
        MalformedResponseError: Rows have no record id, or are duplicate rows.
        ResponseMismatchError: Rows were not requested.
        REDCapError: The request failed. The type says why.
    """

    def receive(response: Response, part: Mapping[str, str], requested: Requested) -> pa.Table:
        rows = _read_batches(response, part, requested, on_header, text)
        return collect_batches(response, _check_keys(part)(rows, record_id_field))

    tables = fetch_parts(transport, parameters, receive, record_id_field, project, should_retry)
    if len(tables) == 1:
        return tables[0]
    rows = concat_responses(tables)
    # Two of the named ids may be the same record for REDCap. Labels of events may be alike.
    labeled = parameters.get("rawOrLabel") == "label"
    return rows if labeled else check_distinct_keys(rows, record_id_field)


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

    def iterate(part: dict[str, str]) -> Iterator[pa.RecordBatch]:
        requested = Requested.read(part, record_id_field, project)
        empty: EmptyResponseError
        try:
            with transport.open(REQUEST, part) as response:
                yield from _read_batches(response, part, requested, on_header)
            return
        except EmptyResponseError as error:
            empty = error
        confirm_empty(transport, REQUEST, part, empty)
        yield empty_batch((record_id_field,))

    parts = split_records(csv_parameters(parameters), transport.max_parameters)
    rows = _check_columns(chain.from_iterable(map(iterate, parts)))
    yield from _check_keys(parameters)(rows, record_id_field)


def fetch_parts(
    transport: Transport,
    parameters: dict[str, str],
    receive: Callable[[Response, Mapping[str, str], Requested], pa.Table],
    id_column: str,
    project: REDCapProject | None,
    should_retry: ShouldRetry = is_temporary,
) -> list[pa.Table]:
    """Return one table for each request of an export; usually one.

    Args:
        transport: The connection.
        parameters: The parameters of the export. They may name more records than one request may.
        receive: Reads the response to a request, of which it gets the parameters too.
        id_column: The column of the record id.
        project: The structure. None if columns are not compared.
        should_retry: Whether to send a request again after an error.

    Raises:
        REDCapError: A request failed. The type says why.
    """

    def fetch(part: dict[str, str]) -> pa.Table:
        requested = Requested.read(part, id_column, project)

        def read(response: Response) -> pa.Table:
            return receive(response, part, requested)

        return _fetch_table(transport, part, read, id_column, should_retry)

    return [*map(fetch, split_records(csv_parameters(parameters), transport.max_parameters))]


def _fetch_table(
    transport: Transport,
    parameters: dict[str, str],
    receive: Callable[[Response], pa.Table],
    id_column: str,
    should_retry: ShouldRetry,
) -> pa.Table:
    """Return what `receive` makes of a CSV; a table with the id column alone, if REDCap sends none.

    Raises:
        REDCapError: The request failed. The type says why.
    """
    try:
        return transport.post(REQUEST, parameters, receive, should_retry)
    except EmptyResponseError:
        pass
    if transport.post(REQUEST, parameters | {"format": "json"}, read_json) == []:
        return pa.Table.from_batches([empty_batch((id_column,))])
    return transport.post(REQUEST, parameters, receive, should_retry)  # there are rows


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


# -- several responses ----------------------------------------------------------------------------


def concat_responses(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of several responses to requests for the same columns.

    Responses without a header have no rows. Older servers send the columns of instances only where
    there are instances.

    Raises:
        MalformedResponseError: The columns differ otherwise.
    """
    named = [rows for rows in tables if not is_blank(rows)] or [*tables[:1]]
    schema = named[0].schema
    if all(rows.schema.equals(schema) for rows in named):  # the usual case
        return pa.concat_tables(named)
    if not all(has_same_columns(rows.column_names, schema.names) for rows in named):
        raise changed_columns_error()
    return pa.concat_tables(named, promote_options="default")


def has_same_columns(names: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two responses have the same columns, apart from those of instances."""
    return names == others or {*names} ^ {*others} <= {*REPEAT_COLUMNS}


def _check_columns(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches of several responses, which all have the same columns."""
    columns: list[str] = []
    for batch in batches:
        if batch.num_columns > 1 or not columns:
            columns = columns if len(columns) > 1 else batch.schema.names
            if batch.schema.names != columns:
                raise changed_columns_error()
            yield batch


def is_blank(rows: pa.Table) -> bool:
    """Return whether there is no row and no header, which newer servers then do not send."""
    return bool(rows.num_rows == 0 and rows.num_columns == 1)


def changed_columns_error() -> MalformedResponseError:
    """Return the error for responses whose columns differ."""
    return MalformedResponseError(
        f"{REQUEST}: requests for the same columns returned different ones: the dictionary or "
        "the token's rights were changed meanwhile, or the server is overloaded. Try again "
        "later.",
        request=REQUEST,
    )


# -- one response ---------------------------------------------------------------------------------


def _read_batches(
    response: Response,
    parameters: Mapping[str, str],
    requested: Requested,
    on_header: OnHeader | None,
    text: pa.DataType = pa.string(),  # noqa: B008 (immutable)
) -> Iterator[pa.RecordBatch]:
    delimiter = get_delimiter(parameters)
    received = open_csv(response, requested.record_id_field, delimiter, text)
    if on_header:
        on_header(received.columns)
    return requested.check_rows(received.batches)


def _check_keys(
    parameters: Mapping[str, str],
) -> Callable[[Iterator[pa.RecordBatch], str], Iterator[pa.RecordBatch]]:
    """Return the check of the keys of rows; labels of different events may be alike."""
    return check_record_ids if parameters.get("rawOrLabel") == "label" else check_row_keys
