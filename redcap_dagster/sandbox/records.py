"""The flat record export: which rows there are, in which order, and what is in their cells.

Evidence: exports and project XML of the same projects, and answers recorded from real servers.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Final

from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.formats import Table
from redcap_dagster.sandbox.layout import Layout, RowKind, layout_of
from redcap_dagster.sandbox.parameters import Parameters, RequestError
from redcap_dagster.sandbox.store import ACCESS_GROUP, Place, Store, StoredProject
from redcap_dagster.sandbox.structure import version_of

_DELIMITERS: Final = {",": ",", "tab": "\t", "\t": "\t", ";": ";", "|": "|", "^": "^"}
_NO_HEADER_SINCE: Final = (17, 4, 1)


def export_records(store: Store, project: StoredProject, parameters: Parameters) -> Table:
    """Answer ``content=record``."""
    _refuse_what_is_not_built(parameters)
    structure = project.structure
    delimiter = _DELIMITERS[parameters.choice("csvDelimiter", tuple(_DELIMITERS), ",")]
    layout = layout_of(structure, parameters)
    rows: list[tuple[str | int, ...]] = []
    if not _matches_nothing(structure, parameters):
        # Ids that are not there bring no rows, and a classic project passes over events (guesses).
        events: tuple[str, ...] = ()
        if structure.is_longitudinal:
            names = (row.unique_event_name for row in structure.events)
            events = tuple(parameters.known("events", names))
        rows = _rows(store, project, layout, parameters.array("records"), events)
    if not rows and version_of(structure.version) >= _NO_HEADER_SINCE:
        return Table((), ())
    return Table(layout.header, rows, delimiter=delimiter)


# -- what is asked for ----------------------------------------------------------------------------


def _refuse_what_is_not_built(parameters: Parameters) -> None:
    """Say what the sandbox cannot answer, rather than answer it wrongly."""
    plain = {"type": "flat", "rawOrLabel": "raw", "rawOrLabelHeaders": "raw"}
    asked = [name for name, value in plain.items() if parameters.text(name, value) != value]
    asked += [
        name
        for name in ("dateRangeBegin", "dateRangeEnd", "decimalCharacter")
        if parameters.text(name)
    ]
    asked += [name for name in ("combineCheckboxOptions",) if parameters.flag(name)]
    if asked:
        raise RequestError(400, f"This sandbox does not know this value yet of: {', '.join(asked)}")


def _matches_nothing(structure: REDCapProject, parameters: Parameters) -> bool:
    """Whether a filter wants records without an id, of which there are none."""
    logic = parameters.text("filterLogic")
    if not logic:
        return False
    if re.fullmatch(rf"\s*\[{structure.record_id_field}\]\s*=\s*(''|\"\")\s*", logic):
        return True
    raise RequestError(400, "This sandbox does not know this value yet of: filterLogic")


# -- rows -----------------------------------------------------------------------------------------


def _rows(
    store: Store,
    project: StoredProject,
    layout: Layout,
    records: tuple[str, ...],
    events: tuple[str, ...],
) -> list[tuple[str | int, ...]]:
    order = _order(project.structure)
    arms = {event.unique_event_name: event.arm_num for event in project.structure.events}

    def subject(place: Place) -> tuple[str, int]:
        return place.record, arms.get(place.event, 0)  # one id in two arms is two subjects

    kinds: dict[tuple[str, str], RowKind | None] = {}
    filled: dict[int, tuple[list[str | int], Mapping[str, int]]] = {}
    placed: list[tuple[Place, list[str | int]]] = []
    unseen: dict[tuple[str, int], Place] = {}
    for number, place in store.rows(project, records, events):
        what = (place.event, place.instrument)
        if what not in kinds:
            kinds[what] = layout.kind(*what)
        kind = kinds[what]
        if kind is None:
            first = unseen.get(subject(place), place)
            unseen[subject(place)] = min(first, place, key=order)
        else:
            cells = list(kind.blank)
            placed.append((place, cells))
            filled[number] = (cells, kind.slots)
    if layout.keys:
        # A record of which only instances of other forms are kept is listed all the same (guess).
        for missing in unseen.keys() - {subject(place) for place, _ in placed}:
            place = replace(unseen[missing], instrument="", instance=0)
            if kind := layout.kind(place.event, ""):
                placed.append((place, list(kind.blank)))
    for number, name, value in store.values(project, records, events, layout.header):
        if number in filled:
            cells, slots = filled[number]
            if name in slots:
                cells[slots[name]] = value
    placed.sort(key=lambda each: order(each[0]))
    if layout.keys:
        groups = store.access_groups(project)
        for place, cells in placed:
            known = {
                project.structure.record_id_field: place.record,
                "redcap_event_name": place.event,
                "redcap_repeat_instrument": place.instrument,
                "redcap_repeat_instance": place.instance or "",
                ACCESS_GROUP: groups.get(subject(place), ""),
            }
            cells[: len(layout.keys)] = [known[name] for name in layout.keys]
    return [tuple(cells) for _, cells in placed]


def _order(structure: REDCapProject) -> Callable[[Place], tuple[object, ...]]:
    """REDCap's order of rows: by record, then what does not repeat by event, then what does."""
    events = {row.unique_event_name: number for number, row in enumerate(structure.events)}
    forms = {row.instrument_name: number for number, row in enumerate(structure.instruments)}

    def key(place: Place) -> tuple[object, ...]:
        return (
            _natural(place.record),
            place.instance > 0,
            events.get(place.event, 0),
            forms.get(place.instrument, -1),
            place.instance,
        )

    return key


def _natural(record: str) -> tuple[tuple[object, ...], str]:
    """Order ids by their numbers: seen for plain ones, a guess for ids like ``331-2``.

    Example:
        >>> sorted(["10", "9", "331-10", "331-2", "a"], key=_natural)
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
