"""A project and its records -> project XML (CDISC ODM 1.3.1), as REDCap writes it.

The reverse of `redcap_dagster.project.xml.reader`. The format does not hold the minimum and maximum
of sliders, the query of sql fields, the names of access groups and the ids of events. The times at
which a server writes its file are left out.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, tostring

from redcap_dagster.project.model import REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    SURVEY_IDENTIFIER,
    status_column,
    timestamp_column,
)
from redcap_dagster.project.xml.reader import DataPoint
from redcap_dagster.project.xml.structure_writer import option_items, write_study

_NAMESPACES = {
    "xmlns": "http://www.cdisc.org/ns/odm/v1.3",
    "xmlns:redcap": "https://projectredcap.org",
}
# XML cannot hold these characters, not even as a reference.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_odm(
    project: REDCapProject,
    points: Iterable[DataPoint],
    *,
    with_files: bool,
    quality_rules: Iterable[Mapping[str, str]] = (),
) -> bytes:
    """Return a project and its records as project XML.

    Args:
        project: Structure of the project.
        points: Data points, those of each record, event and instance together.
        with_files: Whether files are embedded; if not, their fields are blank (a guess).
        quality_rules: Attributes of each data quality rule, by their names in the XML. Defaults to
            none.

    Returns:
        The XML in UTF-8. Characters that XML cannot hold are U+FFFD.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "visit"}])
        >>> from redcap_dagster.project.xml.reader import parse_odm
        >>> point = DataPoint("1", "", "", 0, "visit_complete", "2")
        >>> parse_odm(write_odm(project, [point], with_files=False)).points == (point,)
        True
    """
    points = tuple(points)
    groups = sorted({point.value for point in points if point.field_name == ACCESS_GROUP})
    root = Element(
        "ODM",
        {
            **_NAMESPACES,
            "ODMVersion": "1.3.1",
            "FileOID": "000-00-0000",
            "FileType": "Snapshot",
            "Description": project.info.project_title,
            "SourceSystem": "REDCap",
            "SourceSystemVersion": project.version,
        },
    )
    groups_of_items = write_study(root, project, groups, quality_rules)
    data = SubElement(root, "ClinicalData", {"StudyOID": "Project", "MetaDataVersionOID": "M"})
    oids = {
        (field.field_name, choice.code): oid
        for field in project.fields
        if field.field_type == "checkbox"
        for oid, choice in option_items(project, field)
    }
    forms = _map_fields(project)
    for (record, event), subject in groupby(points, lambda point: (point.record, point.event)):
        if not len(data) or data[-1].get("SubjectKey") != record:
            id_field = {"redcap:RecordIdField": project.record_id_field}
            SubElement(data, "SubjectData", {"SubjectKey": record, **id_field})
        for place, own in groupby(subject, lambda p: (p.repeat_instrument, p.repeat_instance)):
            at = _write_event(data[-1], event, *place)
            instance = str(place[1]) if place[0] else "1"
            for form, items in groupby(own, lambda p: p.repeat_instrument or forms[p.field_name]):
                written = {"FormOID": f"Form.{form}", "FormRepeatKey": instance}
                _write_items(
                    SubElement(at, "FormData", written), items, oids, groups_of_items, with_files
                )
    text = _UNWRITABLE.sub("\ufffd", tostring(root, encoding="unicode"))
    # Carriage returns in attributes are references already; parsers make newlines of bare ones.
    return ('<?xml version="1.0" encoding="UTF-8" ?>\n' + text.replace("\r", "&#13;")).encode()


# -- records --------------------------------------------------------------------------------------


def _map_fields(project: REDCapProject) -> Mapping[str, str]:
    first = project.fields[0].form_name
    forms = {ACCESS_GROUP: first, SURVEY_IDENTIFIER: first}
    for form in project.instruments:
        name = form.instrument_name
        forms |= {timestamp_column(name): name, status_column(name): name}
    return forms | {field.field_name: field.form_name for field in project.fields}


def _write_event(subject: Element, event: str, instrument: str, instance: int) -> Element:
    """Return the element of a record's event; the record's element in a classic project."""
    if not event:
        return subject
    key = str(instance or 1) if not instrument else "1"
    own = {"StudyEventOID": f"Event.{event}", "StudyEventRepeatKey": key}
    if len(subject) and own.items() <= subject[-1].attrib.items():
        return subject[-1]
    return SubElement(subject, "StudyEventData", {**own, "redcap:UniqueEventName": event})


def _write_items(
    form: Element,
    points: Iterable[DataPoint],
    oids: Mapping[tuple[str, str], str],
    groups: Mapping[str, str],
    with_files: bool,
) -> None:
    group: Element | None = None
    for point in points:
        option = oids.get((point.field_name, point.value))
        oid = option or point.field_name
        own = groups.get(oid, form.attrib["FormOID"])
        if group is None or group.get("ItemGroupOID") != own:
            key = {"ItemGroupOID": own, "ItemGroupRepeatKey": "1"}
            group = SubElement(form, "ItemGroupData", key)
        if point.file is None:
            written = {"ItemOID": oid, "Value": "1" if option else point.value}
            SubElement(group, "ItemData", written)
        elif with_files:
            file = {"redcap:DocName": point.file.name, "redcap:MimeType": point.file.mime_type}
            item = SubElement(group, "ItemDataBase64Binary", {"ItemOID": oid, **file})
            item.text = b64encode(point.file.content).decode()
