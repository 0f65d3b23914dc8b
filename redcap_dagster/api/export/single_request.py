"""Record exports that are not compared with a census: one request, or as few as possible."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from redcap_dagster.api.export.reader.records import is_blank, iterate_records, read_records
from redcap_dagster.api.export.verification.columns import ExportedColumns, compare_columns
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject


def export_at_once(
    transport: Transport,
    parameters: dict[str, str],
    project: REDCapProject,
    text: pa.DataType,
) -> pa.Table:
    """Return exported records as a table.

    Args:
        transport: The connection.
        parameters: The parameters of the export.
        project: The structure.
        text: The type of all columns but keys.

    Raises:
        ProjectChangedError: The dictionary was changed since it was exported.
        REDCapError: The request failed. The type says why.
    """
    id_field, received = project.record_id_field, set[str]()
    table = read_records(
        transport,
        parameters,
        id_field,
        project=project,
        on_header=received.update,
        text=text,
    )
    if not is_blank(table):
        exported = ExportedColumns(id_field)
        columns = table.column_names
        compare_columns(transport, parameters, project, columns, exported, received)
    return table


def stream_at_once(
    transport: Transport, parameters: dict[str, str], project: REDCapProject
) -> Iterator[pa.RecordBatch]:
    """Yield exported records in batches as they are received, like `export_at_once`."""
    exported = ExportedColumns(project.record_id_field)

    def check_header(columns: Sequence[str]) -> None:
        connection = transport.fork()  # the response is still being received
        try:
            compare_columns(connection, parameters, project, columns, exported)
        finally:
            connection.close()

    yield from iterate_records(
        transport, parameters, project.record_id_field, project=project, on_header=check_header
    )
