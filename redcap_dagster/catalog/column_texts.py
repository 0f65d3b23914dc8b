"""What the dictionary says of the columns of an instrument's tables: labels, choices, limits."""

from collections.abc import Mapping, Sequence

from redcap_dagster.project import Field, REDCapProject
from redcap_dagster.project.choices import format_choices
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    ARM,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
)

KEY_DESCRIPTIONS: Mapping[str, str] = {
    EVENT_NAME: "Event",
    ARM: "Number of the arm",
    REPEAT_INSTRUMENT: "Repeating instrument",
    REPEAT_INSTANCE: "Number of the instance",
    ACCESS_GROUP: "Data access group",
    SURVEY_IDENTIFIER: "Survey identifier",
}


class ColumnTexts:
    """What the dictionary says of the columns of an instrument's tables.

    Args:
        project: The structure.
        instrument: Name of the instrument.
    """

    def __init__(self, project: REDCapProject, instrument: str) -> None:
        record_id = project.fields[0]
        self._keys = {
            record_id.field_name: record_id.field_label or "Record id",
            **KEY_DESCRIPTIONS,
        }
        self._columns = {column.name: column for column in project.columns(instrument)}
        self._exported: dict[str, list[str]] = {}
        for column in self._columns.values():
            self._exported.setdefault(column.field.field_name, []).append(column.name)
        self._fields = {field.field_name: field for field in project.instrument_fields(instrument)}
        self._fields[record_id.field_name] = record_id

    def describe(self, name: str) -> str:
        """Return the label of a column, with the choices of its field."""
        label, field = self.get_label(name), self._find_field(name)
        if field is None or name in self._keys or self.holds_reasons(name):
            return label
        choices = field.choices if field.field_type in ("radio", "dropdown") else ()
        return f"{label} [{format_choices(choices)}]" if choices else label

    def get_label(self, name: str) -> str:
        """Return the label of a column."""
        if name in self._columns:
            return self._columns[name].label
        field = self._find_field(name)
        if name in self._keys or field is None:
            return self._keys.get(name, "")
        if self.holds_reasons(name):
            return f"Why a value is missing: {field.field_label}"
        return field.field_label

    def holds_values(self, name: str) -> bool:
        """Whether a column holds the values of a field, as it does in an export or in a list.

        Others are keys, or belong to such a column: codes, or reasons for missing values.
        """
        return name in self._columns or name in self._exported

    def holds_reasons(self, name: str) -> bool:
        """Whether a column holds the reasons for the missing values of a field."""
        field = self._find_field(name)
        return field is not None and name == f"{field.field_name}_missing"

    def list_exported(self, name: str) -> Sequence[str]:
        """Return the columns of an export that a column of values or of codes is made from."""
        field = self._find_field(name)
        if name in self._columns or field is None:
            return [name]
        return self._exported.get(field.field_name, [])

    def list_constraints(self, name: str) -> list[str]:
        """Return what the dictionary demands of a column."""
        field = self._find_field(name)
        if field is None or name != field.field_name:
            return []
        limits = {"min": field.text_validation_min, "max": field.text_validation_max}
        required = ["required"] if field.is_required else []
        return [*required, *(f"{end} {limit}" for end, limit in limits.items() if limit)]

    def is_identifier(self, name: str) -> bool:
        """Whether the values of a column identify people."""
        field = self._find_field(name)
        return name == SURVEY_IDENTIFIER or (field is not None and field.is_identifier)

    def _find_field(self, name: str) -> Field | None:
        """Return the field that a column belongs to, alone or as one of its checkboxes."""
        if name in self._columns:
            return self._columns[name].field
        for suffix in ("", "_code", "_missing"):
            if name.endswith(suffix) and name.removesuffix(suffix) in self._fields:
                return self._fields[name.removesuffix(suffix)]
        return None
