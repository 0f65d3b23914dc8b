"""Which rows a record export is of, and in which order."""

import re
from collections.abc import Callable, Iterable
from itertools import zip_longest

from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.calls.log import changed_records
from redcap_dagster.sandbox.records.filtering import matching_rows
from redcap_dagster.sandbox.store.store import Place

Subject = tuple[str, int]
"""A record in an arm: one id in two arms is two subjects."""


def subject_of(structure: REDCapProject) -> Callable[[Place], Subject]:
    """Make what tells whose a row is; the arm is 0 in a classic project."""
    arms = {event.unique_event_name: event.arm_num for event in structure.events}
    return lambda place: (place.record, arms.get(place.event, 0))


def selected_rows(call: Call) -> list[tuple[int, Place]]:
    """The rows of the records, events, dates and logic asked for, as far as the user sees them.

    Ids that are not there bring no rows, and a classic project passes over events (guesses).

    Raises:
        RequestError: There is no such event, or a parameter has a value that it cannot have.
    """
    structure, parameters = call.project.structure, call.parameters
    names = (row.unique_event_name for row in structure.events)
    events = tuple(parameters.known("events", names)) if structure.is_longitudinal else ()
    rows: Iterable[tuple[int, Place]]
    rows = call.store.rows(call.project, parameters.array("records"), events)
    changed = changed_records(call.store, call.project, parameters)
    if changed is not None:
        rows = ((number, place) for number, place in rows if place.record in changed)
    return matching_rows(call, seen_rows(call, rows))


def seen_rows(call: Call, rows: Iterable[tuple[int, Place]]) -> Iterable[tuple[int, Place]]:
    """The rows that the user sees: those of the own access group, or all without one."""
    group = call.project.rights.data_access_group
    if not group:
        return rows
    subject = subject_of(call.project.structure)
    groups = call.store.access_groups(call.project)
    return [(number, place) for number, place in rows if groups.get(subject(place)) == group]


def row_order(structure: REDCapProject) -> Callable[[Place], tuple[object, ...]]:
    """REDCap's order of rows: by record, then what does not repeat by event, then what does."""
    events = {row.unique_event_name: number for number, row in enumerate(structure.events)}
    forms = {row.instrument_name: number for number, row in enumerate(structure.instruments)}

    def key(place: Place) -> tuple[object, ...]:
        return (
            record_order(place.record),
            place.instance > 0,
            events.get(place.event, 0),
            forms.get(place.instrument, -1),
            place.instance,
        )

    return key


def record_order(record: str) -> tuple[tuple[object, ...], str]:
    """Order ids by their numbers: seen for plain ones, a guess for ids like ``331-2``.

    Example:
        >>> sorted(["10", "9", "331-10", "331-2", "a"], key=record_order)
        ['9', '10', '331-2', '331-10', 'a']
    """
    parts = re.split(r"([0-9]+)", record.lower())
    # Every second part is digits; a number is compared by its length first, so that it needs not
    # be one that Python would take.
    numbers = ((len(part.lstrip("0")), part.lstrip("0")) for part in parts[1::2])
    key: list[object] = []
    for text, number in zip_longest(parts[::2], numbers):
        key += [text, number] if number is not None else [text]
    return tuple(key), record
