"""What a record export asks: of which records, which columns, and how they are written."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import pyarrow as pa

from redcap_dagster.api.calls.parameters import write_optional_list
from redcap_dagster.api.export.plan.parts import (
    Part,
    repeats_in,
    select_columns,
)
from redcap_dagster.api.export.plan.record_requests import RecordRequest
from redcap_dagster.api.export.reader.selection import (
    RecordSelection,
    add_record_id,
    check_selection,
    csv_parameters,
)
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_COLUMNS, status_column

_WHAT = ("fields", "forms", "events")
FILTERS = ("filter_logic", "date_range_begin", "date_range_end")
_WHICH = ("records", *FILTERS)

_NAMED = re.compile(r"\[(\w+)(?:\([^)]*\))?\]")
"""A name in REDCap logic, of a field or something else."""

_KEPT = re.compile(r"(\[[^\[\]]*\]|<=|>=|<>|!=|[=<>()]|\b(?:and|or|not)\b|\s+)", re.IGNORECASE)
"""What of REDCap logic may be shown: comparisons, and names in brackets if they are known."""


Among = Callable[[pa.Table], pa.Table]
"""Gives those of the rows, by the ids of their records, that are wanted."""


@dataclass(frozen=True)
class ExportQuery:
    """A selection of records of a project, as requests ask for it.

    Attributes:
        project: The structure.
        selection: What is asked for; it was checked.
        groups: Whether access groups may be asked for.
        among: Leaves out rows of records that are not wanted, from listings of all; None for all.
    """

    project: REDCapProject
    selection: RecordSelection = field(repr=False)
    groups: bool
    among: Among | None = None

    @cached_property
    def part(self) -> Part:
        """All columns that are asked for."""
        given = self.selection
        forms = select_columns(self.project, given.get("fields"), given.get("forms"))
        events = given.get("events") if self.project.is_longitudinal else None
        return Part(forms, tuple(events or ()))

    @property
    def forms(self) -> tuple[str, ...]:
        """Of which forms."""
        return tuple(form.form for form in self.part.forms)

    def find_forms_in_row(self, row: Mapping[str, str | None]) -> frozenset[str]:
        """Name the forms that have something in a row, by its event and repeating form."""
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
        """The events of which there must be rows: those asked for, or those of the forms."""
        if not self.project.is_longitudinal:
            return None
        if self.part.events or not self.selection.get("forms"):
            return self.part.events or None
        return sorted(
            {event for form in self.forms for event in self.project.designated_events(form)}
        )

    @property
    def labeled(self) -> bool:
        """Whether labels come in the place of codes, so that rows can be told apart no more."""
        return self.selection.get("raw_or_label") == "label"

    @property
    def records(self) -> list[str] | None:
        """The ids of the records that are asked for by them."""
        records = self.selection.get("records")
        return None if records is None else [str(record) for record in records]

    @property
    def narrowed(self) -> bool:
        """Whether it is of just some records."""
        return bool(self.among) or any(self.selection.get(name) is not None for name in _WHICH)

    def narrow(self, rows: pa.Table) -> pa.Table:
        """Leave out the rows of records that are not wanted."""
        return rows if self.among is None else self.among(rows)

    @cached_property
    def instance_fields(self) -> dict[str, str]:
        """By repeating form, the field that lists its instances: one of those asked for.

        What is listed by some of the fields that an export asks for has to be in the export. That
        is the status, as each saved form has one, or else the first field.
        """
        found: dict[str, str] = {}
        for form in self.part.forms:
            names = [name for name, _ in form.fields]
            status = status_column(form.form)
            if repeats_in(self.project, form.form, self.part.events):
                found[form.form] = status if status in names else names[0]
        return found

    @property
    def filters(self) -> Mapping[str, str]:
        """What selects records besides their ids, for a listing of those that match.

        Rows of a repeating form are listed, and match, where one of its fields is asked for.
        """
        found = self._parameters(*FILTERS)
        names = _NAMED.findall(found.get("filterLogic", ""))
        known = {row.field_name for row in self.project.fields if row.field_type != "descriptive"}
        fields = [self.project.record_id_field, *(name for name in names if name in known)]
        return found | write_optional_list("fields", list(dict.fromkeys(fields))) if found else {}

    @property
    def listing(self) -> Mapping[str, str]:
        """Which events to list."""
        return self._parameters("events")

    def parameters(self, request: RecordRequest) -> dict[str, str]:
        """Write a request of a plan."""
        part = request.part
        if part.cut:
            names = [name for form in part.forms if not form.whole for name, _ in form.fields]
            forms = [form.form for form in part.forms if form.whole]
            what = write_optional_list("fields", names or None) | write_optional_list(
                "forms", forms or None
            )
            if not what:  # the keys alone
                what = {"fields[0]": self.project.record_id_field}
            what |= write_optional_list("events", part.events or None)
        else:
            what = self._parameters(*_WHAT)
        which = write_optional_list("records", request.records) if request.named else {}
        return self._add_record_id(which | what | self._how)

    def write_single_request(self) -> dict[str, str]:
        """Write all of it as one request, just as it was asked."""
        return self._add_record_id(self._parameters(*_WHICH, *_WHAT) | self._how)

    def write_public_parameters(self) -> Mapping[str, str]:
        """Write all of it as one request, without what is somebody's data.

        Example:
            >>> project = REDCapProject.from_exports(metadata=[
            ...     {"field_name": "id", "form_name": "a"},
            ...     {"field_name": "age", "form_name": "a"}])
            >>> asked = RecordSelection(records=["7"], filter_logic="[age] > 40 and [x] = 'Eve'")
            >>> ExportQuery(project, asked, groups=False).write_public_parameters()["filterLogic"]
            '[age] > … and […] = …'
        """
        parameters = csv_parameters(self.write_single_request())
        kept = {k: value for k, value in parameters.items() if not k.startswith("records[")}
        if "filterLogic" in kept:
            kept["filterLogic"] = self._without_literals(kept["filterLogic"])
        return kept

    def _without_literals(self, logic: str) -> str:
        """Keep of REDCap logic what is surely no value, wherever a literal may begin or end."""
        names = {row.field_name for row in self.project.fields}
        names |= {row.unique_event_name for row in self.project.events}
        pieces = _KEPT.split(logic)
        shown = ["…" * bool(piece) for piece in pieces]
        for number, piece in enumerate(pieces):
            if number % 2:
                known = _NAMED.fullmatch(piece)
                in_brackets = f"[{known[1]}]" if known and known[1] in names else "[…]"
                shown[number] = in_brackets if piece.startswith("[") else piece
        return re.sub(r"…(\s*…)+", "…", "".join(shown))

    @cached_property
    def _how(self) -> dict[str, str]:
        how = self._parameters(*(name for name in self.selection if name not in (*_WHICH, *_WHAT)))
        if not self.groups:
            how.pop("exportDataAccessGroups", None)  # who may not see them is refused
        return how

    def _parameters(self, *names: str) -> dict[str, str]:
        given = cast("Mapping[str, Any]", self.selection)
        some = {name: given[name] for name in names if name in given}
        return check_selection(**cast("RecordSelection", some))

    def _add_record_id(self, parameters: dict[str, str]) -> dict[str, str]:
        return add_record_id(parameters, self.project.record_id_field)
