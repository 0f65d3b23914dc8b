"""The query of a record export: its records, its columns, and how values are written."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import pyarrow as pa

from redcap_dagster.api.calls.parameters import write_optional_list
from redcap_dagster.api.export.plan.column_sets import (
    ColumnSet,
    list_repeating_events,
    select_columns,
)
from redcap_dagster.api.export.plan.listing import list_keys
from redcap_dagster.api.export.plan.record_requests import RecordRequest
from redcap_dagster.api.export.reader.selection import (
    RecordSelection,
    add_record_id,
    check_selection,
    csv_parameters,
)
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_COLUMNS, status_column

_COLUMN_PARAMETERS = ("fields", "forms", "events")
DATES = ("date_range_begin", "date_range_end")
_RECORD_PARAMETERS = ("records", *DATES)

_BRACKETED_NAME = re.compile(r"\[(\w+)(?:\([^)]*\))?\]")
"""A name in brackets in REDCap logic, of a field or something else."""

_PUBLIC_LOGIC = re.compile(
    r"(\[[^\[\]]*\]|<=|>=|<>|!=|[=<>()]|\b(?:and|or|not)\b|\s+)", re.IGNORECASE
)
"""The parts of REDCap logic that may be shown: operators, and known names in brackets."""


Among = Callable[[pa.Table], pa.Table]
"""A function that returns those rows of a listing, by their record ids, that are to be exported."""


@dataclass(frozen=True)
class ExportQuery:
    """A selection of a project's records as requests.

    Attributes:
        project: The structure.
        selection: The checked selection.
        groups: Whether access groups may be requested.
        among: Returns the rows of a listing that are to be exported. Defaults to all rows.
        records_where: REDCap logic that a row of each record has to match. Defaults to None.
    """

    project: REDCapProject
    selection: RecordSelection = field(repr=False)
    groups: bool
    among: Among | None = None
    records_where: str | None = field(default=None, repr=False)

    @cached_property
    def column_set(self) -> ColumnSet:
        """All requested columns."""
        given = self.selection
        forms = select_columns(self.project, given.get("fields"), given.get("forms"))
        events = given.get("events") if self.project.is_longitudinal else None
        subset = given.get("fields") is not None or given.get("forms") is not None
        return ColumnSet(forms, tuple(events or ()), subset)

    @property
    def forms(self) -> tuple[str, ...]:
        """The instruments of the requested columns."""
        return tuple(form.form for form in self.column_set.forms)

    def find_forms_in_row(self, row: Mapping[str, str | None]) -> frozenset[str]:
        """Return the instruments that a row has values of, by its event and instrument."""
        if form := row.get(REPEAT_COLUMNS[0]):
            return frozenset([form])
        event = row.get(EVENT_NAME) or ""
        return frozenset(
            form
            for form in self.forms
            if event in (self.project.designated_events(form) or ("", event))
            and event not in self.project.events_where_repeating(form)
        )

    @property
    def events(self) -> Sequence[str] | None:
        """The events that must have rows: the requested ones, or those of the instruments."""
        if not self.project.is_longitudinal:
            return None
        if self.column_set.events or not self.selection.get("forms"):
            return self.column_set.events or None
        return sorted(
            {event for form in self.forms for event in self.project.designated_events(form)}
        )

    @property
    def labeled(self) -> bool:
        """Whether labels replace codes; rows of different events can then look the same."""
        return self.selection.get("raw_or_label") == "label"

    @property
    def records(self) -> list[str] | None:
        """The record ids of the selection; None if it does not name records."""
        records = self.selection.get("records")
        return None if records is None else [str(record) for record in records]

    @property
    def selects_records(self) -> bool:
        """Whether the export is of some records only."""
        return bool(self.among or self.records_where) or any(
            self.selection.get(name) is not None for name in _RECORD_PARAMETERS
        )

    def narrow(self, records: Collection[str]) -> "ExportQuery":
        """Return the query for some of its records."""
        selection: RecordSelection = {**self.selection, "records": sorted(records)}
        return replace(self, selection=selection)

    def select_keys(self, export: pa.Table) -> pa.Table:
        """Return the columns of an export by which its rows are listed; of labels, the ids."""
        id_field = self.project.record_id_field
        return export.select([id_field] if self.labeled else list_keys(export, id_field))

    def apply_among(self, rows: pa.Table) -> pa.Table:
        """Return the rows that are to be exported."""
        return rows if self.among is None else self.among(rows)

    @cached_property
    def instance_fields(self) -> dict[str, str]:
        """The field that lists the instances of each repeating instrument: a requested one.

        An instance that a requested field lists has to be in the export. The field is the status,
        which each saved instance has, or else the first field.
        """
        found: dict[str, str] = {}
        for form in self.column_set.forms:
            names = [name for name, _ in form.fields]
            status = status_column(form.form)
            if list_repeating_events(self.project, form.form, self.column_set.events):
                found[form.form] = status if status in names else names[0]
        return found

    @property
    def filters(self) -> Mapping[str, str]:
        """The parameters that list records matching logic and dates; empty without these.

        REDCap lists and matches rows of a repeating instrument only where one of its fields is
        requested, so the fields that the logic names are.
        """
        where = {"filterLogic": self.records_where} if self.records_where else {}
        found = self._parameters(*DATES) | where
        names = _BRACKETED_NAME.findall(self.records_where or "")
        known = {row.field_name for row in self.project.fields if row.field_type != "descriptive"}
        fields = [self.project.record_id_field, *(name for name in names if name in known)]
        return found | write_optional_list("fields", list(dict.fromkeys(fields))) if found else {}

    @property
    def row_filter(self) -> Mapping[str, str]:
        """The parameters that select rows, not records; empty for all rows."""
        return self._parameters("filter_logic")

    @property
    def event_parameters(self) -> Mapping[str, str]:
        """The parameters of the events to list."""
        return self._parameters("events")

    def write_request(self, request: RecordRequest) -> dict[str, str]:
        """Return the parameters of a request of a plan."""
        column_set = request.column_set
        if column_set.subset:
            names = [
                name for form in column_set.forms if not form.all_fields for name, _ in form.fields
            ]
            forms = [form.form for form in column_set.forms if form.all_fields]
            columns = write_optional_list("fields", names or None) | write_optional_list(
                "forms", forms or None
            )
            if not columns:  # the keys alone
                columns = {"fields[0]": self.project.record_id_field}
            columns |= write_optional_list("events", column_set.events or None)
        else:
            columns = {}
        columns = {**self.event_parameters, **columns}
        records = write_optional_list("records", request.records) if request.named else {}
        return records | self._add_record_id(columns | self._format)

    def write_single_request(self) -> dict[str, str]:
        """Return the parameters of the entire selection as one request, except `records_where`."""
        return self._add_record_id(
            self._parameters(*_RECORD_PARAMETERS, *_COLUMN_PARAMETERS) | self._format
        )

    def write_public_parameters(self) -> Mapping[str, str]:
        """Return the parameters of the entire selection without record ids and values.

        Example:
            >>> project = REDCapProject.from_exports(metadata=[
            ...     {"field_name": "id", "form_name": "a"},
            ...     {"field_name": "age", "form_name": "a"}])
            >>> logic = "[age] > 40 and [x] = 'Eve'"
            >>> selection = RecordSelection(records=["7"], filter_logic=logic)
            >>> query = ExportQuery(project, selection, groups=False)
            >>> query.write_public_parameters()["filterLogic"]
            '[age] > … and […] = …'
        """
        parameters = csv_parameters(self.write_single_request())
        kept = {k: value for k, value in parameters.items() if not k.startswith("records[")}
        if self.records_where:
            kept["records_where"] = self.records_where
        for name in {"filterLogic", "records_where"}.intersection(kept):
            kept[name] = self._mask_literals(kept[name])
        return kept

    def _mask_literals(self, logic: str) -> str:
        """Return REDCap logic without anything that may be a value."""
        names = {row.field_name for row in self.project.fields}
        names |= {row.unique_event_name for row in self.project.events}
        pieces = _PUBLIC_LOGIC.split(logic)
        shown = ["…" * bool(piece) for piece in pieces]
        for number, piece in enumerate(pieces):
            if number % 2:
                known = _BRACKETED_NAME.fullmatch(piece)
                in_brackets = f"[{known[1]}]" if known and known[1] in names else "[…]"
                shown[number] = in_brackets if piece.startswith("[") else piece
        return re.sub(r"…(\s*…)+", "…", "".join(shown))

    @cached_property
    def _format(self) -> dict[str, str]:
        parameters = self._parameters(
            *(
                name
                for name in self.selection
                if name not in (*_RECORD_PARAMETERS, *_COLUMN_PARAMETERS)
            )
        )
        if not self.groups:
            parameters.pop("exportDataAccessGroups", None)  # refused without the right to them
        return parameters

    def _parameters(self, *names: str) -> dict[str, str]:
        given = cast("Mapping[str, Any]", self.selection)
        some = {name: given[name] for name in names if name in given}
        return check_selection(**cast("RecordSelection", some))

    def _add_record_id(self, parameters: dict[str, str]) -> dict[str, str]:
        return add_record_id(parameters, self.project.record_id_field)
