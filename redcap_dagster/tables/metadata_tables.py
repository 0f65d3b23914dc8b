"""What a project says of itself -> tables, as exported."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa

from redcap_dagster.project import REDCapProject


def structure_table(rows: Iterable[Mapping[str, Any]], kind: type) -> pa.Table:
    """Give exported rows as a table.

    Args:
        rows: A structure export, as the API sends it.
        kind: The frozen value that such a row becomes in the model: its numbers are integers
            here, and its columns are there when there is no row. Columns that it does not have
            (servers differ) are kept as text.

    Returns:
        The columns that the server sent, in its order; blanks null.

    Example:
        >>> from redcap_dagster.project import Arm
        >>> structure_table([{"arm_num": "1", "name": "Drug"}], Arm).to_pylist()
        [{'arm_num': 1, 'name': 'Drug'}]
    """
    rows = list(rows)
    numbers = {column.name for column in fields(kind) if "int" in str(column.type)}
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table(
        {
            name: _column([row.get(name) for row in rows], number=name in numbers)
            for name in names or [column.name for column in fields(kind)]
        }
    )


def _column(values: list[Any], *, number: bool) -> pa.Array:
    present = [None if value in (None, "") else value for value in values]
    if number and all(v is None or re.fullmatch(r"-?[0-9]+", str(v)) for v in present):
        return pa.array([None if v is None else int(v) for v in present], pa.int64())
    return pa.array([None if v is None else str(v) for v in present], pa.string())


def choices_table(project: REDCapProject) -> pa.Table:
    """Give one row per field and choice: field, form, code, label, export column.

    For checkboxes the export column is the option's own, and the project's missing data codes are
    options too.
    """
    rows = [
        (
            field.field_name,
            field.form_name,
            choice.code,
            choice.label,
            project.export_column(field.field_name, choice.code) if ticked else field.field_name,
        )
        for field in project.fields
        if (ticked := field.field_type == "checkbox") or field.choices
        for choice in (project.options(field) if ticked else field.choices)
    ]
    names = ("field_name", "form_name", "choice_code", "choice_label", "export_column")
    return pa.table(
        {
            name: pa.array([row[index] for row in rows], pa.string())
            for index, name in enumerate(names)
        }
    )
