"""The rows of the structure exports, as frozen values with REDCap's own column names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, TypeVar

from redcap_dagster.project.choices import Choice, parse_choices

_T = TypeVar("_T")


class StructureError(ValueError):
    """A structure from which tables cannot be made; the message names fields, never values."""


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """The settings of a project (``content=project``); None where the server does not send one."""

    project_id: int | None = None
    project_title: str = ""
    creation_time: str | None = None
    production_time: str | None = None
    in_production: int | None = None
    project_language: str | None = None
    purpose: int | None = None
    purpose_other: str | None = None
    project_notes: str | None = None
    custom_record_label: str | None = None
    secondary_unique_field: str | None = None
    is_longitudinal: int | None = None
    has_repeating_instruments_or_events: int | None = None
    surveys_enabled: int | None = None
    scheduling_enabled: int | None = None
    record_autonumbering_enabled: int | None = None
    randomization_enabled: int | None = None
    ddp_enabled: int | None = None
    project_irb_number: str | None = None
    project_grant_number: str | None = None
    project_pi_firstname: str | None = None
    project_pi_lastname: str | None = None
    project_pi_email: str | None = None
    display_today_now_button: int | None = None
    missing_data_codes: str | None = None
    external_modules: str | None = None
    bypass_branching_erase_field_prompt: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the data dictionary, by REDCap's own 18 columns."""

    field_name: str
    form_name: str
    section_header: str = ""
    field_type: str = "text"
    field_label: str = ""
    select_choices_or_calculations: str = ""
    field_note: str = ""
    text_validation_type_or_show_slider_number: str = ""
    text_validation_min: str = ""
    text_validation_max: str = ""
    identifier: str = ""
    branching_logic: str = ""
    required_field: str = ""
    custom_alignment: str = ""
    question_number: str = ""
    matrix_group_name: str = ""
    matrix_ranking: str = ""
    field_annotation: str = ""

    @property
    def validation(self) -> str:
        """Validation of a text field, for example ``date_dmy``; blank without one."""
        return self.text_validation_type_or_show_slider_number

    @property
    def is_required(self) -> bool:
        """Whether a value is required, where the field is asked."""
        return self.required_field.strip().lower() == "y"

    @property
    def is_identifier(self) -> bool:
        """Whether the dictionary says that the value identifies people."""
        return self.identifier.strip().lower() == "y"

    @property
    def is_calculated(self) -> bool:
        """Whether REDCap calculates the value, even in an instrument that nobody saved."""
        return self.field_type == "calc" or any(
            tag in self.field_annotation for tag in ("@CALCTEXT", "@CALCDATE")
        )

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Options of a multiple-choice field, also of yes/no and true/false."""
        match self.field_type:
            case "radio" | "dropdown" | "checkbox":
                return parse_choices(self.select_choices_or_calculations)
            case "yesno":
                return (Choice("1", "Yes"), Choice("0", "No"))
            case "truefalse":
                return (Choice("1", "True"), Choice("0", "False"))
            case _:
                return ()


@dataclass(frozen=True, slots=True)
class Instrument:
    """A data collection instrument."""

    instrument_name: str
    instrument_label: str


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm of a longitudinal project."""

    arm_num: int
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a longitudinal project."""

    event_name: str
    arm_num: int
    unique_event_name: str
    custom_event_label: str | None = None
    event_id: int | None = None
    day_offset: int | None = None
    offset_min: int | None = None
    offset_max: int | None = None


@dataclass(frozen=True, slots=True)
class FormEvent:
    """The designation of an instrument for an event."""

    arm_num: int
    unique_event_name: str
    form: str


@dataclass(frozen=True, slots=True)
class Repeating:
    """A repeating instrument, in its event if longitudinal; or, if blank, a repeating event."""

    form_name: str = ""
    event_name: str = ""
    custom_form_label: str = ""


@dataclass(frozen=True, slots=True)
class ExportFieldName:
    """The export column of a field, or of one option of a checkbox field."""

    original_field_name: str
    choice_value: str
    export_field_name: str


def parse_row(kind: type[_T], row: Mapping[str, Any]) -> _T:
    """Return a row of a structure export as a frozen value.

    Args:
        kind: Class of the row, for example `Field`.
        row: Columns of the row; unknown ones are ignored.

    Raises:
        StructureError: The row lacks a required column.

    Example:
        >>> parse_row(Arm, {"arm_num": "1", "name": "Drug"})
        Arm(arm_num=1, name='Drug')
    """
    numbers, required = _inspect_columns(kind)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for column, is_number in numbers.items():
        given = row.get(column)
        if given is None:
            continue
        if not is_number:
            values[column] = str(given)
        elif re.fullmatch(r"-?[0-9]+", str(given)):
            values[column] = int(given)
    missing = [column for column in required if column not in values]
    if missing:
        raise StructureError(
            f"A row of {kind.__name__} lacks {missing}. The export was probably edited, or comes "
            "from an unknown version of REDCap. Export it again."
        )
    return kind(**values)


def parse_rows(kind: type[_T], rows: Iterable[Mapping[str, Any]]) -> tuple[_T, ...]:
    """Return the rows of a structure export as frozen values, like `parse_row`."""
    return tuple(parse_row(kind, row) for row in rows)


def list_instruments(fields: Iterable[Field]) -> tuple[Instrument, ...]:
    """Return the instruments of a data dictionary, which does not have their labels.

    Args:
        fields: Data dictionary.

    Example:
        >>> list_instruments([Field("record_id", "first_visit"), Field("weight", "first_visit")])
        (Instrument(instrument_name='first_visit', instrument_label='First visit'),)
    """
    names = dict.fromkeys(field.form_name for field in fields)
    return tuple(Instrument(name, name.replace("_", " ").capitalize()) for name in names)


@cache
def _inspect_columns(kind: Any) -> tuple[Mapping[str, bool], Sequence[str]]:
    """Return which columns of a row are integers, and which are required."""
    columns = fields(kind)
    return (
        {column.name: "int" in str(column.type) for column in columns},
        [column.name for column in columns if column.default is MISSING],
    )
