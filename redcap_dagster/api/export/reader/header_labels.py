"""Column labels in place of the column names of a record export."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from redcap_dagster.api.export.reader.csv_reader import parse_first_row
from redcap_dagster.api.export.reader.row_keys import REQUEST, may_be_hashed
from redcap_dagster.api.export.reader.selection import csv_parameters, get_delimiter
from redcap_dagster.api.http.response import Response, malformed_error, read_text
from redcap_dagster.api.http.transport import Transport


def label_columns(
    transport: Transport, parameters: dict[str, str], record_id_field: str, rows: pa.Table
) -> pa.Table:
    """Return a record export with column labels as its column names.

    Rows are exported with names, as only names can be verified. The labels are those of an export
    of the first record, or of all records if its id may be a hash, by which REDCap finds none.
    Without rows, the names stay.

    Raises:
        REDCapError: The request for the labels failed. The type says why.
    """
    if not rows.num_rows:
        return rows
    others = {name: value for name, value in parameters.items() if not name.startswith("records[")}
    first = rows[record_id_field][0].as_py()
    named = {} if may_be_hashed([first]) else {"records[0]": first}
    asked = csv_parameters(others | named)
    return rows.rename_columns(_export_labels(transport, asked, rows.column_names))


def _export_labels(
    transport: Transport, parameters: dict[str, str], columns: Sequence[str]
) -> list[str]:
    """Return the label of each column.

    Where a server sends more columns than were requested, which the rows do not have, the names of
    the same columns tell which labels to take.
    """

    def receive(response: Response) -> tuple[list[str], Response]:
        return parse_first_row(response, read_text(response), get_delimiter(parameters)), response

    asked = parameters | {"rawOrLabelHeaders": "label"}
    labels, response = transport.post(REQUEST, asked, receive)
    names: Sequence[str] = columns
    if len(labels) > len(columns):
        names, _ = transport.post(REQUEST, parameters, receive)
    if not len(labels) == len(names) == len({*names}) or not {*names}.issuperset(columns):
        raise malformed_error(
            response, f"it has {len(labels)} column labels for {len(columns)} columns"
        )
    by_name = dict(zip(names, labels, strict=True))
    return make_labels_unique([by_name[column] for column in columns], columns)


def make_labels_unique(labels: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return labels that are unique: those of several columns have the column name added.

    Example:
        >>> make_labels_unique(["Age", "Done?", "Done?"], ["age", "a_complete", "b_complete"])
        ['Age', 'Done? (a_complete)', 'Done? (b_complete)']
    """
    unique = list(labels)
    while repeated := {label for label, times in Counter(unique).items() if times > 1}:
        unique = [
            f"{label} ({column})" if label in repeated else label
            for label, column in zip(unique, columns, strict=True)
        ]
    return unique
