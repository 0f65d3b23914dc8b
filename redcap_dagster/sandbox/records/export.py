"""The record export: flat rows or single values, codes or labels, in every format.

Evidence: exports and project XML of the same projects, and responses recorded from real servers.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Final

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
)
from redcap_dagster.project.xml.writer import write_odm
from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_table
from redcap_dagster.sandbox.calls.log import write_log
from redcap_dagster.sandbox.calls.required_rights import require_export_right
from redcap_dagster.sandbox.people.data_access_groups import load_groups
from redcap_dagster.sandbox.protocol.formats import CONTENT_TYPES, Table
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError
from redcap_dagster.sandbox.protocol.version import parse_version
from redcap_dagster.sandbox.records.labels import (
    Labels,
    build_cell_labels,
    build_column_labels,
    build_event_labels,
)
from redcap_dagster.sandbox.records.layout import Layout, RowKind, build_layout, hides_record_id
from redcap_dagster.sandbox.records.project_xml import build_data_points
from redcap_dagster.sandbox.records.selection import (
    RecordArm,
    make_record_arm_reader,
    make_row_sort_key,
    select_rows,
)
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.store.store import StoredProject

_DELIMITERS: Final = {",": ",", "tab": "\t", "\t": "\t", ";": ";", "|": "|", "^": "^"}
_NO_HEADER_SINCE: Final = (17, 4, 1)
# A server of 2022 sends file names, older ones send this text (since when is a guess).
_FILE_NAMES_SINCE: Final = (12, 0, 0)
_FILE: Final = "[document]"
_DECIMAL: Final = re.compile(r"-?[0-9]*[.,][0-9]+")

Cell = str | int


def export_records(call: Call) -> Response:
    """Handle ``content=record``, ``action=export``."""
    if call.parameters.get_flag("combineCheckboxOptions"):
        # Documented in two ways, and no response with it is known.
        raise RequestError(
            400, "This sandbox does not know what combineCheckboxOptions does. Omit it."
        )
    if (
        call.parameters.get_flag("exportDataAccessGroups")
        and call.store.dialect.access_groups == "refused"
    ):
        require_export_right(call, "data_access_groups")
    kind = call.parameters.get_choice("type", ("flat", "eav"), "flat")
    format_ = call.parameters.get_text("format", "xml")
    if format_ == "odm":
        # That the XML has the structure as well is a guess.
        xml = write_odm(call.project.structure, build_data_points(call), with_files=False)
        response = Response(xml, CONTENT_TYPES["xml"])
    else:
        response = respond_with_table(
            call, {"flat": build_flat_table, "eav": build_eav_table}[kind](call)
        )
    coding = call.parameters.get_text("rawOrLabel", "raw")
    details = f"export_format: {format_.upper()}, rawOrLabel: {coding}"
    # The blank at the end is as recorded.
    write_log(
        call.store, call.project, "export", call.store.dialect.say("Data export (API) "), details
    )
    return response


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {("record", "export"): export_records}


def read_delimiter(parameters: Parameters, default: str = ",") -> str:
    """Return the delimiter of CSV that a request names. Defaults to a comma.

    Raises:
        RequestError: REDCap does not have it.
    """
    return _DELIMITERS[parameters.get_choice("csvDelimiter", tuple(_DELIMITERS), default)]


# -- flat -----------------------------------------------------------------------------------------


def build_flat_table(call: Call) -> Table:
    """Return one row per record, event and instance, with a column per field.

    Raises:
        RequestError: A parameter has an invalid value.
    """
    structure, parameters = call.project.structure, call.parameters
    delimiter = read_delimiter(parameters, call.store.dialect.delimiter)
    headers = parameters.get_choice("rawOrLabelHeaders", ("raw", "label"), "raw")
    layout = build_layout(call.project, parameters)
    rows = _build_rows(call, layout)
    if not rows and parse_version(structure.version) >= _NO_HEADER_SINCE:
        return Table((), ())
    header = layout.header
    for name, write in make_writers(call).items():
        if name in header:
            position = header.index(name)
            for row in rows:
                row[position] = write(str(row[position]))
    if headers == "label" and call.format == "csv":
        header = build_column_labels(structure, header)
    return _drop_repeat_columns(call, layout.header, Table(header, rows, delimiter=delimiter))


def _drop_repeat_columns(call: Call, names: Sequence[str], table: Table) -> Table:
    """Return a table as servers write it that omit the repeat columns where no row repeats."""
    if call.store.dialect.repeat_columns == "always" or REPEAT_INSTANCE not in names:
        return table
    if any(row[names.index(REPEAT_INSTANCE)] != "" for row in table.rows):
        return table
    kept = [name not in (REPEAT_INSTRUMENT, REPEAT_INSTANCE) for name in names]
    rows = [tuple(compress(row, kept)) for row in table.rows]
    return replace(table, columns=tuple(compress(table.columns, kept)), rows=rows)


def _build_rows(call: Call, layout: Layout) -> list[list[Cell]]:
    structure, store = call.project.structure, call.store
    sort_key, get_record_arm = make_row_sort_key(structure), make_record_arm_reader(structure)
    kinds: dict[tuple[str, str], RowKind | None] = {}
    filled: dict[int, tuple[list[Cell], Mapping[str, int]]] = {}
    placed: list[tuple[RowKey, list[Cell]]] = []
    skipped: dict[RecordArm, RowKey] = {}
    for number, row_key in select_rows(call):
        kind_key = (row_key.event, row_key.instrument)
        if kind_key not in kinds:
            kinds[kind_key] = layout.get_row_kind(*kind_key)
        kind = kinds[kind_key]
        if kind is None:
            first = skipped.get(get_record_arm(row_key), row_key)
            skipped[get_record_arm(row_key)] = min(first, row_key, key=sort_key)
        else:
            cells = list(kind.blank)
            placed.append((row_key, cells))
            filled[number] = (cells, kind.slots)
    if layout.keys:
        # A record of which only instances of other instruments are stored is listed too (guess).
        for missing in skipped.keys() - {get_record_arm(row_key) for row_key, _ in placed}:
            row_key = replace(skipped[missing], instrument="", instance=0)
            if kind := layout.get_row_kind(row_key.event, ""):
                placed.append((row_key, list(kind.blank)))
    for number, name, value in _select_values(call, layout):
        if number in filled:
            cells, slots = filled[number]
            if name in slots:
                cells[slots[name]] = value
    placed.sort(key=lambda each: sort_key(each[0]))
    if layout.keys:
        groups, write_id = store.list_access_groups(call.project), _make_id_writer(call.project)
        for row_key, cells in placed:
            known = {
                structure.record_id_field: write_id(row_key.record),
                EVENT_NAME: row_key.event,
                REPEAT_INSTRUMENT: row_key.instrument,
                REPEAT_INSTANCE: row_key.instance or "",
                ACCESS_GROUP: groups.get(get_record_arm(row_key), ""),
            }
            cells[: len(layout.keys)] = [known[name] for name in layout.keys]
    return [cells for _, cells in placed]


def _select_values(call: Call, layout: Layout) -> Iterator[tuple[int, str, str]]:
    records = call.parameters.get_list("records")
    return call.store.find_values(call.project, records, (), layout.header)


def _make_id_writer(project: StoredProject) -> Callable[[str], str]:
    """Return what writes record ids for the user; that a hash is MD5 is a guess by its length."""
    if not hides_record_id(project):
        return lambda record: record
    return lambda record: hashlib.md5(
        f"{project.id}:{record}".encode(), usedforsecurity=False
    ).hexdigest()


# -- cells ----------------------------------------------------------------------------------------


def make_writers(call: Call) -> dict[str, Callable[[str], str]]:
    """Return a function by column, for the columns whose values are not written as stored.

    Raises:
        RequestError: A parameter has an invalid value.
    """
    structure, parameters = call.project.structure, call.parameters
    writers: dict[str, Callable[[str], str]] = {}
    if parameters.get_choice("rawOrLabel", ("raw", "label"), "raw") == "label":
        labels = build_cell_labels(structure, parameters.get_flag("exportCheckboxLabel"))
        groups = load_groups(call.store, call.project).values()
        labels[ACCESS_GROUP] = {group.name: group.label for group in groups}
        writers |= {name: _make_label_writer(own) for name, own in labels.items() if own}
    if parse_version(structure.version) < _FILE_NAMES_SINCE:
        files = (field.field_name for field in structure.fields if field.field_type == "file")
        writers |= {name: lambda value: value and _FILE for name in files}
    if decimal_mark := parameters.get_text("decimalCharacter"):
        parameters.get_choice("decimalCharacter", (".", ","), decimal_mark)
        writers |= {
            name: _make_decimal_writer(decimal_mark) for name in _list_decimal_fields(structure)
        }
    return writers


def _make_label_writer(labels: Labels) -> Callable[[str], str]:
    return lambda value: labels.get(value, value)


def _list_decimal_fields(structure: REDCapProject) -> Iterator[str]:
    for field in structure.fields:
        if field.field_type == "calc" or field.validation.startswith("number"):
            yield field.field_name


def _make_decimal_writer(mark: str) -> Callable[[str], str]:
    def write(value: str) -> str:
        return re.sub("[.,]", mark, value) if _DECIMAL.fullmatch(value) else value

    return write


# -- single values --------------------------------------------------------------------------------


def build_eav_table(call: Call) -> Table:
    """Return one row per value that is not blank; a checkbox has one per ticked option.

    Values are in the order of the dictionary; a server has the order of its database. A file is
    its name; a server has a number instead.

    Raises:
        RequestError: A parameter has an invalid value.
    """
    structure, parameters = call.project.structure, call.parameters
    delimiter = read_delimiter(parameters, call.store.dialect.delimiter)
    layout, write_id = build_layout(call.project, parameters), _make_id_writer(call.project)
    labeled = parameters.get_choice("rawOrLabel", ("raw", "label"), "raw") == "label"
    columns, writers = index_columns(structure), make_writers(call)
    events = build_event_labels(structure) if labeled else {}
    values: dict[int, dict[str, str]] = {}
    for number, name, value in _select_values(call, layout):
        values.setdefault(number, {})[name] = value
    header = (
        "record",
        *(EVENT_NAME,) * structure.is_longitudinal,
        *(REPEAT_INSTRUMENT, REPEAT_INSTANCE) * structure.has_repeating,
        *("field_name", "value"),
    )
    rows: list[tuple[Cell, ...]] = []
    sort_key = make_row_sort_key(structure)
    for number, row_key in sorted(select_rows(call), key=lambda row: sort_key(row[1])):
        kind = layout.get_row_kind(row_key.event, row_key.instrument)
        if kind is None:
            continue
        key: tuple[Cell, ...] = (
            write_id(row_key.record),
            *(events.get(row_key.event, row_key.event),) * structure.is_longitudinal,
            *(row_key.instrument, row_key.instance or "") * structure.has_repeating,
        )
        if layout.keys and not row_key.instance:
            rows.append((*key, structure.record_id_field, write_id(row_key.record)))
        own = values.get(number, {})
        for name in kind.slots:
            if (value := own.get(name, "")) == "":
                continue
            column = columns.get(name)
            if column is not None and column.choice is not None:
                choice = column.choice
                shown = choice.label if labeled else choice.code
                rows.append((*key, column.field.field_name, shown))
            else:
                write = writers.get(name)
                rows.append((*key, name, write(value) if write else value))
    return _drop_repeat_columns(call, header, Table(header, rows, delimiter=delimiter))
