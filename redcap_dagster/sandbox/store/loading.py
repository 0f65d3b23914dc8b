"""Projects and their values, read from a project XML or from exports of the API."""

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
from redcap_dagster.project.xml.reader import DataPoint, OdmFile, read_odm
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
"""Values by export column, of one row."""


def read_exports(
    exports: Mapping[str, Any], records: Sequence[Mapping[str, object]]
) -> REDCapProject:
    """Return the structure of a project from exports of the API.

    Args:
        exports: Rows by REDCap's content; only ``metadata`` is required.
        records: Flat rows, whose columns show which instruments are surveys and whether there are
            access groups.

    Raises:
        ValueError: A content is unknown, the metadata is missing, or the structure is invalid.
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
) -> tuple[OdmFile, Sequence[Cells]]:
    """Return the content of a project, as of a project XML, and the cells of its records.

    Args:
        xml: Project XML file, or None.
        exports: Exports by content, or None.
        records: Flat rows, with exports.

    Raises:
        ValueError: The arguments do not make a project.
    """
    if xml is not None and exports is None and not records:
        odm = read_odm(xml)
        cells = list(read_data_points(odm.project, odm.points))
    elif xml is None and exports is not None:
        odm = OdmFile(read_exports(exports, records), ())
        cells = list(read_flat_rows(odm.project, records))
    else:
        raise ValueError("Give either a project XML, or exports and records.")
    for row_key, _ in cells:
        check_row_key(odm.project, row_key)
    return odm, cells


def read_flat_rows(
    structure: REDCapProject, records: Iterable[Mapping[str, object]]
) -> Iterator[Cells]:
    """Yield the cells of flat rows; a form status is kept as given, ``0`` included.

    Raises:
        ValueError: The project does not have a column, or a row has no record id.
    """
    columns = index_columns(structure)
    for number, row in enumerate(records, 1):
        values = {name: "" if value is None else str(value) for name, value in row.items()}
        record = values.pop(structure.record_id_field, "")
        instance = values.pop(REPEAT_INSTANCE, "") or "0"
        if record == "" or not instance.isdecimal():
            raise ValueError(
                f"Row {number} of records has no {structure.record_id_field}, or its "
                "redcap_repeat_instance is not a number."
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
            raise ValueError(f"The project does not have the columns {', '.join(unknown)}.")
        own = {
            name: to_stored_value(columns[name], value)
            for name, value in values.items()
            if value != ""
        }
        yield row_key, context | own


def read_data_points(structure: REDCapProject, points: Iterable[DataPoint]) -> Iterator[Cells]:
    """Yield the cells of data points; options that a checkbox no longer has are skipped."""
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
