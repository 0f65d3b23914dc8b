"""The batches of a record import: sent one after the other, or compared with what is stored."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa

from redcap_dagster.api.errors import ImportRefusedError, REDCapError
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.selection import check_selection
from redcap_dagster.api.http.import_refusals import name_columns
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.dates import put_year_first
from redcap_dagster.api.methods.record_import.results import (
    CellChange,
    RecordImport,
    read_accepted,
    read_import,
)
from redcap_dagster.api.methods.record_import.target import (
    PLACE_COLUMNS,
    ImportTarget,
    Row,
    Shape,
)
from redcap_dagster.project.system_columns import ACCESS_GROUP, REPEAT_INSTANCE, SURVEY_IDENTIFIER

REQUEST: Final = "record import"


def split_into_batches(rows: Sequence[Row], id_column: str, size: int) -> Iterator[list[Row]]:
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
    records: dict[str, list[Row]] = {}
    for row in rows:
        records.setdefault(row[id_column], []).append(row)
    batch: list[Row] = []
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
) -> RecordImport:
    """Import batches, each in one request, and return the result.

    A batch in which REDCap numbers records or instances is sent once; others may be retried, as the
    same import twice has the same result.

    Args:
        transport: The connection.
        batches: The batches of rows.
        parameters: The API parameters, without the rows.
        columns: The columns of the project, which an error may name.

    Raises:
        REDCapError: A request failed. A note of the error has the number of rows imported before.
    """

    def receive(response: Response) -> RecordImport:
        if "backgroundProcess" in parameters:
            return read_accepted(response)
        return read_import(response, parameters["returnContent"])

    parts: list[RecordImport] = []
    for number, batch in enumerate(batches):
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
    return RecordImport.merge(parts)


def export_current(
    transport: Transport, target: ImportTarget, rows: Sequence[Row], shape: Shape
) -> pa.Table:
    """Return the stored rows of the records of a batch, with the columns of the batch."""
    columns = {column for _, column, _ in target.iterate_cells(rows, shape)}
    fields = {target.originals[name] for name in columns if name in target.originals}
    parameters = check_selection(
        records=list_ids(rows, target.get_id_column(shape)),
        fields=sorted(fields | {target.record_id_field}),
        export_data_access_groups=ACCESS_GROUP in columns,
        export_survey_fields=SURVEY_IDENTIFIER in columns,
    )
    return read_records(transport, parameters, target.record_id_field)


def compare_with_current(
    target: ImportTarget,
    rows: Sequence[Row],
    shape: Shape,
    current: pa.Table,
    overwrite: bool,
    date_format: str,
) -> Iterator[CellChange]:
    """Yield the changes that an import would make. Values are compared as text.

    Args:
        target: The project.
        rows: The rows to import.
        shape: The shape of these rows.
        current: The stored rows of these records, with the columns to import.
        overwrite: Whether blank values overwrite stored ones.
        date_format: The order in the dates of the rows. REDCap exports year, month, day.
    """
    id_field, id_column = target.record_id_field, target.get_id_column(shape)
    stored = {_get_place(row, id_field): row for row in current.to_pylist()}
    for row, column, value in target.iterate_cells(rows, shape):
        if (value == "" and not overwrite) or target.originals.get(column) in target.computed:
            continue
        place = _get_place(row, id_column)
        stored_row = stored.get(place)
        before = None if stored_row is None else stored_row.get(column) or ""
        if target.validations.get(column, "").startswith("date"):
            value = put_year_first(value, date_format)
        if before != value and not (before is None and value == ""):
            yield CellChange(*place, column, before, value)


def list_ids(rows: Sequence[Row], id_column: str) -> tuple[str, ...]:
    """Return the record ids of rows, each once."""
    return tuple(dict.fromkeys(row[id_column] for row in rows))


def _get_place(row: Mapping[str, str | None], id_column: str) -> tuple[str, str, str, str]:
    event, instrument, instance = (row.get(name) or "" for name in PLACE_COLUMNS)
    return row[id_column] or "", event, instrument, instance
