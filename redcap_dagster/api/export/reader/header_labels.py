"""Labels in the place of column names: of a record export, which is read by the names."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from redcap_dagster.api.export.reader.row_keys import REQUEST
from redcap_dagster.api.export.reader.selection import csv_parameters, get_delimiter
from redcap_dagster.api.http.response import Response, malformed_error, read_text
from redcap_dagster.api.http.transport import Transport


def label_columns(
    transport: Transport, parameters: dict[str, str], record_id_field: str, rows: pa.Table
) -> pa.Table:
    """Give the columns of a record export the labels that REDCap writes over them.

    Rows are asked for with names, by which alone they can be verified; the labels are those of an
    export of the first record, place by place. Without rows there is no such record, and the names
    stay.

    Raises:
        REDCapError: The labels cannot be had; the type says why.
    """
    if not rows.num_rows:
        return rows
    first = rows[record_id_field][0].as_py()
    return rows.rename_columns(_labels(transport, parameters, first, rows.column_names))


def _labels(
    transport: Transport, parameters: dict[str, str], record: str, columns: Sequence[str]
) -> list[str]:
    others = {name: value for name, value in parameters.items() if not name.startswith("records[")}
    wanted = csv_parameters(others | {"records[0]": record, "rawOrLabelHeaders": "label"})

    def receive(response: Response) -> list[str]:
        lines = csv.reader(io.StringIO(read_text(response), newline=""), delimiter=delimiter)
        labels = next(lines)
        if len(labels) != len(columns):
            raise malformed_error(
                response, f"it has labels of {len(labels)} columns, and names of {len(columns)}"
            )
        return labels

    delimiter = get_delimiter(parameters)
    return make_labels_unique(transport.post(REQUEST, wanted, receive), columns)


def make_labels_unique(labels: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Add the name of the column to labels that come twice, so that none is lost.

    Example:
        >>> make_labels_unique(["Age", "Done?", "Done?"], ["age", "a_complete", "b_complete"])
        ['Age', 'Done? (a_complete)', 'Done? (b_complete)']
    """
    told = list(labels)
    while repeated := {label for label, times in Counter(told).items() if times > 1}:
        told = [
            f"{label} ({column})" if label in repeated else label
            for label, column in zip(told, columns, strict=True)
        ]
    return told
