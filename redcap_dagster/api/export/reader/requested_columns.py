"""The columns that the response to a record export may have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Self

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.columns import is_timestamp_field
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_COLUMNS,
    SURVEY_IDENTIFIER,
    timestamp_column,
)

COLUMN_FLAGS: Final = frozenset(
    {"combineCheckboxOptions", "exportDataAccessGroups", "exportSurveyFields"}
)
"""The parameters that change the columns of a response."""


@dataclass(frozen=True)
class RequestedColumns:
    """The columns of a request; all requests of a plan may ask for the same.

    Attributes:
        fields: The export columns of each field. A checkbox whose columns are unknown has None;
            one without choices of its own has none, and may have some of the project's missing
            data codes. These columns begin with its name.
        added: The columns that REDCap adds to them.
        instruments: The instruments whose instances may be among the rows. None for all.
    """

    fields: Mapping[str, tuple[str, ...] | None]
    added: frozenset[str]
    instruments: frozenset[str] | None

    @classmethod
    @lru_cache(16)
    def read(
        cls,
        project: REDCapProject,
        record_id_field: str,
        names: frozenset[str],
        forms: frozenset[str],
        flags: frozenset[str],
    ) -> Self:
        """Return the columns of some fields and instruments, or of all where none is named.

        Args:
            project: Structure of the project.
            record_id_field: Name of the record id field.
            names: Names of the fields.
            forms: Names of the instruments.
            flags: Those of `COLUMN_FLAGS` that the request has.
        """
        everything = not names and not forms
        fields: dict[str, tuple[str, ...] | None] = {}
        instruments = {project.fields[0].form_name}
        for form in (row.instrument_name for row in project.instruments):
            own = {
                one.field_name
                for one in project.instrument_fields(form)
                if not is_timestamp_field(one)
                and (everything or form in forms or one.field_name in names)
            }
            fields |= _list_columns(project, form, own, "combineCheckboxOptions" in flags)
            if own:
                instruments.add(form)
        added = {record_id_field, EVENT_NAME, *REPEAT_COLUMNS}
        if "exportDataAccessGroups" in flags:
            added.add(ACCESS_GROUP)
        if "exportSurveyFields" in flags:
            added |= {SURVEY_IDENTIFIER, *map(timestamp_column, instruments)}
        return cls(fields, frozenset(added), None if everything else frozenset(instruments))

    def find_other(self, columns: Sequence[str]) -> list[str]:
        """Return the columns that were not requested."""
        return [name for name in columns if name not in self._known and not self._find_box(name)]

    def find_missing(self, columns: Sequence[str]) -> list[str]:
        """Return the requested columns that are missing; of an unknown checkbox, its name."""
        present = {*columns} | {self._find_box(name) for name in columns}
        return [name for name in self.list_required() if name not in present]

    def list_required(self) -> list[str]:
        """Return the columns that a response must have; of an unknown checkbox, its name."""
        return [
            name
            for box, names in self.fields.items()
            for name in ((box,) if names is None else names)
        ]

    @cached_property
    def _known(self) -> frozenset[str]:
        named = (name for names in self.fields.values() for name in names or ())
        return self.added.union(named)

    @cached_property
    def _boxes(self) -> tuple[str, ...]:
        """The checkboxes that may have columns which are not known."""
        return tuple(name for name, columns in self.fields.items() if not columns)

    def _find_box(self, column: str) -> str:
        """Return the checkbox of a column, or a blank."""
        return next(
            (box for box in self._boxes if column == box or column.startswith(f"{box}___")), ""
        )


def _list_columns(
    project: REDCapProject, form: str, fields: set[str], combined: bool
) -> dict[str, tuple[str, ...] | None]:
    """Return the columns of some fields of an instrument; None for a checkbox that may have others.

    Only the server's list of export columns has those of missing data codes.
    """
    known = bool(project.field_names) and not combined
    found: dict[str, tuple[str, ...] | None] = {
        one.field_name: () if known or one.field_type != "checkbox" or not one.choices else None
        for one in project.instrument_fields(form)
        if one.field_name in fields
    }
    for column in project.columns(form):
        own = found.get(column.field.field_name)
        if own is not None and (known or column.field.field_type != "checkbox"):
            found[column.field.field_name] = (*own, column.name)
    return found
