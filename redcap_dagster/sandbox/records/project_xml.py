"""The export of a whole project as XML: its structure, and the records that the user may see."""

from collections.abc import Iterator, Mapping
from typing import Final

from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.project.xml.reader import DataPoint
from redcap_dagster.project.xml.writer import write_odm
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply
from redcap_dagster.sandbox.calls.log import log_manage
from redcap_dagster.sandbox.protocol.formats import CONTENT_TYPES
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.files import files_of
from redcap_dagster.sandbox.records.layout import hides_record_id, layout_of
from redcap_dagster.sandbox.records.selection import record_order, selected_rows, subject_of
from redcap_dagster.sandbox.store.loading import columns_of
from redcap_dagster.sandbox.store.store import Place


def export_project_xml(call: Call) -> Reply:
    """Answer ``content=project_xml``. That the log says this of it is a guess."""
    points = () if call.parameters.flag("returnMetadataOnly") else tuple(record_points(call))
    with_files = call.parameters.flag("exportFiles")
    xml = write_odm(call.project.structure, points, with_files=with_files)
    log_manage(call, "Export project XML (API)")
    return Reply(xml, CONTENT_TYPES["xml"])


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {("project_xml", "export"): export_project_xml}


def record_points(call: Call) -> Iterator[DataPoint]:
    """The values by record, event and instance.

    Each row begins with its record id, so that one in which nothing else is stored is not lost;
    which rows of a server have it is a guess.
    """
    structure = call.project.structure
    if hides_record_id(call.project):
        raise RequestError(400, "This sandbox writes no project XML with hashed record ids.")
    layout, columns = layout_of(call.project, call.parameters), columns_of(structure)
    groups, subject = call.store.access_groups(call.project), subject_of(structure)
    files = files_of(call.store, call.project)
    events = {row.unique_event_name: number for number, row in enumerate(structure.events)}
    values: dict[int, dict[str, str]] = {}
    records = call.parameters.array("records")
    for row, name, value in call.store.values(call.project, records, (), layout.header):
        values.setdefault(row, {})[name] = value

    def order(found: tuple[int, Place]) -> tuple[object, ...]:
        place = found[1]
        event = events.get(place.event, 0)
        return record_order(place.record), event, place.instrument, place.instance

    for row, place in sorted(selected_rows(call), key=order):
        kind = layout.kind(place.event, place.instrument)
        if kind is None:
            continue
        at = (place.record, place.event, place.instrument, place.instance)
        yield DataPoint(*at, structure.record_id_field, place.record)
        if ACCESS_GROUP in layout.keys and (group := groups.get(subject(place))):
            yield DataPoint(*at, ACCESS_GROUP, group)
        stored = values.get(row, {})
        for name in kind.slots:
            if (value := stored.get(name, "")) == "":
                continue
            column = columns.get(name)
            if column is not None and column.choice is not None:
                yield DataPoint(*at, column.field.field_name, column.choice.code)
            else:
                yield DataPoint(*at, name, value, files.get((row, name)))
