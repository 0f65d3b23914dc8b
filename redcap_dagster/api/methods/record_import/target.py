"""The project that a record import goes to: the columns and events that it takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import numpy as np

from redcap_dagster.api.calls.import_data import check_columns
from redcap_dagster.api.calls.project_structure import export_dictionary
from redcap_dagster.api.calls.rows import (
    IS_LONGITUDINAL,
    export_content,
    export_if_applicable,
    export_info,
)
from redcap_dagster.api.calls.written_values import Value, write_value
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.choices import (
    MEANINGS,
    Meaning,
    ValueRow,
    merge_code_columns,
    spread_options,
)
from redcap_dagster.api.methods.record_import.columns import ImportColumn
from redcap_dagster.project import Column, REDCapProject
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    ARM,
    EVENT_NAME,
    REPEAT_COLUMNS,
    REPEAT_INSTANCE,
    SURVEY_IDENTIFIER,
    timestamp_column,
)

Row = Mapping[str, str]
Shape = Literal["flat", "eav"]

PLACE_COLUMNS: Final = (EVENT_NAME, *REPEAT_COLUMNS)


@dataclass(frozen=True)
class ImportTarget:
    """The project that an import goes to.

    Attributes:
        project: The project.
        columns: The columns that an import can have, besides those of a row's place.
        added: The columns of exports and of clean tables that an import ignores.
    """

    project: REDCapProject
    columns: Mapping[str, ImportColumn]
    added: frozenset[str]

    @classmethod
    def export(cls, transport: Transport) -> Self:
        """Return the target of a project, by its dictionary, export columns and events.

        Args:
            transport: The connection to the project.

        Raises:
            REDCapError: A request failed. The type says why.
        """
        metadata = export_dictionary(transport)
        names = [
            {"choice_value": "", **row}
            for row in export_content(transport, "exportFieldNames", "export_field_name")
        ]
        info = export_info(transport)
        events = export_if_applicable(
            transport, info, IS_LONGITUDINAL, "event", "unique_event_name"
        )
        project = REDCapProject.from_exports(
            metadata=metadata, field_names=names, info=info, events=events
        )
        missing = frozenset(choice.code for choice in project.missing_data_codes)
        known = [Column(project.record_id_field, project.fields[0])]
        known += [
            column
            for instrument in project.instruments
            for column in project.columns(instrument.instrument_name)
        ]
        timestamps = {timestamp_column(field.form_name) for field in project.fields}
        reasons = {f"{field.field_name}_missing" for field in project.fields}
        return cls(
            project=project,
            columns={ACCESS_GROUP: ImportColumn()}
            | {
                str(row["export_field_name"]): ImportColumn(str(row["original_field_name"]))
                for row in names
            }
            | {column.name: ImportColumn.describe(column, missing) for column in known},
            added=frozenset({ARM, SURVEY_IDENTIFIER} | timestamps | reasons),
        )

    @property
    def names(self) -> frozenset[str]:
        """The fields and columns of the project."""
        fields = {field.field_name for field in self.project.fields}
        return self.added.union(self.columns, fields, PLACE_COLUMNS)

    def get_id_column(self, shape: Shape) -> str:
        """Return the column of the record id."""
        return self.project.record_id_field if shape == "flat" else "record"

    def prepare(
        self, rows: Sequence[ValueRow], shape: Shape, meaning: Meaning | None
    ) -> tuple[Sequence[ValueRow], Mapping[str, Meaning]]:
        """Return the rows to import: keys as they are stored, a column for each checkbox option.

        Args:
            rows: The rows.
            shape: Their shape.
            meaning: What values of choices are that may be codes or labels; None if unknown.

        Returns:
            The rows, and what such values are, by column, as far as it is known.

        Raises:
            ValueError: The project does not take them. The message has names and counts only.
        """
        id_column = self.get_id_column(shape)
        inexact = sum(_is_inexact(row.get(id_column)) for row in rows)
        if inexact:
            raise ValueError(
                f"data: {inexact} record ids are floats too large to hold every digit, so they may "
                "name other records. Give record ids as texts or integers."
            )
        coded: frozenset[str] = frozenset()
        if shape == "flat":
            rows, coded = merge_code_columns(rows, self.project, self.columns)
            rows = spread_options(rows, self.project, self.columns, coded, meaning)
        keys = (id_column, *PLACE_COLUMNS)
        rows = [
            {
                name: _write_key(name, value) if name in keys else value
                for name, value in row.items()
            }
            for row in rows
        ]
        self._check(rows, shape)
        known = {} if meaning is None else dict.fromkeys(self.columns, meaning)
        return rows, {**known, **dict.fromkeys(coded, MEANINGS[0])}

    def _check(self, rows: Sequence[ValueRow], shape: Shape) -> None:
        """Raise unless the project takes the columns and events of these rows."""
        id_column = self.get_id_column(shape)
        check_columns(rows, [id_column, *(("field_name", "value") if shape == "eav" else ())])
        blank = sum(not str(row[id_column] or "").strip() for row in rows)
        if blank:
            raise ValueError(f"data: {blank} rows have no record id.")
        columns = dict.fromkeys(name for row in rows for name in row)
        if shape == "eav":
            self._check_eav_columns(rows, columns)
        else:
            self._check_flat_columns(columns)
        events = {event.unique_event_name for event in self.project.events}
        unknown = sum((row.get(EVENT_NAME) or "") not in events | {""} for row in rows)
        if unknown:
            raise ValueError(
                f"data: {unknown} rows name an event that the project does not have. Its events "
                f"are {list_names(sorted(events)) or 'none, as it is classic'}."
            )

    def _check_eav_columns(self, rows: Sequence[ValueRow], columns: Mapping[str, None]) -> None:
        other = set(columns) - {"record", "field_name", "value", *PLACE_COLUMNS}
        if other:
            raise ValueError(
                f"data: an EAV import does not have these columns: {list_names(sorted(other))}. "
                "Leave them out."
            )
        known = self.columns.keys() - {ACCESS_GROUP}
        unknown = sum(row["field_name"] not in known for row in rows)
        if unknown:
            # The text in the place of a field may be anything, so it is only counted.
            raise ValueError(
                f"data: {unknown} rows name a field that the project does not have. Name a choice "
                "of a checkbox like race___1, with value 0 or 1, although EAV exports name race."
            )

    def _check_flat_columns(self, columns: Mapping[str, None]) -> None:
        known = self.columns.keys() | self.added | set(PLACE_COLUMNS)
        unknown = [name for name in columns if name not in known]
        boxes = {row.field_name for row in self.project.fields if row.field_type == "checkbox"}
        if boxes := boxes.intersection(unknown):
            raise ValueError(
                f"data: {list_names(sorted(boxes))} are checkboxes. Give a column for each choice, "
                "like race___1, with value 0 or 1, or lists of the ticked choices."
            )
        if unknown:
            raise ValueError(
                f"data: the project does not have these fields: {list_names(unknown)}. Leave them "
                "out, or correct their names."
            )

    def with_meanings(self, meanings: Mapping[str, Meaning]) -> Self:
        """Return the target for values of choices that are codes or labels, by column."""
        columns = {
            name: replace(column, texts=replace(column.texts, meaning=meanings[name]))
            if name in meanings and column.texts
            else column
            for name, column in self.columns.items()
        }
        return replace(self, columns=columns)

    def iterate_cells(
        self, rows: Sequence[ValueRow], shape: Shape
    ) -> Iterator[tuple[ValueRow, str, Value]]:
        """Yield each value that an import may change as its row, column and value."""
        id_column = self.get_id_column(shape)
        for row in rows:
            if shape == "eav":
                if (name := str(row["field_name"])) in self.columns:
                    yield row, name, row["value"]
            else:
                for name, value in row.items():
                    if name != id_column and name not in PLACE_COLUMNS and name in self.columns:
                        yield row, name, value


def _write_key(name: str, value: Value) -> str:
    """Return a part of a row's place as REDCap stores it: trimmed, and instance 01 as 1."""
    text = write_value(value).strip()
    is_number = name == REPEAT_INSTANCE and text.isascii() and text.isdecimal()
    return (text.lstrip("0") or "0") if is_number else text


def _is_inexact(value: Value) -> bool:
    """Return whether a value is a float of which the next one is not the next integer or nearer."""
    return isinstance(value, float | np.floating) and not np.spacing(value) <= 1
