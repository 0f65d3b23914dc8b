"""The export of a project as XML: its structure, its rules and the records of the user."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.project.xml.reader import DataPoint
from redcap_dagster.project.xml.writer import write_odm
from redcap_dagster.sandbox.calls.call import Call, Handler, Response
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.protocol.formats import CONTENT_TYPES
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.files import load_files
from redcap_dagster.sandbox.records.layout import build_layout, hides_record_id
from redcap_dagster.sandbox.records.selection import (
    make_record_arm_reader,
    make_record_sort_key,
    select_rows,
)
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.store.store import Store, StoredProject

_RULES: Final = """
create table if not exists quality_rule (
    id integer primary key, project integer not null references project on delete cascade,
    attributes text not null
)
"""


def export_project_xml(call: Call) -> Response:
    """Handle ``content=project_xml``; the text of the log is a guess."""
    points = (
        () if call.parameters.get_flag("returnMetadataOnly") else tuple(build_data_points(call))
    )
    with_files = call.parameters.get_flag("exportFiles")
    rules = _list_quality_rules(call.store, call.project)
    xml = write_odm(call.project.structure, points, with_files=with_files, quality_rules=rules)
    log_management(call, "Export project XML (API)")
    return Response(xml, CONTENT_TYPES["xml"])


def add_quality_rules(
    store: Store, project: StoredProject, rules: Iterable[Mapping[str, str]]
) -> None:
    """Add the data quality rules of a project XML, by its attributes."""
    with store.lock, store.connection as database:
        database.execute(_RULES)
        database.executemany(
            "insert into quality_rule (project, attributes) values (?, ?)",
            [(project.id, json.dumps(dict(rule))) for rule in rules],
        )


def _list_quality_rules(store: Store, project: StoredProject) -> list[Mapping[str, str]]:
    store.connection.execute(_RULES)
    found = store.connection.execute(
        "select attributes from quality_rule where project = ? order by id", (project.id,)
    )
    return [json.loads(attributes) for (attributes,) in found]


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {("project_xml", "export"): export_project_xml}


def build_data_points(call: Call) -> Iterator[DataPoint]:
    """Yield the data points of the requested rows, by record, event and instance.

    Each row begins with its record id, so that rows without values are included; which rows of a
    server begin with it is a guess.

    Raises:
        RequestError: The user only sees hashed record ids.
    """
    structure = call.project.structure
    if hides_record_id(call.project):
        raise RequestError(400, "This sandbox writes no project XML with hashed record ids.")
    layout, columns = build_layout(call.project, call.parameters), index_columns(structure)
    groups, get_record_arm = (
        call.store.list_access_groups(call.project),
        make_record_arm_reader(structure),
    )
    files = load_files(call.store, call.project)
    events = {row.unique_event_name: number for number, row in enumerate(structure.events)}
    values: dict[int, dict[str, str]] = {}
    records = call.parameters.get_list("records")
    for row, name, value in call.store.find_values(call.project, records, (), layout.header):
        values.setdefault(row, {})[name] = value

    def get_sort_key(found: tuple[int, RowKey]) -> tuple[object, ...]:
        row_key = found[1]
        event = events.get(row_key.event, 0)
        return make_record_sort_key(row_key.record), event, row_key.instrument, row_key.instance

    for row, row_key in sorted(select_rows(call), key=get_sort_key):
        kind = layout.get_row_kind(row_key.event, row_key.instrument)
        if kind is None:
            continue
        key = (row_key.record, row_key.event, row_key.instrument, row_key.instance)
        yield DataPoint(*key, structure.record_id_field, row_key.record)
        if ACCESS_GROUP in layout.keys and (group := groups.get(get_record_arm(row_key))):
            yield DataPoint(*key, ACCESS_GROUP, group)
        to_stored_value = values.get(row, {})
        for name in kind.slots:
            if (value := to_stored_value.get(name, "")) == "":
                continue
            column = columns.get(name)
            if column is not None and column.choice is not None:
                yield DataPoint(*key, column.field.field_name, column.choice.code)
            else:
                yield DataPoint(*key, name, value, files.get((row, name)))
