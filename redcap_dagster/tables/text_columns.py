"""An export, or the records of an instrument, as an Arrow table of text."""

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.frames import Rows, is_text, to_table
from redcap_dagster.project import StructureError
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import ARM, EVENT_NAME
from redcap_dagster.text_bytes import has_blank


def read_text(rows: Rows) -> pa.Table:
    """Return an export, or records of an instrument, as an Arrow table of text.

    The number of the arm, which records have beside the event, is an integer.

    Args:
        rows: A DataFrame, an Arrow table, or an object that offers the Arrow C stream.

    Raises:
        StructureError: A column is not text, so that the text that REDCap sent is lost.
        TypeError: The rows are not a table.

    Example:
        >>> read_text(pa.table({"id": pa.array(["1"], pa.large_string())})).schema
        id: string
    """
    table = to_table(rows)
    typed = list_typed_columns(table)
    if typed:
        raise StructureError(
            "The rows have columns of types other than text, so that the text that REDCap sent is "
            f"lost (007 became 7): {list_names(typed)}. Take them as export_records returns them; "
            "read a CSV file with dtype=str."
        )
    arm = _find_arm_column(table)
    kinds = [pa.int64() if name == arm else pa.string() for name in table.column_names]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def list_typed_columns(rows: pa.Table) -> list[str]:
    """Return the columns that have values but are not text, each with its type.

    Args:
        rows: An export, or records of an instrument.

    Example:
        >>> list_typed_columns(pa.table({"id": ["1"], "age": [7], "note": [None]}))
        ['age (int64)']
    """
    arm = _find_arm_column(rows)
    return [
        f"{name} ({column.type})"
        for name, column in zip(rows.column_names, rows.columns, strict=True)
        if not (name == arm or is_text(column.type) or column.null_count == len(column))
    ]


def _find_arm_column(rows: pa.Table) -> str | None:
    """Return the column of the arm's number; a field may have its name, but other values."""
    if not {ARM, EVENT_NAME}.issubset(rows.column_names):
        return None
    arm = rows[ARM]
    is_field = is_text(arm.type) and pc.any(pc.invert(pc.match_substring_regex(arm, r"^\d*$")))
    return None if is_field and is_field.as_py() else ARM


def read_column(export: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column of an export with blanks null; all null if the export does not have it."""
    position = export.schema.get_field_index(name)
    if position < 0:
        return pa.chunked_array([pa.nulls(export.num_rows, pa.string())])
    column = export.column(position).cast(pa.string())
    if not has_blank(column):
        return column
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
