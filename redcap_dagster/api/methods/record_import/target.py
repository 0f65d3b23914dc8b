"""The project that a record import goes to: the columns, events and dates that it takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from redcap_dagster.api.calls.import_data import check_columns
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import IS_LONGITUDINAL, export_info, export_rows, is_flag_set
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.dates import is_date
from redcap_dagster.project import parse_choices
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_COLUMNS,
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
        record_id_field: The record id field.
        originals: The field of each export column.
        validations: The validation of each field.
        computed: The fields that REDCap computes, and ignores in imports.
        files: The file fields, whose files are imported one by one.
        added: The columns that REDCap adds to rows.
        events: The unique names of the events; none in a classic project.
        missing: The codes that any field takes for a missing value.
    """

    record_id_field: str
    originals: Mapping[str, str]
    validations: Mapping[str, str]
    computed: frozenset[str]
    files: frozenset[str]
    added: frozenset[str]
    events: frozenset[str]
    missing: frozenset[str]

    @classmethod
    def export(cls, transport: Transport) -> Self:
        """Return the target of a project, by its dictionary, export columns and events.

        Raises:
            REDCapError: A request failed. The type says why.
        """

        def export_list(content: str, key: str) -> list[dict[str, Any]]:
            return export_rows(transport, f"{content} export", call_parameters(content), key)

        metadata = export_list("metadata", "field_name")
        names = export_list("exportFieldNames", "export_field_name")
        info = export_info(transport)
        events = []
        if is_flag_set(info, IS_LONGITUDINAL):
            events = export_list("event", "unique_event_name")
        return cls(
            record_id_field=metadata[0]["field_name"],
            originals={row["export_field_name"]: row["original_field_name"] for row in names},
            validations={
                row["field_name"]: row.get("text_validation_type_or_show_slider_number", "")
                for row in metadata
            },
            computed=_select_fields(metadata, "calc"),
            files=_select_fields(metadata, "file"),
            added=frozenset({*PLACE_COLUMNS, ACCESS_GROUP, SURVEY_IDENTIFIER})
            | {timestamp_column(str(row.get("form_name"))) for row in metadata},
            events=frozenset(row["unique_event_name"] for row in events),
            missing=frozenset(
                choice.code for choice in parse_choices(str(info.get("missing_data_codes") or ""))
            ),
        )

    @property
    def columns(self) -> frozenset[str]:
        """The fields and columns of the project."""
        return self.added.union(self.originals, self.validations)

    def get_id_column(self, shape: Shape) -> str:
        """Return the column of the record id."""
        return self.record_id_field if shape == "flat" else "record"

    def check(self, rows: Sequence[Row], shape: Shape, date_format: str) -> None:
        """Raise unless the project takes these rows: their columns, events and dates.

        Raises:
            ValueError: It does not. The message has names of columns and counts only.
        """
        id_column = self.get_id_column(shape)
        check_columns(rows, [id_column, *(("field_name", "value") if shape == "eav" else ())])
        blank = sum(not row[id_column].strip() for row in rows)
        if blank:
            raise ValueError(f"data: {blank} rows have no record id.")
        columns = dict.fromkeys(name for row in rows for name in row)
        if shape == "eav":
            self._check_eav_columns(rows, columns)
        else:
            self._check_flat_columns(columns, id_column)
        unknown = sum(row.get(EVENT_NAME, "") not in self.events | {""} for row in rows)
        if unknown:
            raise ValueError(
                f"data: {unknown} rows name an event that the project does not have. Its events "
                f"are {list_names(sorted(self.events)) or 'none, as it is classic'}."
            )
        dates = [
            column
            for _, column, value in self.iterate_cells(rows, shape)
            if self.validations.get(column, "").startswith("date")
            and value.strip() not in self.missing | {""}
            and not is_date(value.strip(), date_format)
        ]
        if dates:
            raise ValueError(
                f"data: {len(dates)} values of {list_names(sorted(set(dates)))} are not dates of "
                f"the calendar. Write the year first, or as date_format says: {date_format}."
            )

    def _check_eav_columns(self, rows: Sequence[Row], columns: Mapping[str, None]) -> None:
        other = set(columns) - {"record", "field_name", "value", *PLACE_COLUMNS}
        if other:
            raise ValueError(
                f"data: an EAV import does not have these columns: {list_names(sorted(other))}. "
                "Leave them out."
            )
        unknown = sum(row["field_name"] not in self.originals for row in rows)
        if unknown:
            # The text in the place of a field may be anything, so it is only counted.
            raise ValueError(
                f"data: {unknown} rows name a field that the project does not have. Name a choice "
                "of a checkbox like race___1, with value 0 or 1, although EAV exports name race."
            )

    def _check_flat_columns(self, columns: Mapping[str, None], id_column: str) -> None:
        others = [name for name in columns if name not in self.originals]
        file_fields = [name for name in others if name in self.files]
        if file_fields:
            raise ValueError(
                f"data: {list_names(file_fields)} hold files, which a record import cannot store. "
                "Import each with client.files.import_."
            )
        known = self.added | {id_column}
        unknown = [name for name in others if name not in known]
        if unknown:
            raise ValueError(
                f"data: the project does not have these fields: {list_names(unknown)}. Leave them "
                "out, or correct their names."
            )

    def iterate_cells(self, rows: Sequence[Row], shape: Shape) -> Iterator[tuple[Row, str, str]]:
        """Yield each value as its row, export column and text."""
        id_column = self.get_id_column(shape)
        for row in rows:
            if shape == "eav":
                yield row, row["field_name"], row["value"]
            else:
                for name, value in row.items():
                    if name != id_column and name not in PLACE_COLUMNS:
                        yield row, name, value


def _select_fields(metadata: Sequence[Mapping[str, Any]], field_type: str) -> frozenset[str]:
    return frozenset(row["field_name"] for row in metadata if row.get("field_type") == field_type)
