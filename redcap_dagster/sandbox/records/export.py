"""The record export: flat rows or single values, codes or labels, in every format.

Evidence: exports and project XML of the same projects, and answers recorded from real servers.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
)
from redcap_dagster.project.xml.writer import write_odm
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, table_reply
from redcap_dagster.sandbox.calls.log import write_log
from redcap_dagster.sandbox.people.data_access_groups import groups_of
from redcap_dagster.sandbox.protocol.formats import CONTENT_TYPES, Table
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.protocol.version import version_of
from redcap_dagster.sandbox.records.labels import Labels, cell_labels, event_labels, header_labels
from redcap_dagster.sandbox.records.layout import Layout, RowKind, hides_record_id, layout_of
from redcap_dagster.sandbox.records.project_xml import record_points
from redcap_dagster.sandbox.records.selection import Subject, row_order, selected_rows, subject_of
from redcap_dagster.sandbox.store.loading import columns_of
from redcap_dagster.sandbox.store.store import Place, StoredProject

DELIMITERS: Final = {",": ",", "tab": "\t", "\t": "\t", ";": ";", "|": "|", "^": "^"}
_NO_HEADER_SINCE: Final = (17, 4, 1)
# A server of 2022 sends the names of files, older ones this (which ones is a guess).
_FILE_NAMES_SINCE: Final = (12, 0, 0)
_FILE: Final = "[document]"
_DECIMAL: Final = re.compile(r"-?[0-9]*[.,][0-9]+")

Cell = str | int


def export_records(call: Call) -> Reply:
    """Answer ``content=record``, ``action=export``."""
    if call.parameters.flag("combineCheckboxOptions"):
        # What it does is told in two ways, and no answer with it is known.
        raise RequestError(
            400, "This sandbox does not know what combineCheckboxOptions does; leave it out."
        )
    kind = call.parameters.choice("type", ("flat", "eav"), "flat")
    format_ = call.parameters.text("format", "xml")
    if format_ == "odm":
        # That the structure comes with the records is a guess.
        xml = write_odm(call.project.structure, record_points(call), with_files=False)
        reply = Reply(xml, CONTENT_TYPES["xml"])
    else:
        reply = table_reply(call, {"flat": flat_table, "eav": eav_table}[kind](call))
    coding = call.parameters.text("rawOrLabel", "raw")
    details = f"export_format: {format_.upper()}, rawOrLabel: {coding}"
    # The blank at the end is as a server sends it.
    write_log(call.store, call.project, "export", "Data export (API) ", details)
    return reply


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {("record", "export"): export_records}


# -- flat -----------------------------------------------------------------------------------------


def flat_table(call: Call) -> Table:
    """One row for each record, event and instance, one column for each field.

    Raises:
        RequestError: A parameter has a value that it cannot have.
    """
    structure, parameters = call.project.structure, call.parameters
    delimiter = DELIMITERS[parameters.choice("csvDelimiter", tuple(DELIMITERS), ",")]
    headers = parameters.choice("rawOrLabelHeaders", ("raw", "label"), "raw")
    layout = layout_of(call.project, parameters)
    rows = _rows(call, layout)
    if not rows and version_of(structure.version) >= _NO_HEADER_SINCE:
        return Table((), ())
    header = layout.header
    for slot, write in _writers(call).items():
        if slot in header:
            place = header.index(slot)
            for row in rows:
                row[place] = write(str(row[place]))
    if headers == "label" and call.format == "csv":
        header = header_labels(structure, header)
    return Table(header, rows, delimiter=delimiter)


def _rows(call: Call, layout: Layout) -> list[list[Cell]]:
    structure, store = call.project.structure, call.store
    order, subject = row_order(structure), subject_of(structure)
    kinds: dict[tuple[str, str], RowKind | None] = {}
    filled: dict[int, tuple[list[Cell], Mapping[str, int]]] = {}
    placed: list[tuple[Place, list[Cell]]] = []
    unseen: dict[Subject, Place] = {}
    for number, place in selected_rows(call):
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
    for number, name, value in _values(call, layout):
        if number in filled:
            cells, slots = filled[number]
            if name in slots:
                cells[slots[name]] = value
    placed.sort(key=lambda each: order(each[0]))
    if layout.keys:
        groups, id_of = store.access_groups(call.project), _shown_id(call.project)
        for place, cells in placed:
            known = {
                structure.record_id_field: id_of(place.record),
                EVENT_NAME: place.event,
                REPEAT_INSTRUMENT: place.instrument,
                REPEAT_INSTANCE: place.instance or "",
                ACCESS_GROUP: groups.get(subject(place), ""),
            }
            cells[: len(layout.keys)] = [known[name] for name in layout.keys]
    return [cells for _, cells in placed]


def _values(call: Call, layout: Layout) -> Iterator[tuple[int, str, str]]:
    records = call.parameters.array("records")
    return call.store.values(call.project, records, (), layout.header)


def _shown_id(project: StoredProject) -> Callable[[str], str]:
    """What the user gets for a record id. That a hash is one of MD5 is a guess by its length."""
    if not hides_record_id(project):
        return lambda record: record
    return lambda record: hashlib.md5(
        f"{project.id}:{record}".encode(), usedforsecurity=False
    ).hexdigest()


# -- cells ----------------------------------------------------------------------------------------


def _writers(call: Call) -> dict[str, Callable[[str], str]]:
    """By column, how its values are written where they are not as stored."""
    structure, parameters = call.project.structure, call.parameters
    writers: dict[str, Callable[[str], str]] = {}
    if parameters.choice("rawOrLabel", ("raw", "label"), "raw") == "label":
        labels = cell_labels(structure, parameters.flag("exportCheckboxLabel"))
        groups = groups_of(call.store, call.project).values()
        labels[ACCESS_GROUP] = {group.name: group.label for group in groups}
        writers |= {name: _labeller(own) for name, own in labels.items() if own}
    if version_of(structure.version) < _FILE_NAMES_SINCE:
        files = (field.field_name for field in structure.fields if field.field_type == "file")
        writers |= {name: lambda value: value and _FILE for name in files}
    if mark := parameters.text("decimalCharacter"):
        parameters.choice("decimalCharacter", (".", ","), mark)
        writers |= {name: _decimal_writer(mark) for name in _decimals(structure)}
    return writers


def _labeller(labels: Labels) -> Callable[[str], str]:
    return lambda value: labels.get(value, value)


def _decimals(structure: REDCapProject) -> Iterator[str]:
    for field in structure.fields:
        if field.field_type == "calc" or field.validation.startswith("number"):
            yield field.field_name


def _decimal_writer(mark: str) -> Callable[[str], str]:
    def write(value: str) -> str:
        return re.sub("[.,]", mark, value) if _DECIMAL.fullmatch(value) else value

    return write


# -- single values --------------------------------------------------------------------------------


def eav_table(call: Call) -> Table:
    """One row for each value that is not blank; a checkbox has one for each ticked box.

    The values of a row come in the order of the dictionary, where a server has that of its storage.
    Of a file there is its name, where a server has a number of its own.

    Raises:
        RequestError: A parameter has a value that it cannot have.
    """
    structure, parameters = call.project.structure, call.parameters
    delimiter = DELIMITERS[parameters.choice("csvDelimiter", tuple(DELIMITERS), ",")]
    layout, id_of = layout_of(call.project, parameters), _shown_id(call.project)
    labelled = parameters.choice("rawOrLabel", ("raw", "label"), "raw") == "label"
    columns, writers = columns_of(structure), _writers(call)
    events = event_labels(structure) if labelled else {}
    values: dict[int, dict[str, str]] = {}
    for number, name, value in _values(call, layout):
        values.setdefault(number, {})[name] = value
    header = (
        "record",
        *(EVENT_NAME,) * structure.is_longitudinal,
        *(REPEAT_INSTRUMENT, REPEAT_INSTANCE) * structure.has_repeating,
        *("field_name", "value"),
    )
    rows: list[tuple[Cell, ...]] = []
    order = row_order(structure)
    for number, place in sorted(selected_rows(call), key=lambda row: order(row[1])):
        kind = layout.kind(place.event, place.instrument)
        if kind is None:
            continue
        key: tuple[Cell, ...] = (
            id_of(place.record),
            *(events.get(place.event, place.event),) * structure.is_longitudinal,
            *(place.instrument, place.instance or "") * structure.has_repeating,
        )
        if layout.keys and not place.instance:
            rows.append((*key, structure.record_id_field, id_of(place.record)))
        own = values.get(number, {})
        for name in kind.slots:
            if (value := own.get(name, "")) == "":
                continue
            column = columns.get(name)
            if column is not None and column.choice is not None:
                choice = column.choice
                shown = choice.label if labelled else choice.code
                rows.append((*key, column.field.field_name, shown))
            else:
                write = writers.get(name)
                rows.append((*key, name, write(value) if write else value))
    return Table(header, rows, delimiter=delimiter)
