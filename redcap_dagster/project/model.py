"""A project as REDCap describes it: frozen values, no I/O, no record and no token."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from redcap_dagster.project.choices import Choice, checkbox_column, parse_choices
from redcap_dagster.project.rows import (
    Arm,
    Event,
    ExportFieldName,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    Repeating,
    StructureError,
    parse_row,
)
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    ARM,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
    status_column,
    timestamp_column,
)

FORMAT = 1
"""Version of what `REDCapProject.to_json` writes; readers accept older ones."""

STATUS_CHOICES = "0, Incomplete | 1, Unverified | 2, Complete"
NOT_COMPLETED = "[not completed]"
"""What stands in a survey's timestamp while the response is unfinished."""

# Servers since this version are taken to honour exportBlankForGrayFormStatus. Clients date it
# 11.4 or 13; an older one that ignored it would make unsaved forms look saved, so the later one.
BLANK_STATUS_SINCE = (13, 0, 0)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a record export: of a field, or of one option of a checkbox field."""

    name: str
    field: Field
    choice: Choice | None = None

    @property
    def label(self) -> str:
        """The field's label, with the option's for a checkbox, as REDCap writes its headers."""
        if self.choice is None:
            return self.field.field_label
        return f"{self.field.field_label} (choice={self.choice.label})"


@dataclass(frozen=True)
class REDCapProject:
    """The structure of a REDCap project: what says which tables, keys and columns exist.

    Attributes:
        fields: The data dictionary in its order; the first is the record id.
        has_access_groups: Whether exports carry ``redcap_data_access_group``.
        has_survey_identifier: Whether exports carry ``redcap_survey_identifier``.
        surveys: Names of the instruments that are surveys.
        version: The server's REDCap version, blank if unknown.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "record_id", "form_name": "visit", "field_type": "text"},
        ...     {"field_name": "race", "form_name": "visit", "field_type": "checkbox",
        ...      "select_choices_or_calculations": "1, A | 2, B"}])
        >>> project.record_id_field
        'record_id'
        >>> [column.name for column in project.columns("visit")]
        ['race___1', 'race___2', 'visit_complete']
    """

    fields: tuple[Field, ...]
    instruments: tuple[Instrument, ...]
    info: ProjectInfo = field(default_factory=ProjectInfo)
    arms: tuple[Arm, ...] = ()
    events: tuple[Event, ...] = ()
    form_events: tuple[FormEvent, ...] = ()
    repeating: tuple[Repeating, ...] = ()
    field_names: tuple[ExportFieldName, ...] = field(default=(), repr=False)
    version: str = ""
    has_access_groups: bool = False
    has_survey_identifier: bool = False
    surveys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.fields:
            raise StructureError(
                "A REDCap project has at least one field, the record id; got none."
            )
        if self.info.is_longitudinal and not self.events:
            raise StructureError(
                "The project is longitudinal: give its events and its form-event mapping too."
            )

    # -- rows -------------------------------------------------------------------------------

    @property
    def record_id_field(self) -> str:
        """The field that holds the record id: the first of the dictionary, whatever its name."""
        return self.fields[0].field_name

    @property
    def is_longitudinal(self) -> bool:
        """Whether records have events; exports then carry ``redcap_event_name``."""
        return bool(self.events)

    @property
    def has_repeating(self) -> bool:
        """Whether any form or event repeats; exports then carry both repeat columns."""
        return bool(self.repeating)

    @property
    def honors_blank_status(self) -> bool:
        """Whether the server answers ``exportBlankForGrayFormStatus``, by its version."""
        numbers = tuple(int(part) for part in self.version.split(".") if part.isdigit())
        return numbers >= BLANK_STATUS_SINCE

    def designated_events(self, form: str) -> tuple[str, ...]:
        """The unique names of the events in which a form is designated; none if classic."""
        return tuple(row.unique_event_name for row in self.form_events if row.form == form)

    def events_where_repeating(self, form: str) -> tuple[str, ...]:
        """The events in which the form itself repeats; ``("",)`` for one of a classic project."""
        return tuple(row.event_name for row in self.repeating if row.form_name == form)

    @cached_property
    def repeating_events(self) -> frozenset[str]:
        """The unique names of the events that repeat as a whole."""
        return frozenset(row.event_name for row in self.repeating if not row.form_name)

    def can_repeat(self, form: str) -> bool:
        """Whether rows of a form can have an instance: it repeats, or an event of it does."""
        return bool(self.events_where_repeating(form)) or not self.repeating_events.isdisjoint(
            self.designated_events(form)
        )

    # -- columns ----------------------------------------------------------------------------

    def key_columns(self, form: str) -> tuple[str, ...]:
        """The columns that identify a row of a form's table, from configuration alone."""
        keys: tuple[str, ...] = (self.record_id_field,)
        if self.is_longitudinal:
            keys += (EVENT_NAME, ARM)
        if self.can_repeat(form):
            keys += (REPEAT_INSTRUMENT, REPEAT_INSTANCE)
        return keys

    @property
    def context_columns(self) -> tuple[str, ...]:
        """The columns that every row carries besides its key: access group, survey identifier."""
        return (ACCESS_GROUP,) * self.has_access_groups + (
            SURVEY_IDENTIFIER,
        ) * self.has_survey_identifier

    def form_fields(self, form: str) -> tuple[Field, ...]:
        """What a form's table holds, in REDCap's order.

        The survey timestamp (of a survey), the dictionary's fields without the record id and
        descriptive texts, and the form status. The first and the last are in no dictionary; they
        are given here as the fields that they behave like.
        """
        timestamp = Field(
            timestamp_column(form),
            form,
            field_label="Survey Timestamp",
            text_validation_type_or_show_slider_number="datetime_seconds_ymd",
        )
        status = Field(
            status_column(form),
            form,
            section_header="Form Status",
            field_type="dropdown",
            field_label="Complete?",
            select_choices_or_calculations=STATUS_CHOICES,
        )
        own = self._fields_by_form.get(form, ())
        return (timestamp,) * (form in self.surveys) + own + (status,)

    def columns(self, form: str) -> tuple[Column, ...]:
        """The export columns of a form, without keys and context.

        Checkbox columns are named by the server's own list where there is one. A checkbox has a
        column for each missing data code of the project as well.

        Raises:
            StructureError: Two options of a checkbox fall onto one column.
        """
        columns: list[Column] = []
        for form_field in self.form_fields(form):
            if form_field.field_type != "checkbox":
                columns.append(Column(form_field.field_name, form_field))
            else:
                columns.extend(self._checkbox_columns(form_field))
        return tuple(columns)

    def _checkbox_columns(self, checkbox: Field) -> list[Column]:
        columns: dict[str, Column] = {}
        for choice in self.options(checkbox):
            name = self.export_column(checkbox.field_name, choice.code)
            twin = columns.setdefault(name, Column(name, checkbox, choice)).choice
            if twin is not None and twin.code != choice.code:
                raise StructureError(
                    f"Field {checkbox.field_name!r}: the codes {twin.code!r} and "
                    f"{choice.code!r} are exported as one column, {name!r}, so that their values "
                    "cannot be told apart. Change one of the two codes in REDCap."
                )
        return list(columns.values())

    def options(self, checkbox: Field) -> tuple[Choice, ...]:
        """The options of a checkbox: its own, and the project's missing data codes."""
        if "@NOMISSING" in checkbox.field_annotation:
            return checkbox.choices
        return checkbox.choices + self.missing_data_codes

    def export_column(self, checkbox_name: str, code: str) -> str:
        """The export column of a checkbox option: as the server named it, else by REDCap's rule."""
        return self._export_names.get((checkbox_name, code), checkbox_column(checkbox_name, code))

    @property
    def missing_data_codes(self) -> tuple[Choice, ...]:
        """The project's own codes for missing values, valid in any field."""
        return parse_choices(self.info.missing_data_codes or "")

    @cached_property
    def _fields_by_form(self) -> Mapping[str, tuple[Field, ...]]:
        forms: dict[str, list[Field]] = {}
        for row in self.fields[1:]:
            if row.field_type != "descriptive":
                forms.setdefault(row.form_name, []).append(row)
        return {form: tuple(rows) for form, rows in forms.items()}

    @cached_property
    def _export_names(self) -> Mapping[tuple[str, str], str]:
        return {
            (row.original_field_name, row.choice_value): row.export_field_name
            for row in self.field_names
            if row.choice_value != ""
        }

    # -- from and to text -------------------------------------------------------------------

    @classmethod
    def from_exports(
        cls,
        *,
        metadata: Iterable[Mapping[str, Any]],
        instruments: Iterable[Mapping[str, Any]] | None = None,
        info: Mapping[str, Any] | None = None,
        arms: Iterable[Mapping[str, Any]] = (),
        events: Iterable[Mapping[str, Any]] = (),
        form_event_mapping: Iterable[Mapping[str, Any]] = (),
        repeating: Iterable[Mapping[str, Any]] = (),
        field_names: Iterable[Mapping[str, Any]] = (),
        version: str = "",
        header: Iterable[str] = (),
    ) -> Self:
        """Build a project from what the API exports, as lists of dicts; only metadata is required.

        Columns that this version of the package does not know are passed over, missing ones take
        their default: servers differ.

        Args:
            metadata: The data dictionary (``content=metadata``); its first row is the record id.
            instruments: ``content=instrument``; by default the forms that the dictionary names.
            info: ``content=project``.
            arms: ``content=arm``, of a longitudinal project.
            events: ``content=event``, of a longitudinal project.
            form_event_mapping: ``content=formEventMapping``, of a longitudinal project.
            repeating: ``content=repeatingFormsEvents``, of a project that has any.
            field_names: ``content=exportFieldNames``.
            version: ``content=version``.
            header: Column names of a record export of all forms, asked for with access groups and
                survey fields: no other export tells whether a project has them.

        Raises:
            StructureError: No field, or a longitudinal project without its events.
        """
        rows = tuple(parse_row(Field, row) for row in metadata)
        if instruments is None:
            forms = list(dict.fromkeys(row.form_name for row in rows))
            named = tuple(Instrument(form, form.replace("_", " ").capitalize()) for form in forms)
        else:
            named = tuple(parse_row(Instrument, row) for row in instruments)
        return cls(
            fields=rows,
            instruments=named,
            info=parse_row(ProjectInfo, info or {}),
            arms=tuple(parse_row(Arm, row) for row in arms),
            events=tuple(parse_row(Event, row) for row in events),
            form_events=tuple(parse_row(FormEvent, row) for row in form_event_mapping),
            repeating=tuple(parse_row(Repeating, row) for row in repeating),
            field_names=tuple(parse_row(ExportFieldName, row) for row in field_names),
            version=version,
        ).with_observed_columns(header)

    def with_observed_columns(self, header: Iterable[str]) -> Self:
        """Give the project as the columns of a record export tell of groups and surveys."""
        # A field of the dictionary may be called FORM_timestamp without FORM being a survey.
        columns = set(header) - {row.field_name for row in self.fields}
        names = [form.instrument_name for form in self.instruments]
        return replace(
            self,
            has_access_groups=ACCESS_GROUP in columns,
            has_survey_identifier=SURVEY_IDENTIFIER in columns,
            surveys=tuple(name for name in names if timestamp_column(name) in columns),
        )

    def to_json(self) -> str:
        """Write the project as JSON: no record and no token is in it."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, by this version of the package or an older one."""
        data = json.loads(text)
        if data.get("format", FORMAT) > FORMAT:
            raise StructureError(
                "The structure was written by a newer redcap-dagster than this one; upgrade it, or "
                "fetch the structure anew."
            )
        return cls(
            fields=tuple(parse_row(Field, row) for row in data["fields"]),
            instruments=tuple(parse_row(Instrument, row) for row in data["instruments"]),
            info=parse_row(ProjectInfo, data.get("info", {})),
            arms=tuple(parse_row(Arm, row) for row in data.get("arms", ())),
            events=tuple(parse_row(Event, row) for row in data.get("events", ())),
            form_events=tuple(parse_row(FormEvent, row) for row in data.get("form_events", ())),
            repeating=tuple(parse_row(Repeating, row) for row in data.get("repeating", ())),
            field_names=tuple(
                parse_row(ExportFieldName, row) for row in data.get("field_names", ())
            ),
            version=data.get("version", ""),
            has_access_groups=data.get("has_access_groups", False),
            has_survey_identifier=data.get("has_survey_identifier", False),
            surveys=tuple(data.get("surveys", ())),
        )
