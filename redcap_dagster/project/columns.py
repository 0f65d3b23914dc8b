"""The columns of a record export: their fields, and two that are not in any dictionary."""

from dataclasses import dataclass
from typing import Final

from redcap_dagster.project.choices import Choice
from redcap_dagster.project.rows import Field
from redcap_dagster.project.system_columns import status_column, timestamp_column

NOT_COMPLETED: Final = "[not completed]"
"""Value of a survey's timestamp while its response is in progress."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a record export.

    Attributes:
        name: Name of the column.
        field: Field of the column.
        choice: Option of the column, for a checkbox field. Defaults to None.
    """

    name: str
    field: Field
    choice: Choice | None = None

    @property
    def label(self) -> str:
        """Label of the field, with that of the option for a checkbox, as REDCap exports it."""
        if self.choice is None:
            return self.field.field_label
        return f"{self.field.field_label} (choice={self.choice.label})"


def status_field(instrument: str) -> Field:
    """Return an instrument's status as the field that REDCap treats it as: a dropdown.

    Example:
        >>> [choice.label for choice in status_field("visit").choices]
        ['Incomplete', 'Unverified', 'Complete']
    """
    return Field(
        status_column(instrument),
        instrument,
        section_header="Form Status",
        field_type="dropdown",
        field_label="Complete?",
        select_choices_or_calculations="0, Incomplete | 1, Unverified | 2, Complete",
    )


def timestamp_field(instrument: str) -> Field:
    """Return a survey's timestamp as the field that it resembles: a date and time with seconds.

    Example:
        >>> timestamp_field("visit").validation
        'datetime_seconds_ymd'
    """
    return Field(
        timestamp_column(instrument),
        instrument,
        field_label="Survey Timestamp",
        text_validation_type_or_show_slider_number="datetime_seconds_ymd",
    )


def is_status_field(field: Field) -> bool:
    """Return whether a field is the status of an instrument, and not one of the same name.

    Example:
        >>> is_status_field(status_field("visit"))
        True
        >>> is_status_field(Field("visit_complete", "visit"))
        False
    """
    return field == status_field(field.form_name)


def is_timestamp_field(field: Field) -> bool:
    """Return whether a field is the timestamp of a survey, and not one of the same name.

    Example:
        >>> is_timestamp_field(timestamp_field("visit"))
        True
        >>> is_timestamp_field(Field("visit_timestamp", "visit"))
        False
    """
    return field == timestamp_field(field.form_name)


def describe_column(column: Column) -> str:
    """Return what a column is of, for a message.

    Example:
        >>> describe_column(Column("visit_complete", status_field("visit")))
        "the status of the instrument 'visit'"
        >>> describe_column(Column("visit_complete", Field("visit_complete", "base")))
        "the field 'visit_complete' of the instrument 'base'"
    """
    field = column.field
    of_instrument = f"of the instrument {field.form_name!r}"
    if is_status_field(field):
        return f"the status {of_instrument}"
    if is_timestamp_field(field):
        return f"the survey timestamp {of_instrument}"
    option = "" if column.choice is None else "an option of "
    return f"{option}the field {field.field_name!r} {of_instrument}"
