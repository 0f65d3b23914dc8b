"""The rows of a request, as the user sees them, and their order."""

import re
from collections.abc import Callable, Iterable
from itertools import zip_longest

from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.calls.log import find_changed_records
from redcap_dagster.sandbox.records.filtering import filter_rows
from redcap_dagster.sandbox.store.row_keys import RowKey

RecordArm = tuple[str, int]
"""A record in an arm: the same id in another arm is another record."""


def make_record_arm_reader(structure: REDCapProject) -> Callable[[RowKey], RecordArm]:
    """Return a function that reads record and arm of a row key; the arm is 0 if classic."""
    arms = {event.unique_event_name: event.arm_num for event in structure.events}
    return lambda row_key: (row_key.record, arms.get(row_key.event, 0))


def select_rows(call: Call) -> list[tuple[int, RowKey]]:
    """Return the visible rows of the requested records, events, dates and logic.

    Unknown record ids are ignored, and events of a classic project too (guesses).

    Raises:
        RequestError: An event does not exist, or a parameter has an invalid value.
    """
    structure, parameters = call.project.structure, call.parameters
    names = (row.unique_event_name for row in structure.events)
    events = tuple(parameters.get_known_names("events", names)) if structure.is_longitudinal else ()
    rows: Iterable[tuple[int, RowKey]]
    rows = call.store.find_rows(call.project, parameters.get_list("records"), events)
    changed = find_changed_records(call.store, call.project, parameters)
    if changed is not None:
        rows = ((number, row_key) for number, row_key in rows if row_key.record in changed)
    return filter_rows(call, filter_visible_rows(call, rows))


def filter_visible_rows(
    call: Call, rows: Iterable[tuple[int, RowKey]]
) -> Iterable[tuple[int, RowKey]]:
    """Return the rows that the user sees: those of the access group, or all without a group."""
    group = call.project.rights.data_access_group
    if not group:
        return rows
    get_record_arm = make_record_arm_reader(call.project.structure)
    groups = call.store.list_access_groups(call.project)
    return [
        (number, row_key)
        for number, row_key in rows
        if groups.get(get_record_arm(row_key)) == group
    ]


def select_arm_rows(call: Call, records: tuple[str, ...]) -> dict[RowKey, int]:
    """Return the visible rows of some records, of the requested arm or of all, by key."""
    structure, arm = call.project.structure, call.parameters.get_text("arm")
    if arm:
        call.parameters.get_known_names("arm", (str(event.arm_num) for event in structure.events))
    get_record_arm = make_record_arm_reader(structure)
    return {
        row_key: number
        for number, row_key in filter_visible_rows(
            call, call.store.find_rows(call.project, records, ())
        )
        if not arm or str(get_record_arm(row_key)[1]) == arm
    }


def make_row_sort_key(structure: REDCapProject) -> Callable[[RowKey], tuple[object, ...]]:
    """Return a sort key for REDCap's order: by record; then rows without, then with instances."""
    events = {row.unique_event_name: number for number, row in enumerate(structure.events)}
    forms = {row.instrument_name: number for number, row in enumerate(structure.instruments)}

    def get_sort_key(row_key: RowKey) -> tuple[object, ...]:
        return (
            make_record_sort_key(row_key.record),
            row_key.instance > 0,
            events.get(row_key.event, 0),
            forms.get(row_key.instrument, -1),
            row_key.instance,
        )

    return get_sort_key


def make_record_sort_key(record: str) -> tuple[tuple[object, ...], str]:
    """Return a sort key by the numbers in record ids; a guess for ids such as ``331-2``.

    Example:
        >>> sorted(["10", "9", "331-10", "331-2", "a"], key=make_record_sort_key)
        ['9', '10', '331-2', '331-10', 'a']
    """
    parts = re.split(r"([0-9]+)", record.lower())
    # Every second part is digits. Numbers are compared by length first, because Python refuses to
    # read very long ones.
    numbers = ((len(part.lstrip("0")), part.lstrip("0")) for part in parts[1::2])
    key: list[object] = []
    for text, number in zip_longest(parts[::2], numbers):
        key += [text, number] if number is not None else [text]
    return tuple(key), record
