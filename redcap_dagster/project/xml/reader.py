"""Project XML (CDISC ODM 1.3.1 as REDCap writes it) -> a project and its records.

Recorded from servers 8.1 to 15.2. Accepted peculiarities: items without a field type (access group,
survey columns; some twice with one OID), the types ``textarea`` and ``select``, the validations
``int`` and ``float``, embedded files, and newlines and tabs that are not escaped in attributes. The
format does not hold the minimum and maximum of sliders or the spacing of choice lists.
"""

import binascii
import io
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from redcap_dagster.project.model import REDCapProject
from redcap_dagster.project.xml.structure_reader import ODM, REDCAP, read_study

# CDATA and comments are matched first, so that nothing inside of them is changed. One that never
# ends is matched up to the end of the file, which is so searched once and not from each beginning.
_ATTRIBUTE = re.compile(
    r"""<!\[CDATA\[(?:.*?\]\]>|.*)|<!--(?:.*?-->|.*)|=\s*(?:"[^"<]*"|'[^'<]*')""", re.DOTALL
)
_BLANK = re.compile(r"[\t\n\r]")


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file in a file or signature field."""

    name: str
    mime_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataPoint:
    """One stored value and its place in the project.

    A ticked checkbox option is a data point of its field, with its code as value; an option that is
    not ticked does not have one. The access group and survey columns have data points of their own.

    Attributes:
        record: Record id.
        event: Unique event name; blank in a classic project.
        repeat_instrument: Repeating instrument; blank without one and in repeating events.
        repeat_instance: Number of the instance; 0 if neither instrument nor event repeats.
        field_name: Name of the field, or of REDCap's own column.
        value: Stored text; of a file, its name.
        file: Embedded file. Defaults to None.
    """

    record: str
    event: str
    repeat_instrument: str
    repeat_instance: int
    field_name: str
    value: str
    file: EmbeddedFile | None = None

    def __repr__(self) -> str:
        return f"DataPoint({self.field_name})"  # ids and values are health data


@dataclass(frozen=True)
class OdmFile:
    """The content of a project XML.

    Attributes:
        project: Structure of the project.
        points: Data points.
        roles: Attributes of each user role, by their names in the XML. Defaults to none.
        reports: Attributes of each report, likewise. Defaults to none.
        quality_rules: Attributes of each data quality rule, likewise. Defaults to none.
    """

    project: REDCapProject
    points: tuple[DataPoint, ...] = field(repr=False)
    roles: tuple[Mapping[str, str], ...] = ()
    reports: tuple[Mapping[str, str], ...] = ()
    quality_rules: tuple[Mapping[str, str], ...] = ()


def from_xml(path: str | Path) -> REDCapProject:
    """Return the structure of a project from its XML file, as REDCap exports it.

    Args:
        path: Path of the file; records in it are ignored.

    Raises:
        ValueError: The file is not a REDCap project XML.
    """
    return read_odm(path).project


def read_odm(path: str | Path) -> OdmFile:
    """Return the structure and the records of a project XML file.

    Args:
        path: Path of the file.

    Raises:
        ValueError: The file is not a REDCap project XML; the message does not show its content.
    """
    try:
        return parse_odm(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{Path(path).name}: {error}") from None


def parse_odm(content: bytes) -> OdmFile:
    """Return the structure and the records of a project XML; see `read_odm`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"not UTF-8 at byte {error.start}. It was probably edited: export the XML again."
        ) from None
    project: REDCapProject | None = None
    columns: Mapping[str, tuple[str, str]] = {}
    points: list[DataPoint] = []
    roles: tuple[Mapping[str, str], ...] = ()
    reports: tuple[Mapping[str, str], ...] = ()
    quality_rules: tuple[Mapping[str, str], ...] = ()
    version, has_records = "", False
    try:
        source = io.BytesIO(_escape_attributes(text).encode())
        for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                if element.tag == f"{ODM}ODM":
                    version = element.get("SourceSystemVersion", "")
            elif element.tag == f"{ODM}Study" and element.find(f".//{ODM}ItemDef") is not None:
                if has_records:
                    raise ValueError("the records come before the structure. Export the XML again.")
                project, columns = read_study(element, version)
                roles, reports, quality_rules = (
                    tuple(dict(row.attrib) for row in element.iter(f"{REDCAP}{name}"))
                    for name in ("UserRoles", "Reports", "DataQualityRules")
                )
                element.clear()
            elif element.tag == f"{ODM}SubjectData":
                has_records = True
                if project is not None:
                    points.extend(_read_subject(element, project, columns))
                element.clear()
    except ParseError as error:
        line, column = error.position
        raise ValueError(
            f"not well-formed XML at line {line}, column {column}. Export it again."
        ) from None
    except DefusedXmlException:
        raise ValueError(
            "it declares a document type or entities, which REDCap never does. Export the XML "
            "again."
        ) from None
    except KeyError as error:
        raise ValueError(
            f"an element lacks the attribute {_strip_namespace(error.args[0])}. It was probably "
            "edited: export the XML again."
        ) from None
    except binascii.Error:
        raise ValueError("an embedded file is not base64. Export the XML again.") from None
    if project is None:
        cause = (
            "it has records, but not the structure of their project. It is probably an export of "
            "records as CDISC ODM, which has the data alone"
            if has_records
            else "it does not have a Study element with fields"
        )
        raise ValueError(
            f"not a REDCap project XML: {cause}. Export the metadata and data of the project as "
            "XML in REDCap."
        )
    return OdmFile(project, tuple(points), roles, reports, quality_rules)


def _escape_attributes(text: str) -> str:
    """Return the XML with newlines and tabs of attributes escaped: parsers make spaces of them.

    Other text that looks like an attribute is escaped too, which does not change its meaning.
    """

    def escape(match: re.Match[str]) -> str:
        found = match.group()
        if found.startswith("<"):
            return found
        return _BLANK.sub(lambda blank: f"&#{ord(blank.group())};", found)

    return _ATTRIBUTE.sub(escape, text)


def _strip_namespace(name: str) -> str:
    return name.rpartition("}")[2]


# -- records ------------------------------------------------------------------------------------


def _read_subject(
    subject: Element, project: REDCapProject, checkboxes: Mapping[str, tuple[str, str]]
) -> Iterator[DataPoint]:
    """Yield the data points of a record; instruments of a classic project do not have an event."""
    for child in subject:
        if child.tag == f"{ODM}StudyEventData" and project.is_longitudinal:
            event = child.attrib[f"{REDCAP}UniqueEventName"]
            event_instance = _read_repeat_key(child, "StudyEventRepeatKey")
        else:
            event, event_instance = "", 1
        for form in [child] if child.tag == f"{ODM}FormData" else child.findall(f"{ODM}FormData"):
            name = form.attrib["FormOID"].removeprefix("Form.")
            if event in project.events_where_repeating(name):
                instrument, instance = name, _read_repeat_key(form, "FormRepeatKey")
            else:
                instrument = ""
                instance = event_instance if event in project.repeating_events else 0
            place = (subject.attrib["SubjectKey"], event, instrument, instance)
            for item in form.iter():
                yield from _read_item(item, place, checkboxes)


def _read_repeat_key(element: Element, name: str) -> int:
    text = element.get(name, "1")
    if not re.fullmatch("[0-9]+", text):
        raise ValueError(f"a {name} is not a number. Export the XML again.")
    return int(text)


def _read_item(
    item: Element, place: tuple[str, str, str, int], checkboxes: Mapping[str, tuple[str, str]]
) -> Iterator[DataPoint]:
    if item.tag == f"{ODM}ItemData":
        oid, value = item.attrib["ItemOID"], item.attrib["Value"]
        if oid not in checkboxes:
            yield DataPoint(*place, oid, value)
        elif value == "1":
            yield DataPoint(*place, *checkboxes[oid])
    elif item.tag == f"{ODM}ItemDataBase64Binary":
        name = item.attrib[f"{REDCAP}DocName"]
        content = b64decode("".join((item.text or "").split()))
        embedded = EmbeddedFile(name, item.get(f"{REDCAP}MimeType", ""), content)
        yield DataPoint(*place, item.attrib["ItemOID"], name, embedded)
