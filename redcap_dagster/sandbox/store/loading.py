"""How a project comes into the sandbox: from project XML, or from what the API exports."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
)
from redcap_dagster.project.xml.reader import DataPoint, read_odm
from redcap_dagster.sandbox.store.columns import index_columns, to_stored_value
from redcap_dagster.sandbox.store.row_keys import RowKey, check_row_key

_EXPORTS = {
    "metadata": "metadata",
    "instrument": "instruments",
    "project": "info",
    "arm": "arms",
    "event": "events",
    "formEventMapping": "form_event_mapping",
    "repeatingFormsEvents": "repeating",
    "exportFieldNames": "field_names",
}

_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)")

Cells = tuple[RowKey, Mapping[str, str]]


def read_exports(
    exports: Mapping[str, Any], records: Sequence[Mapping[str, object]]
) -> REDCapProject:
    """Read a project from what the API exports.

    Args:
        exports: By REDCap's content names; only ``metadata`` is required.
        records: Flat rows, whose columns say which forms are surveys and whether there are groups.

    Raises:
        ValueError: An unknown content name, no metadata, or a structure that cannot be.
    """
    unknown = sorted(set(exports) - set(_EXPORTS))
    if unknown or "metadata" not in exports:
        raise ValueError(
            f"exports takes {', '.join(_EXPORTS)}, of which metadata is required; "
            f"got {', '.join(sorted(exports)) or 'none'}."
        )
    given = {_EXPORTS[content]: rows for content, rows in exports.items()}
    return REDCapProject.from_exports(**given, header={name for row in records for name in row})


def load_project(
    xml: str | Path | None,
    exports: Mapping[str, Any] | None,
    records: Sequence[Mapping[str, object]],
) -> tuple[REDCapProject, Sequence[Cells], Sequence[DataPoint]]:
    """Read a project with its cells, and with the points of a project XML, which have its files.

    Raises:
        ValueError: What was given makes no project.
    """
    points: Sequence[DataPoint] = ()
    if xml is not None and exports is None and not records:
        odm = read_odm(xml)
        structure, points = odm.project, odm.points
        cells = list(read_data_points(structure, points))
    elif xml is None and exports is not None:
        structure = read_exports(exports, records)
        cells = list(read_flat_rows(structure, records))
    else:
        raise ValueError("A project is made of a project XML, or else of exports and records.")
    for row_key, _ in cells:
        check_row_key(structure, row_key)
    return structure, cells, points


def read_flat_rows(
    structure: REDCapProject, records: Iterable[Mapping[str, object]]
) -> Iterator[Cells]:
    """Read flat rows as an export has them; the form status is kept as given, a ``0`` included.

    Raises:
        ValueError: A column that the project does not have, or a row without its record id.
    """
    columns = index_columns(structure)
    for number, row in enumerate(records, 1):
        values = {name: "" if value is None else str(value) for name, value in row.items()}
        record = values.pop(structure.record_id_field, "")
        instance = values.pop(REPEAT_INSTANCE, "") or "0"
        if record == "" or not instance.isdecimal():
            raise ValueError(
                f"Row {number} of records lacks {structure.record_id_field}, or its "
                "redcap_repeat_instance is no number."
            )
        row_key = RowKey(
            record,
            values.pop(EVENT_NAME, ""),
            values.pop(REPEAT_INSTRUMENT, ""),
            int(instance),
        )
        context = {
            name: value
            for name in (ACCESS_GROUP, SURVEY_IDENTIFIER)
            if (value := values.pop(name, "")) != ""
        }
        if unknown := sorted(set(values) - set(columns)):
            raise ValueError(f"The project has no columns {', '.join(unknown)}.")
        own = {
            name: to_stored_value(columns[name], value)
            for name, value in values.items()
            if value != ""
        }
        yield row_key, context | own


def read_data_points(structure: REDCapProject, points: Iterable[DataPoint]) -> Iterator[Cells]:
    """Read the points of a project XML. Options that a checkbox no longer has are passed over."""
    columns = index_columns(structure)
    ticks = {
        (column.field.field_name, column.choice.code): name
        for name, column in columns.items()
        if column.choice is not None
    }
    checkboxes = {field for field, _ in ticks}
    times = {name for name, column in columns.items() if "datetime" in column.field.validation}
    rows: dict[RowKey, dict[str, str]] = {}
    for point in points:
        row_key = RowKey(point.record, point.event, point.repeat_instrument, point.repeat_instance)
        values = rows.setdefault(row_key, {})
        if point.field_name in times:
            # XML of 8.1 has 2016-01-22T10:43 where its server exported 2016-01-22 10:43.
            values[point.field_name] = _TIME.sub(r"\1 \2", point.value)
        elif point.field_name not in checkboxes:
            values[point.field_name] = point.value
        elif (point.field_name, point.value) in ticks:
            values[ticks[point.field_name, point.value]] = "1"
    yield from rows.items()
