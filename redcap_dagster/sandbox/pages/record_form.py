"""A record's form, read only: the values that the API would export to the visitor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from redcap_dagster.project import Field, REDCapProject
from redcap_dagster.sandbox.pages.visit import ENTRY, Page, PageError, Visit
from redcap_dagster.sandbox.records.export import make_writers
from redcap_dagster.sandbox.records.layout import build_layout, hides_record_id
from redcap_dagster.sandbox.records.selection import filter_visible_rows
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms
from redcap_dagster.sandbox.store.store import StoredProject

_FIELD_TO_SHOW: Final = "fldfocus"


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field with its value, or the ticked options of a checkbox.

    Attributes:
        definition: Field as the dictionary has it.
        values: Values as the API exports them, each with its label, or itself without one.
    """

    definition: Field
    values: Sequence[tuple[str, str]] = field(repr=False)


def show_form(visit: Visit) -> Response:
    """Show the form of a record that the address names."""
    project = visit.open_project()
    form = visit.query.get("page", "")
    forms = {row.instrument_name: row for row in project.structure.instruments}
    if form not in forms:
        raise PageError(404, "The project does not have the instrument that the address names.")
    _require_rights(project, form)
    row_key = _read_row_key(visit, project.structure, form)
    if name := visit.query.get(_FIELD_TO_SHOW):
        # A browser scrolls to the fragment of an address, which it does not send.
        rest = {key: value for key, value in visit.query.items() if key != _FIELD_TO_SHOW}
        return visit.redirect(f"?{urlencode(rest)}#{quote(name, safe='')}")
    shown, hidden = _read_fields(visit, project, form, row_key)
    events = {event.unique_event_name: event for event in project.structure.events}
    return visit.show(
        "record_form.html",
        project=project,
        here=ENTRY,
        form=forms[form],
        row_key=row_key,
        event=events.get(row_key.event),
        shown=shown,
        hidden=hidden,
    )


PAGES: Final[Mapping[tuple[str, str], Page]] = {("GET", ENTRY): show_form}


def _require_rights(project: StoredProject, form: str) -> None:
    rights = project.rights
    if not rights.may_view(form):
        raise PageError(403, "You do not have the right to view this instrument (User Rights).")
    if not rights.get_export_level(form):
        raise PageError(
            403,
            "You do not have access to the data of this instrument: your data export right to it "
            "is No access. This page shows what the API would export to you.",
        )
    if hides_record_id(project):
        raise PageError(
            403,
            "The record id is an identifier, which your data export rights hide, so that you "
            "cannot open a record by it.",
        )


def _read_row_key(visit: Visit, structure: REDCapProject, form: str) -> RowKey:
    """Return the key of the row that an address names, as links of assets have it.

    Raises:
        PageError: A part of the address is missing or invalid.
    """
    record, instance = visit.query.get("id", ""), visit.query.get("instance", "1")
    if not record:
        raise PageError(400, "The address does not name a record (id).")
    if not (instance.isascii() and instance.isdecimal() and 0 < len(instance) < 10):
        raise PageError(400, "The instance that the address names is not a number from 1.")
    event = _read_event(visit, structure, form)
    number = int(instance)
    if form in list_row_forms(structure, event, form):
        row_key = RowKey(record, event, form, number)
    elif event in structure.repeating_events:
        row_key = RowKey(record, event, "", number)
    else:
        row_key = RowKey(record, event)
        if number > 1:
            raise PageError(404, "The instrument does not repeat there: it has instance 1 only.")
    if number < 1:
        raise PageError(400, "The instance that the address names is not a number from 1.")
    return row_key


def _read_event(visit: Visit, structure: REDCapProject, form: str) -> str:
    """Return the event of an address; the first of the instrument if it does not name one."""
    if not structure.events:
        return ""
    designated = structure.designated_events(form)
    number = visit.query.get("event_id")
    for event in structure.events:
        named = number in (None, str(event.event_id))
        if named and event.unique_event_name in designated:
            return event.unique_event_name
    raise PageError(
        404,
        "The project does not have the event that the address names, or not this instrument in it.",
    )


def _read_fields(
    visit: Visit, project: StoredProject, form: str, row_key: RowKey
) -> tuple[list[ShownField], int]:
    """Return the fields that the visitor may export, and the number of the others.

    Raises:
        PageError: There is no such record or instance that the visitor may see.
    """
    call = visit.make_call(
        project, **{"forms[0]": form, "exportSurveyFields": "true", "rawOrLabel": "raw"}
    )
    rows = {
        visible: number
        for number, visible in filter_visible_rows(
            call, visit.store.find_rows(project, (row_key.record,), ())
        )
    }
    if not rows:
        raise PageError(
            404, "There is no record with this id, or it is in an access group that is not yours."
        )
    if row_key not in rows:
        raise PageError(404, "The record does not have values in this event and instance.")
    names = tuple(build_layout(project, call.parameters).forms.get(form, ()))
    stored = {
        name: value
        for number, name, value in visit.store.find_values(project, (row_key.record,), (), names)
        if number == rows[row_key]
    }
    labeled = visit.make_call(project, rawOrLabel="label")
    write, label = make_writers(call), make_writers(labeled)
    shown: dict[str, ShownField] = {}
    for column in project.structure.columns(form):
        if column.name not in names:
            continue
        value = stored.get(column.name, "")
        if column.choice is not None:
            pair = (column.choice.code, column.choice.label)
        else:
            pair = (write.get(column.name, str)(value), label.get(column.name, str)(value))
        before = shown.get(column.field.field_name, ShownField(column.field, ()))
        values = (*before.values, pair) if value else before.values
        shown[column.field.field_name] = replace(before, values=values)
    return list(shown.values()), len(project.structure.instrument_fields(form)) - len(shown)
