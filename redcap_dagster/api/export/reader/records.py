"""The rows of a record export, whole or batch by batch."""

from collections.abc import Callable, Iterator

import pyarrow as pa

from redcap_dagster.api.errors import EmptyAnswerError
from redcap_dagster.api.export.reader.csv_reader import no_rows, open_csv
from redcap_dagster.api.export.reader.row_keys import REQUEST, identified, keyed
from redcap_dagster.api.export.reader.selection import csv_export, delimiter_of
from redcap_dagster.api.http.response import Answer, read_json
from redcap_dagster.api.http.retries import MayPass, passes
from redcap_dagster.api.http.transport import Transport

# -- rows -----------------------------------------------------------------------------------------


def read_records(
    transport: Transport,
    parameters: dict[str, str],
    record_id_field: str,
    may_pass: MayPass = passes,
) -> pa.Table:
    """Export records whole, a row per record, event and instance.

    What breaks off is asked for again, as long as it may pass.

    Raises:
        MalformedAnswerError: Rows have no record id, or come twice.
        REDCapError: Of the type that says what is wrong.
    """

    def receive(answer: Answer) -> pa.Table:
        return pa.Table.from_batches(_records(answer, parameters, record_id_field))

    return _whole(transport, parameters, receive, record_id_field, may_pass)


def read_values(transport: Transport, parameters: dict[str, str]) -> pa.Table:
    """Export single values whole, a row for each; a checkbox may have several of one key.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """

    def receive(answer: Answer) -> pa.Table:
        rows = open_csv(answer, "record", delimiter_of(parameters)).batches
        return pa.Table.from_batches(identified(rows, "record"))

    return _whole(transport, parameters, receive, "record")


def _whole(
    transport: Transport,
    parameters: dict[str, str],
    receive: Callable[[Answer], pa.Table],
    id_column: str,
    may_pass: MayPass = passes,
) -> pa.Table:
    wanted = csv_export(parameters)
    try:
        return transport.post(REQUEST, wanted, receive, may_pass)
    except EmptyAnswerError:
        pass
    if transport.post(REQUEST, wanted | {"format": "json"}, read_json) == []:
        return pa.Table.from_batches([no_rows((id_column,))])
    return transport.post(REQUEST, wanted, receive, may_pass)  # there are rows


def iterate_records(
    transport: Transport, parameters: dict[str, str], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    """Export records batch by batch, as they come; there is at least one batch.

    Raises:
        MalformedAnswerError: Rows have no record id, or come twice; their batch is not given.
        REDCapError: Of the type that says what is wrong; after some batches too, where the
            answer breaks off. What came before is then incomplete.
    """
    empty: EmptyAnswerError
    try:
        with transport.open(REQUEST, csv_export(parameters)) as answer:
            yield from _records(answer, parameters, record_id_field)
        return
    except EmptyAnswerError as error:
        empty = error
    confirm_empty(transport, REQUEST, csv_export(parameters), empty)
    yield no_rows((record_id_field,))


def _records(
    answer: Answer, parameters: dict[str, str], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    rows = open_csv(answer, record_id_field, delimiter_of(parameters)).batches
    labelled = parameters.get("rawOrLabel") == "label"
    return (identified if labelled else keyed)(rows, record_id_field)


def confirm_empty(
    transport: Transport, request: str, wanted: dict[str, str], empty: EmptyAnswerError
) -> None:
    """Make sure that an empty CSV means no rows: newer servers send no header, JSON tells.

    Raises:
        EmptyAnswerError: There are rows, and the server sent none of them.
    """
    if transport.post(request, wanted | {"format": "json"}, read_json) != []:
        raise empty
