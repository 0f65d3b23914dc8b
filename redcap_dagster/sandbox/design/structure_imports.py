"""What changes the structure of a project: dictionary, arms, events, mapping and repeating.

The counts are known, and who may do it. Texts of refusals and what becomes of the data of what is
deleted (it goes along) are guesses.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Final

from redcap_dagster.project import (
    Arm,
    Event,
    Field,
    FormEvent,
    Instrument,
    REDCapProject,
    Repeating,
    StructureError,
)
from redcap_dagster.project.rows import row_value
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, count_reply
from redcap_dagster.sandbox.calls.log import log_manage
from redcap_dagster.sandbox.calls.required_rights import require_to_change
from redcap_dagster.sandbox.protocol.import_data import Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import RequestError

_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_FIELD_TYPES: Final = frozenset(
    {
        "text",
        "notes",
        "calc",
        "dropdown",
        "radio",
        "checkbox",
        "yesno",
        "truefalse",
        "file",
        "slider",
        "descriptive",
        "sql",
    }
)
_UNIQUE_NAME_LENGTH: Final = 18


# -- dictionary -----------------------------------------------------------------------------------


def with_metadata(structure: REDCapProject, rows: Iterable[Row]) -> REDCapProject:
    """A project with another dictionary; its forms keep their labels.

    Raises:
        RequestError: A field that cannot be, by its name.
    """
    given = tuple(row_value(Field, {"field_name": "", "form_name": "", **row}) for row in rows)
    names = [field.field_name for field in given]
    wrong = [
        field.field_name
        for field in given
        if not _FIELD_NAME.fullmatch(field.field_name)
        or not _FIELD_NAME.fullmatch(field.form_name)
        or field.field_type not in _FIELD_TYPES
        or names.count(field.field_name) > 1
    ]
    if wrong or not given:
        raise RequestError(
            400,
            "These fields have a name, a form or a type that they cannot have, or come twice: "
            + ", ".join(dict.fromkeys(wrong)),
        )
    labels = {form.instrument_name: form.instrument_label for form in structure.instruments}
    forms = dict.fromkeys(field.form_name for field in given)
    made = replace(
        structure,
        fields=given,
        instruments=tuple(
            Instrument(form, labels.get(form, form.replace("_", " ").title())) for form in forms
        ),
        field_names=(),
        form_events=tuple(row for row in structure.form_events if row.form in forms),
        repeating=tuple(row for row in structure.repeating if row.form_name in ("", *forms)),
        surveys=tuple(form for form in structure.surveys if form in forms),
    )
    try:
        for form in forms:
            made.columns(form)
    except StructureError as error:
        raise RequestError(400, str(error)) from None
    return made


def _metadata(call: Call) -> tuple[REDCapProject, int]:
    _require_development(call, "metadata")
    rows = _rows(call, {column.name for column in fields(Field)})
    return with_metadata(call.project.structure, rows), len(rows)


# -- arms -----------------------------------------------------------------------------------------


def _arms(call: Call) -> tuple[REDCapProject, int]:
    structure = _longitudinal(call, "arms")
    rows = _rows(call, {"arm_num", "name"})
    arms = {} if _overrides(call, "arms") else _arms_of(structure)
    for row in rows:
        number, name = _number(row, "arm_num"), row.get("name", "")
        if not name:
            raise RequestError(400, "An arm has no name")
        arms[number] = Arm(number, name)
    return _with_arms(structure, arms), len(rows)


def _fewer_arms(call: Call) -> tuple[REDCapProject, int]:
    structure = _longitudinal(call, "arms")
    _require_development(call, "arms")
    arms = _arms_of(structure)
    gone = call.parameters.known("arms", map(str, arms))
    left = {number: arm for number, arm in arms.items() if str(number) not in gone}
    return _with_arms(structure, left), len(gone)


def _arms_of(structure: REDCapProject) -> dict[int, Arm]:
    unnamed = {
        event.arm_num: Arm(event.arm_num, f"Arm {event.arm_num}") for event in structure.events
    }
    return unnamed | {arm.arm_num: arm for arm in structure.arms}


def _with_arms(structure: REDCapProject, arms: Mapping[int, Arm]) -> REDCapProject:
    events = [event for event in structure.events if event.arm_num in arms]
    return replace(_with_events(structure, events), arms=tuple(arms[key] for key in sorted(arms)))


# -- events ---------------------------------------------------------------------------------------


def _events(call: Call) -> tuple[REDCapProject, int]:
    structure = _longitudinal(call, "events")
    rows = _rows(call, {column.name for column in fields(Event)})
    before = {event.unique_event_name: event for event in structure.events}
    events = {} if _overrides(call, "events") else dict(before)
    for row in rows:
        number = _number(row, "arm_num")
        if not row.get("event_name") or number not in _arms_of(structure):
            raise RequestError(400, "An event has no name, or an arm that does not exist")
        name = row.get("unique_event_name", "")
        if name not in before:
            name = unique_event_name(row["event_name"], number, events)
        known = before.get(name)
        taken = [event.event_id or 0 for event in (*before.values(), *events.values())]
        event_id = known.event_id if known else max(taken, default=0) + 1
        events[name] = row_value(
            Event,
            {**row, "unique_event_name": name, "arm_num": number, "event_id": event_id},
        )
    return _with_events(structure, events.values()), len(rows)


def _fewer_events(call: Call) -> tuple[REDCapProject, int]:
    structure = _longitudinal(call, "events")
    _require_development(call, "events")
    gone = call.parameters.known("events", (row.unique_event_name for row in structure.events))
    left = [event for event in structure.events if event.unique_event_name not in gone]
    return _with_events(structure, left), len(gone)


def unique_event_name(event_name: str, arm: int, taken: Iterable[str]) -> str:
    """Name an event as REDCap does; the length, and the letter of a second one, are guesses.

    Example:
        >>> unique_event_name("Visit #1", 2, []), unique_event_name("A", 1, ["a_arm_1"])
        ('visit_1_arm_2', 'a_arm_1b')
    """
    text = re.sub(r"[^a-z0-9]+", "_", event_name.lower()).strip("_")[:_UNIQUE_NAME_LENGTH]
    name = f"{text or 'event'}_arm_{arm}"
    for one in (name, *(name + letter for letter in "bcdefghijklmnopqrstuvwxyz")):
        if one not in taken:
            return one
    raise RequestError(400, "Too many events have the same name")


def _with_events(structure: REDCapProject, events: Iterable[Event]) -> REDCapProject:
    """The project with these events, and with nothing of others."""
    kept = tuple(sorted(events, key=lambda event: event.arm_num))
    names = {event.unique_event_name for event in kept}
    if not names:
        raise RequestError(400, "A longitudinal project has at least one event")
    return replace(
        structure,
        events=kept,
        form_events=tuple(row for row in structure.form_events if row.unique_event_name in names),
        repeating=tuple(row for row in structure.repeating if row.event_name in names),
    )


# -- which form is where --------------------------------------------------------------------------


def _mapping(call: Call) -> tuple[REDCapProject, int]:
    structure = _longitudinal(call, "form/event mappings")
    rows = _rows(call, {column.name for column in fields(FormEvent)})
    arms = {event.unique_event_name: event.arm_num for event in structure.events}
    forms = {form.instrument_name for form in structure.instruments}
    for row in rows:
        event, form = row.get("unique_event_name", ""), row.get("form", "")
        if form not in forms or arms.get(event) != _number(row, "arm_num"):
            raise RequestError(400, "A row names a form, an event or an arm that does not exist")
    mapping = {row_value(FormEvent, row): None for row in rows}
    return replace(structure, form_events=tuple(mapping)), len(rows)


def _repeating(call: Call) -> tuple[REDCapProject, int]:
    structure = call.project.structure
    rows = _rows(call, {column.name for column in fields(Repeating)})
    forms = {form.instrument_name for form in structure.instruments}
    designated = {(row.form, row.unique_event_name) for row in structure.form_events}
    repeating = {row_value(Repeating, row): None for row in rows}
    for row in repeating:
        if structure.is_longitudinal:
            events = {event.unique_event_name for event in structure.events}
            there = row.event_name in events and (
                not row.form_name or (row.form_name, row.event_name) in designated
            )
        else:
            there = row.form_name in forms and not row.event_name
        if not there:
            raise RequestError(400, "A row names a form or an event that cannot repeat")
    return replace(structure, repeating=tuple(repeating)), len(rows)


# -- all of them ----------------------------------------------------------------------------------


def _answer(change: Callable[[Call], tuple[REDCapProject, int]], details: str) -> Answerer:
    def answer(call: Call) -> Reply:
        require_to_change(call, "design")
        structure, count = change(call)
        call.store.change(call.project.id, structure)
        _forget_events(call, structure)
        log_manage(call, details)
        return count_reply(call, count)

    return answer


def _forget_events(call: Call, structure: REDCapProject) -> None:
    """Delete the rows of events that are no more, as no export could place them."""
    left = {event.unique_event_name for event in structure.events}
    gone = [
        (call.project.id, event.unique_event_name)
        for event in call.project.structure.events
        if event.unique_event_name not in left
    ]
    with call.store.connection as database:
        database.executemany("delete from row where project = ? and event = ?", gone)


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("metadata", "import"): _answer(_metadata, "Upload data dictionary (API)"),
    ("arm", "import"): _answer(_arms, "Import arms (API)"),
    ("arm", "delete"): _answer(_fewer_arms, "Delete arms (API)"),
    ("event", "import"): _answer(_events, "Import events (API)"),
    ("event", "delete"): _answer(_fewer_events, "Delete events (API)"),
    ("formEventMapping", "import"): _answer(_mapping, "Import instrument-event mappings (API)"),
    ("repeatingFormsEvents", "import"): _answer(
        _repeating, "Import repeating instruments and events (API)"
    ),
}


def _rows(call: Call, columns: set[str]) -> list[Row]:
    rows = read_rows(call.parameters.text("data"), call.format)
    if unknown := sorted({name for row in rows for name in row} - columns):
        raise RequestError(400, f"These columns are not known: {', '.join(unknown)}")
    return rows


def _number(row: Row, column: str) -> int:
    text = row.get(column, "")
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0 and len(text) < 10):
        raise RequestError(400, f"A row has no number in {column}")
    return int(text)


def _longitudinal(call: Call, what: str) -> REDCapProject:
    if not call.project.structure.is_longitudinal:
        raise RequestError(400, f"You cannot import {what} for classic projects")
    return call.project.structure


def _overrides(call: Call, what: str) -> bool:
    """Whether what is there goes first, which is for projects in development."""
    if call.parameters.choice("override", ("0", "1"), "0") == "0":
        return False
    _require_development(call, what)
    return True


def _require_development(call: Call, what: str) -> None:
    if call.project.structure.info.in_production:
        raise RequestError(400, f"You cannot do this with {what} of a project in production")
