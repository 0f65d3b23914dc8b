"""The metadata of a project -> tables, as exported."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa

from redcap_dagster.project import REDCapProject


def structure_table(rows: Iterable[Mapping[str, Any]], kind: type) -> pa.Table:
    """Return the rows of a structure export as a table.

    Args:
        rows: Rows as the API sends them.
        kind: Class of such a row in `redcap_dagster.project`, for example `Arm`. Its integers are
            integers in the table, and its columns are those of an empty table. Columns that it
            does not have, as servers differ, are text.

    Returns:
        The columns that the server sent, in its order; blanks are null.

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
            name: _build_column([row.get(name) for row in rows], number=name in numbers)
            for name in names or [column.name for column in fields(kind)]
        }
    )


def _build_column(values: list[Any], *, number: bool) -> pa.Array:
    """Return values as text, or as integers if the column is a number and all of them are."""
    present = [None if value in (None, "") else value for value in values]
    if number and all(v is None or re.fullmatch(r"-?[0-9]+", str(v)) for v in present):
        return pa.array([None if v is None else int(v) for v in present], pa.int64())
    return pa.array([None if v is None else str(v) for v in present], pa.string())


def choices_table(project: REDCapProject) -> pa.Table:
    """Return one row per field and choice: field, instrument, code, label, export column.

    Each option of a checkbox has its own export column, and the project's missing data codes are
    options too.

    Args:
        project: Structure of the project.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "race", "form_name": "a", "field_type": "checkbox",
        ...      "select_choices_or_calculations": "1, A | 2, B"}])
        >>> choices_table(project)["export_column"].to_pylist()
        ['race___1', 'race___2']
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
