"""The batches of a record import, sent one after the other."""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from redcap_dagster.api.errors import ImportRefusedError, REDCapError
from redcap_dagster.api.http.import_refusals import name_columns
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.choices import ValueRow
from redcap_dagster.api.methods.record_import.results import (
    RecordImport,
    read_accepted,
    read_import,
)
from redcap_dagster.api.methods.record_import.target import Row
from redcap_dagster.project.system_columns import REPEAT_INSTANCE

REQUEST: Final = "record import"


def split_into_batches(
    rows: Sequence[ValueRow], id_column: str, size: int
) -> Iterator[list[ValueRow]]:
    """Yield rows in batches. A record is never split, so a large record makes a larger batch.

    Args:
        rows: The rows.
        id_column: The column of the record id.
        size: The number of rows in a batch.

    Example:
        >>> rows = [{"id": "1"}, {"id": "2"}, {"id": "1"}, {"id": "3"}]
        >>> [[row["id"] for row in batch] for batch in split_into_batches(rows, "id", 2)]
        [['1', '1'], ['2', '3']]
    """
    records: dict[str, list[ValueRow]] = {}
    for row in rows:
        records.setdefault(str(row[id_column]), []).append(row)
    batch: list[ValueRow] = []
    for own in records.values():
        if batch and len(batch) + len(own) > size:
            yield batch
            batch = []
        batch += own
    if batch:
        yield batch


def send_batches(
    transport: Transport,
    batches: Sequence[Sequence[Row]],
    parameters: dict[str, str],
    columns: Collection[str],
    unchanged: tuple[str, ...],
) -> RecordImport:
    """Import batches, each in one request, and return the result.

    A batch in which REDCap numbers records or instances is sent once; others may be retried, as the
    same import twice has the same result.

    Args:
        transport: The connection.
        batches: The rows of each batch; a batch without rows is not sent.
        parameters: The API parameters, without the rows.
        columns: The columns of the project, which an error may name.
        unchanged: The records of which no row is sent, as all their values are stored already.

    Raises:
        REDCapError: A request failed. A note of the error has the number of rows imported before.
    """

    def receive(response: Response) -> RecordImport:
        if "backgroundProcess" in parameters:
            return read_accepted(response)
        return read_import(response, parameters["returnContent"])

    parts: list[RecordImport] = []
    for number, batch in enumerate(batches):
        if not batch:
            continue
        numbers_anew = "forceAutoNumber" in parameters or any(
            row.get(REPEAT_INSTANCE) == "new" for row in batch
        )
        send = transport.post_once if numbers_anew else transport.post
        try:
            parts.append(send(REQUEST, parameters | {"data": json.dumps(batch)}, receive))
        except REDCapError as error:
            if isinstance(error, ImportRefusedError):
                name_columns(error, columns)
            if done := sum(map(len, batches[:number])):
                error.add_note(f"{done} rows of requests before this one were imported.")
            raise
    returned = "" if "backgroundProcess" in parameters else parameters["returnContent"]
    if unchanged and returned in ("count", "ids"):
        parts.append(RecordImport(unchanged if returned == "ids" else (), count=len(unchanged)))
    return RecordImport.merge(parts)
