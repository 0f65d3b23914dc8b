"""The structure of a project, without any record or token."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from redcap_dagster.project.choices import Choice, parse_choices
from redcap_dagster.project.columns import Column
from redcap_dagster.project.export_columns import ExportColumns
from redcap_dagster.project.instrument_columns import InstrumentColumns
from redcap_dagster.project.name_lists import list_names
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
    list_instruments,
    parse_row,
    parse_rows,
)
from redcap_dagster.project.structure_text import read_structure, write_structure
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    ARM,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
    timestamp_column,
)

# First version that surely supports exportBlankForGrayFormStatus. Other clients say 11.4 or 13: the
# later one is safe, as a server that ignores the parameter makes unsaved instruments look saved.
BLANK_STATUS_SINCE = (13, 0, 0)


@dataclass(frozen=True)
class REDCapProject:
    """The structure of a REDCap project, which determines its tables, keys and columns.

    Attributes:
        fields: Data dictionary, in its order; the first field is the record id.
        instruments: Instruments, in their order.
        info: Settings of the project. Defaults to unknown.
        arms: Arms of a longitudinal project. Defaults to none.
        events: Events of a longitudinal project. Defaults to none.
        form_events: Instruments designated for events. Defaults to none.
        repeating: Repeating instruments and events. Defaults to none.
        field_names: Export columns of fields and checkbox options. Defaults to none.
        version: REDCap version of the server. Defaults to blank: unknown.
        has_access_groups: Whether exports have ``redcap_data_access_group``. Defaults to False.
        has_survey_identifier: Whether exports have ``redcap_survey_identifier``. Defaults to False.
        surveys: Names of the instruments that are surveys. Defaults to none.

    Raises:
        StructureError: There is no field, or a longitudinal project does not have events.

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
                "The project does not have any fields, but it needs the record id. Give its data "
                "dictionary as metadata."
            )
        counts = Counter(row.field_name for row in self.fields)
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            raise StructureError(
                f"The data dictionary has fields more than once: {list_names(repeated)}. REDCap "
                "does not allow that: the export is probably damaged. Try again; if the error "
                "remains, check these fields in REDCap's Online Designer."
            )
        if self.info.is_longitudinal and not self.events:
            raise StructureError(
                "The project is longitudinal, but its events are missing. Give events and "
                "form_event_mapping too."
            )

    # -- rows -------------------------------------------------------------------------------

    @property
    def record_id_field(self) -> str:
        """Name of the record id: the first field of the dictionary."""
        return self.fields[0].field_name

    @property
    def is_longitudinal(self) -> bool:
        """Whether records have events; their exports have ``redcap_event_name``."""
        return bool(self.events)

    @property
    def has_repeating(self) -> bool:
        """Whether any instrument or event repeats; exports then have both repeat columns."""
        return bool(self.repeating)

    @property
    def honors_blank_status(self) -> bool:
        """Whether the server's version supports ``exportBlankForGrayFormStatus``."""
        numbers = tuple(int(part) for part in self.version.split(".") if part.isdigit())
        return numbers >= BLANK_STATUS_SINCE

    def designated_events(self, instrument: str) -> tuple[str, ...]:
        """Return the unique names of an instrument's events; none in a classic project."""
        return tuple(row.unique_event_name for row in self.form_events if row.form == instrument)

    def events_where_repeating(self, instrument: str) -> tuple[str, ...]:
        """Return the events in which an instrument repeats; ``("",)`` in a classic project.

        Events that repeat as a whole are not among them; see `repeating_events`.
        """
        return tuple(row.event_name for row in self.repeating if row.form_name == instrument)

    @cached_property
    def repeating_events(self) -> frozenset[str]:
        """Unique names of the events that repeat with all of their instruments."""
        return frozenset(row.event_name for row in self.repeating if not row.form_name)

    def can_repeat(self, instrument: str) -> bool:
        """Return whether rows of an instrument can have an instance number."""
        events = self.designated_events(instrument)
        return bool(
            self.events_where_repeating(instrument) or self.repeating_events.intersection(events)
        )

    # -- columns ----------------------------------------------------------------------------

    def key_columns(self, instrument: str) -> tuple[str, ...]:
        """Return the columns that identify a row of an instrument's table.

        They depend on the configuration alone, never on the records.
        """
        keys: tuple[str, ...] = (self.record_id_field,)
        if self.is_longitudinal:
            keys += (EVENT_NAME, ARM)
        if self.can_repeat(instrument):
            keys += (REPEAT_INSTRUMENT, REPEAT_INSTANCE)
        return keys

    @property
    def context_columns(self) -> tuple[str, ...]:
        """Columns that every row has besides its key: access group, survey identifier."""
        return (ACCESS_GROUP,) * self.has_access_groups + (
            SURVEY_IDENTIFIER,
        ) * self.has_survey_identifier

    def instrument_fields(self, instrument: str) -> tuple[Field, ...]:
        """Return the fields of an instrument's table, in REDCap's order.

        The survey timestamp (of a survey), the dictionary's fields without the record id and
        descriptive texts, and the status. The dictionary does not have the first and the
        last; they are returned as the fields that they resemble.
        """
        return self._instrument_columns.list_fields(instrument)

    def columns(self, instrument: str) -> tuple[Column, ...]:
        """Return the export columns of an instrument, without keys and context columns.

        A checkbox has a column for each of its options and of the project's missing data codes. Two
        options with the same column have one column only; see `check_options`.
        """
        return self._instrument_columns.list_columns(instrument)

    def check_options(self, instrument: str) -> None:
        """Raise an error if two options of a checkbox have the same export column.

        Raises:
            StructureError: REDCap exports two codes of a checkbox as one column.
        """
        self._instrument_columns.check_options(instrument)

    def check_columns(self, instrument: str) -> None:
        """Raise an error if a column of an instrument is exported for something else as well.

        Raises:
            StructureError: Two fields, options or instruments have the same export column. The
                message names them.
        """
        self._instrument_columns.check_columns(instrument)

    def options(self, checkbox: Field) -> tuple[Choice, ...]:
        """Return the options of a checkbox: its own, and the project's missing data codes.

        A missing data code with the export column of an own option, as ``UNK`` and ``unk`` have
        one, is not an option: a tick there means the checkbox's own.
        """
        return self._export_columns.list_options(checkbox)

    def export_column(self, checkbox_name: str, code: str) -> str:
        """Return the export column of a checkbox option: by the server's list, or REDCap's rule."""
        return self._export_columns.get_name(checkbox_name, code)

    @property
    def missing_data_codes(self) -> tuple[Choice, ...]:
        """Missing data codes of the project, which are valid in any field."""
        return parse_choices(self.info.missing_data_codes or "")

    @cached_property
    def _export_columns(self) -> ExportColumns:
        return ExportColumns.from_list(self.field_names, self.missing_data_codes)

    @cached_property
    def _instrument_columns(self) -> InstrumentColumns:
        names = [row.instrument_name for row in self.instruments]
        return InstrumentColumns(self.fields, names, self.surveys, self._export_columns)

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
        """Return the project that the API's exports describe, each a list of dicts.

        Unknown columns are ignored and missing ones take their default, as servers differ.

        Args:
            metadata: Data dictionary (``content=metadata``); its first row is the record id.
            instruments: Export of ``content=instrument``. Defaults to those of the dictionary.
            info: Export of ``content=project``. Defaults to unknown.
            arms: Export of ``content=arm``. Defaults to none.
            events: Export of ``content=event``. Defaults to none.
            form_event_mapping: Export of ``content=formEventMapping``. Defaults to none.
            repeating: Export of ``content=repeatingFormsEvents``. Defaults to none.
            field_names: Export of ``content=exportFieldNames``. Defaults to none.
            version: Export of ``content=version``. Defaults to blank: unknown.
            header: Column names of a record export of all instruments with access groups and
                survey fields: only such an export shows whether the project has them. Defaults to
                none.

        Raises:
            StructureError: There is no field, or a longitudinal project does not have events.
        """
        fields = parse_rows(Field, metadata)
        return cls(
            fields=fields,
            instruments=list_instruments(fields)
            if instruments is None
            else parse_rows(Instrument, instruments),
            info=parse_row(ProjectInfo, info or {}),
            arms=parse_rows(Arm, arms),
            events=parse_rows(Event, events),
            form_events=parse_rows(FormEvent, form_event_mapping),
            repeating=parse_rows(Repeating, repeating),
            field_names=parse_rows(ExportFieldName, field_names),
            version=version,
        ).with_observed_columns(header)

    def with_observed_columns(self, header: Iterable[str]) -> Self:
        """Return the project with the access groups and surveys that a record export has.

        Args:
            header: Column names of a record export of all instruments.
        """
        # A field of the dictionary may be named FORM_timestamp although FORM is not a survey. If it
        # is one, the header has the name twice. (A header may be a row, whose names are its keys.)
        columns = Counter(iter(header)) - Counter(row.field_name for row in self.fields)
        names = [row.instrument_name for row in self.instruments]
        return replace(
            self,
            has_access_groups=ACCESS_GROUP in columns,
            has_survey_identifier=SURVEY_IDENTIFIER in columns,
            surveys=tuple(name for name in names if timestamp_column(name) in columns),
        )

    def to_json(self) -> str:
        """Return the project as JSON, without any record or token."""
        return write_structure(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the project of a text that `to_json` returned, in this version or an older one.

        Args:
            text: The text.

        Raises:
            StructureError: A newer version wrote the text, or the text is damaged.
        """
        return cls(**read_structure(text))
