"""The layout of a record export: its columns, and which rows have them.

Evidence: exports and project XML of the same projects, and responses recorded from real servers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redcap_dagster.project import Column, REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
    status_column,
    timestamp_column,
)
from redcap_dagster.sandbox.protocol.parameters import Parameters
from redcap_dagster.sandbox.protocol.version import parse_version
from redcap_dagster.sandbox.store.rights import (
    DEIDENTIFIED,
    FULL,
    NO_ACCESS,
    REMOVE_IDENTIFIERS,
    Rights,
)
from redcap_dagster.sandbox.store.row_keys import list_row_forms
from redcap_dagster.sandbox.store.store import StoredProject

_PSEUDO_FIELDS: Final = (
    EVENT_NAME,
    REPEAT_INSTRUMENT,
    REPEAT_INSTANCE,
    ACCESS_GROUP,
    SURVEY_IDENTIFIER,
)
_PSEUDO_FIELDS_REFUSED_SINCE: Final = (13, 4, 10)
_BLANK_STATUS_SINCE: Final = (11, 4, 0)


@dataclass(frozen=True, slots=True)
class RowKind:
    """The common layout of rows of one event and repeating instrument.

    Attributes:
        blank: Cells of a row without values.
        slots: Position of each column that such rows have.
    """

    blank: tuple[str | int, ...]
    slots: Mapping[str, int]


@dataclass(frozen=True)
class Layout:
    """The layout of a record export.

    Attributes:
        structure: Structure of the project.
        keys: Key columns; none if the record id was not requested.
        header: All columns, the keys first.
        forms: Requested columns by instrument, with the cell of a value that was never saved.
    """

    structure: REDCapProject
    keys: tuple[str, ...]
    header: tuple[str, ...]
    forms: Mapping[str, Mapping[str, str]]

    def get_row_kind(self, event: str, instrument: str) -> RowKind | None:
        """Return the layout of rows of an event and repeating instrument.

        Recorded: an instance is exported only if its instrument is requested. All other rows of
        a longitudinal project are exported, those of a classic project only with their keys or one
        of their instruments. For repeating events this is a guess.

        Returns:
            None if the export does not have such rows.
        """
        forms = list_row_forms(self.structure, event, instrument)
        cells = {name: cell for form in forms for name, cell in self.forms.get(form, {}).items()}
        requested = any(form in self.forms for form in forms)
        always = not instrument and (self.structure.is_longitudinal or bool(self.keys))
        if not (requested or always):
            return None
        slots = {name: slot for slot, name in enumerate(self.header) if name in cells}
        if SURVEY_IDENTIFIER in self.header:
            slots[SURVEY_IDENTIFIER] = self.header.index(SURVEY_IDENTIFIER)
        return RowKind(tuple(cells.get(name, "") for name in self.header), slots)


def build_layout(project: StoredProject, parameters: Parameters) -> Layout:
    """Return the layout of the requested fields and instruments, with columns in REDCap's order.

    Columns that the user may not export are omitted, or refused if they are requested by name.
    """
    structure, rights = project.structure, project.rights
    names = [row.instrument_name for row in structure.instruments]
    statuses = {status_column(name) for name in names}
    timestamps = {timestamp_column(name) for name in structure.surveys}
    version = parse_version(structure.version)
    columns = {name: _list_exportable_columns(structure, rights, name) for name in names}
    shown = {column.field.field_name for each in columns.values() for column in each}
    hidden = {f.field_name for name in names for f in structure.instrument_fields(name)} - shown
    known = ({field.field_name for field in structure.fields} | statuses) - hidden
    if version < _PSEUDO_FIELDS_REFUSED_SINCE:
        known |= {*_PSEUDO_FIELDS, *timestamps}
    fields = parameters.get_known_names("fields", known)
    forms = parameters.get_known_names("forms", names)
    everything = not fields and not forms
    id_field = structure.fields[0]
    with_keys = everything or id_field.field_name in fields or id_field.form_name in forms
    blank_status = parameters.get_flag("exportBlankForGrayFormStatus")
    gray = "" if blank_status and version >= _BLANK_STATUS_SINCE else "0"

    requested: dict[str, dict[str, str]] = {}
    for name in names:
        cells = {
            column.name: gray if column.name in statuses else "0" if column.choice else ""
            for column in columns[name]
            if (everything or name in forms or column.field.field_name in fields)
            and column.name not in timestamps
        }
        # That one field of a survey adds its timestamp is a guess.
        if cells and name in structure.surveys and parameters.get_flag("exportSurveyFields"):
            cells = {timestamp_column(name): ""} | cells
        if cells or (with_keys and name == id_field.form_name):
            requested[name] = cells

    keys: tuple[str, ...] = ()
    identifier: tuple[str, ...] = ()
    if with_keys:
        keys += (structure.record_id_field,)
        keys += (EVENT_NAME,) * structure.is_longitudinal
        if structure.has_repeating:
            keys += (REPEAT_INSTRUMENT, REPEAT_INSTANCE)
        groups = structure.has_access_groups and parameters.get_flag("exportDataAccessGroups")
        if groups and not rights.data_access_group:
            keys += (ACCESS_GROUP,)
        if structure.surveys and parameters.get_flag("exportSurveyFields"):
            identifier = (SURVEY_IDENTIFIER,)
    data_columns = tuple(column for cells in requested.values() for column in cells)
    return Layout(structure, keys, (*keys, *identifier, *data_columns), requested)


def hides_record_id(project: StoredProject) -> bool:
    """Return whether the user sees hashes instead of record ids, which are identifiers."""
    field = project.structure.fields[0]
    level = project.rights.get_export_level(field.form_name)
    return field.is_identifier and level in (DEIDENTIFIED, REMOVE_IDENTIFIERS)


def _list_exportable_columns(
    structure: REDCapProject, rights: Rights, form: str
) -> tuple[Column, ...]:
    """Return the columns of an instrument that the user's export level allows."""
    level = rights.get_export_level(form)
    if level == NO_ACCESS:
        return ()
    columns = structure.columns(form)
    if level == FULL:
        return columns
    columns = tuple(column for column in columns if not column.field.is_identifier)
    if level == REMOVE_IDENTIFIERS:
        return columns
    return tuple(column for column in columns if not _may_identify(column))


def _may_identify(column: Column) -> bool:
    """Return whether a field could identify a person: recorded for text; notes, dates a guess."""
    field = column.field
    if column.name == timestamp_column(field.form_name):
        return False
    return field.field_type == "notes" or (
        field.field_type == "text" and (not field.validation or field.validation.startswith("date"))
    )
