"""The export columns of fields, and of the options that checkboxes have in a project."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from redcap_dagster.project.choices import Choice, checkbox_column
from redcap_dagster.project.columns import Column
from redcap_dagster.project.rows import ExportFieldName, Field, StructureError


@dataclass(frozen=True)
class ExportColumns:
    """What decides the export columns of a project's fields.

    Attributes:
        names: Columns of checkbox options by field and code, as the server lists them.
        missing_data_codes: Missing data codes of the project.

    Example:
        >>> columns = ExportColumns({}, (Choice("UNK", "Unknown"), Choice("2", "Refused")))
        >>> race = Field("race", "visit", field_type="checkbox",
        ...              select_choices_or_calculations="1, A | 2, B")
        >>> [column.name for column in columns.list_columns(race)]
        ['race___1', 'race___2', 'race___unk']
    """

    names: Mapping[tuple[str, str], str]
    missing_data_codes: tuple[Choice, ...]

    @classmethod
    def from_list(
        cls, rows: Iterable[ExportFieldName], missing_data_codes: tuple[Choice, ...]
    ) -> Self:
        """Return the columns by the server's list, which may be empty."""
        names = {
            (row.original_field_name, row.choice_value): row.export_field_name
            for row in rows
            if row.choice_value != ""
        }
        return cls(names, missing_data_codes)

    def get_name(self, checkbox_name: str, code: str) -> str:
        """Return the export column of a checkbox option: by the server's list, or REDCap's rule."""
        known = self.names.get((checkbox_name, code))
        return checkbox_column(checkbox_name, code) if known is None else known

    def list_options(self, checkbox: Field) -> tuple[Choice, ...]:
        """Return the options of a checkbox: its own, and missing data codes of other columns."""
        own = checkbox.choices
        if "@NOMISSING" in checkbox.field_annotation:
            return own
        columns = {self.get_name(checkbox.field_name, choice.code) for choice in own}
        return own + tuple(
            choice
            for choice in self.missing_data_codes
            if self.get_name(checkbox.field_name, choice.code) not in columns
        )

    def list_columns(self, field: Field) -> tuple[Column, ...]:
        """Return the export columns of a field; one for two options with the same column."""
        if field.field_type != "checkbox":
            return (Column(field.field_name, field),)
        columns: dict[str, Column] = {}
        for choice in self.list_options(field):
            name = self.get_name(field.field_name, choice.code)
            columns.setdefault(name, Column(name, field, choice))
        return tuple(columns.values())

    def check_options(self, field: Field) -> None:
        """Raise an error if a field is a checkbox of which two options have the same column.

        Raises:
            StructureError: It is. The message has the field and the codes.
        """
        codes: dict[str, str] = {}
        for choice in self.list_options(field) if field.field_type == "checkbox" else ():
            name = self.get_name(field.field_name, choice.code)
            other = codes.setdefault(name, choice.code)
            if other != choice.code:
                raise StructureError(
                    f"Field {field.field_name!r}: REDCap exports the codes {other!r} and "
                    f"{choice.code!r} as one column, {name!r}, so their values cannot be told "
                    "apart. Change one of the two codes in REDCap."
                )
