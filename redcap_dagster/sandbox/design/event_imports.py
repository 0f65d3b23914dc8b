"""The imports of arms, of events, of their instruments, and of what repeats."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from string import ascii_lowercase
from typing import Final

from redcap_dagster.project import Arm, Event, FormEvent, REDCapProject, Repeating
from redcap_dagster.project.rows import parse_row
from redcap_dagster.sandbox.calls.call import Call, Handler
from redcap_dagster.sandbox.design.structure_change import (
    make_change_handler,
    read_structure_rows,
    require_development,
)
from redcap_dagster.sandbox.protocol.import_data import Row
from redcap_dagster.sandbox.protocol.parameters import RequestError

_UNIQUE_NAME_LENGTH: Final = 18


# -- arms -----------------------------------------------------------------------------------------


def _import_arms(call: Call) -> tuple[REDCapProject, int]:
    structure = _require_longitudinal(call, "arms")
    rows = read_structure_rows(call, {"arm_num", "name"})
    arms = {} if _read_override(call, "arms") else _index_arms(structure)
    for row in rows:
        number, name = _read_number(row, "arm_num"), row.get("name", "")
        if not name:
            raise RequestError(400, "An arm has no name")
        arms[number] = Arm(number, name)
    return _replace_arms(structure, arms), len(rows)


def _delete_arms(call: Call) -> tuple[REDCapProject, int]:
    structure = _require_longitudinal(call, "arms")
    require_development(call, "arms")
    arms = _index_arms(structure)
    deleted = call.parameters.get_known_names("arms", map(str, arms))
    remaining = {number: arm for number, arm in arms.items() if str(number) not in deleted}
    return _replace_arms(structure, remaining), len(deleted)


def _index_arms(structure: REDCapProject) -> dict[int, Arm]:
    unnamed = {
        event.arm_num: Arm(event.arm_num, f"Arm {event.arm_num}") for event in structure.events
    }
    return unnamed | {arm.arm_num: arm for arm in structure.arms}


def _replace_arms(structure: REDCapProject, arms: Mapping[int, Arm]) -> REDCapProject:
    events = [event for event in structure.events if event.arm_num in arms]
    return replace(
        _replace_events(structure, events), arms=tuple(arms[key] for key in sorted(arms))
    )


# -- events ---------------------------------------------------------------------------------------


def _import_events(call: Call) -> tuple[REDCapProject, int]:
    structure = _require_longitudinal(call, "events")
    rows = read_structure_rows(call, {column.name for column in fields(Event)})
    before = {event.unique_event_name: event for event in structure.events}
    events = {} if _read_override(call, "events") else dict(before)
    for row in rows:
        number = _read_number(row, "arm_num")
        if not row.get("event_name") or number not in _index_arms(structure):
            raise RequestError(400, "An event has no name, or an arm that does not exist")
        name = row.get("unique_event_name", "")
        if name not in before:
            name = make_unique_event_name(row["event_name"], number, events)
        known = before.get(name)
        taken = [event.event_id or 0 for event in (*before.values(), *events.values())]
        event_id = known.event_id if known else max(taken, default=0) + 1
        events[name] = parse_row(
            Event,
            {**row, "unique_event_name": name, "arm_num": number, "event_id": event_id},
        )
    return _replace_events(structure, events.values()), len(rows)


def _delete_events(call: Call) -> tuple[REDCapProject, int]:
    structure = _require_longitudinal(call, "events")
    require_development(call, "events")
    deleted = call.parameters.get_known_names(
        "events", (row.unique_event_name for row in structure.events)
    )
    remaining = [event for event in structure.events if event.unique_event_name not in deleted]
    return _replace_events(structure, remaining), len(deleted)


def make_unique_event_name(event_name: str, arm: int, taken: Iterable[str]) -> str:
    """Return the unique name of an event; its length and the letter at its end are guesses.

    Example:
        >>> make_unique_event_name("Visit #1", 2, []), make_unique_event_name("A", 1, ["a_arm_1"])
        ('visit_1_arm_2', 'a_arm_1b')
    """
    text = re.sub(r"[^a-z0-9]+", "_", event_name.lower()).strip("_")[:_UNIQUE_NAME_LENGTH]
    name = f"{text or 'event'}_arm_{arm}"
    for candidate in (name, *(name + letter for letter in ascii_lowercase[1:])):
        if candidate not in taken:
            return candidate
    raise RequestError(400, "Too many events have the same name")


def _replace_events(structure: REDCapProject, events: Iterable[Event]) -> REDCapProject:
    """Return the project with these events, without designations and repeats of others."""
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


# -- instruments of events ------------------------------------------------------------------------


def _import_mapping(call: Call) -> tuple[REDCapProject, int]:
    structure = _require_longitudinal(call, "form/event mappings")
    rows = read_structure_rows(call, {column.name for column in fields(FormEvent)})
    arms = {event.unique_event_name: event.arm_num for event in structure.events}
    forms = {form.instrument_name for form in structure.instruments}
    for row in rows:
        event, form = row.get("unique_event_name", ""), row.get("form", "")
        if form not in forms or arms.get(event) != _read_number(row, "arm_num"):
            raise RequestError(
                400, "A row names an instrument, an event or an arm that does not exist"
            )
    mapping = {parse_row(FormEvent, row): None for row in rows}
    return replace(structure, form_events=tuple(mapping)), len(rows)


def _import_repeating(call: Call) -> tuple[REDCapProject, int]:
    structure = call.project.structure
    rows = read_structure_rows(call, {column.name for column in fields(Repeating)})
    forms = {form.instrument_name for form in structure.instruments}
    designated = {(row.form, row.unique_event_name) for row in structure.form_events}
    repeating = {parse_row(Repeating, row): None for row in rows}
    for row in repeating:
        if structure.is_longitudinal:
            events = {event.unique_event_name for event in structure.events}
            can_repeat = row.event_name in events and (
                not row.form_name or (row.form_name, row.event_name) in designated
            )
        else:
            can_repeat = row.form_name in forms and not row.event_name
        if not can_repeat:
            raise RequestError(400, "A row names an instrument or an event that cannot repeat")
    return replace(structure, repeating=tuple(repeating)), len(rows)


def _read_number(row: Row, column: str) -> int:
    text = row.get(column, "")
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0 and len(text) < 10):
        raise RequestError(400, f"A row does not have a number in {column}")
    return int(text)


def _require_longitudinal(call: Call, what: str) -> REDCapProject:
    if not call.project.structure.is_longitudinal:
        raise RequestError(400, f"You cannot import {what} for classic projects")
    return call.project.structure


def _read_override(call: Call, what: str) -> bool:
    """Return whether the import replaces all, which REDCap only allows in development."""
    if call.parameters.get_choice("override", ("0", "1"), "0") == "0":
        return False
    require_development(call, what)
    return True


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("arm", "import"): make_change_handler(_import_arms, "Import arms (API)"),
    ("arm", "delete"): make_change_handler(_delete_arms, "Delete arms (API)"),
    ("event", "import"): make_change_handler(_import_events, "Import events (API)"),
    ("event", "delete"): make_change_handler(_delete_events, "Delete events (API)"),
    ("formEventMapping", "import"): make_change_handler(
        _import_mapping, "Import instrument-event mappings (API)"
    ),
    ("repeatingFormsEvents", "import"): make_change_handler(
        _import_repeating, "Import repeating instruments and events (API)"
    ),
}
