"""Project XML (CDISC ODM 1.3.1 as REDCap writes it) into a project and its records.

Facts come from files of servers 8.1 to 15.2. Quirks that are tolerated: items without a field type
(access group, survey columns; some come twice under one OID), the type names ``textarea`` and
``select``, the validations ``int`` and ``float``, files embedded in the data, and newlines and tabs
written as they are inside attribute values. Lost by the format itself: a slider's minimum and
maximum, and the spacing inside choice lists.
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

# Left to right, so that CDATA and comments are skipped whole and keep their bytes.
_ATTRIBUTE = re.compile(r"""<!\[CDATA\[.*?\]\]>|<!--.*?-->|=\s*(?:"[^"<]*"|'[^'<]*')""", re.DOTALL)
_BLANK = re.compile(r"[\t\n\r]")


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file kept in a file or signature field."""

    name: str
    mime_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataPoint:
    """One stored value, placed as REDCap places it.

    A ticked checkbox option is a point of its field with the option's code as value; unticked ones
    are no points. The access group and the survey columns are points of their pseudo fields.

    Attributes:
        event: The unique event name; blank if classic.
        repeat_instrument: The repeating form, blank for none and for repeating events.
        repeat_instance: The number of the instance; 0 if neither form nor event repeats.
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
    """What a project XML holds."""

    project: REDCapProject
    points: tuple[DataPoint, ...] = field(repr=False)


def from_xml(path: str | Path) -> REDCapProject:
    """Return the structure of a project from its XML, as REDCap exports it, without its records.

    Args:
        path: The file.

    Raises:
        ValueError: The file is not a REDCap project XML.
    """
    return read_odm(path).project


def read_odm(path: str | Path) -> OdmFile:
    """Read a project XML file: the project's structure and its records.

    Raises:
        ValueError: The file is no REDCap project XML; the text says what is wrong with it and
            holds nothing of its contents.
    """
    try:
        return parse_odm(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{Path(path).name}: {error}") from None


def parse_odm(content: bytes) -> OdmFile:
    """Read the bytes of a project XML; see `read_odm`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}; export the XML anew.") from None
    project: REDCapProject | None = None
    columns: Mapping[str, tuple[str, str]] = {}
    points: list[DataPoint] = []
    version = ""
    try:
        source = io.BytesIO(_escape_attributes(text).encode())
        for happened, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
            if happened == "start":
                if element.tag == f"{ODM}ODM":
                    version = element.get("SourceSystemVersion", "")
            elif element.tag == f"{ODM}Study":
                project, columns = read_study(element, version)
                element.clear()
            elif element.tag == f"{ODM}SubjectData":
                if project is None:
                    raise ValueError("its records stand before its structure.")
                points.extend(_read_subject(element, project, columns))
                element.clear()
    except ParseError as error:
        line, column = error.position
        raise ValueError(f"not well-formed XML at line {line}, column {column}.") from None
    except DefusedXmlException:
        raise ValueError("declares a document type or entities, as REDCap never does.") from None
    except KeyError as error:
        raise ValueError(f"an element lacks the attribute {_local(error.args[0])}.") from None
    except binascii.Error:
        raise ValueError("a file inside it is not base64.") from None
    if project is None:
        raise ValueError("not a REDCap project XML: it has no Study element.")
    return OdmFile(project, tuple(points))


def _escape_attributes(text: str) -> str:
    """Escape newlines and tabs inside attribute values, which a parser would turn into spaces.

    A stretch of text that only looks like an attribute may be met: there a character reference
    means the same character, so nothing changes.
    """

    def escape(match: re.Match[str]) -> str:
        found = match.group()
        if found.startswith("<"):
            return found
        return _BLANK.sub(lambda blank: f"&#{ord(blank.group())};", found)

    return _ATTRIBUTE.sub(escape, text)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


# -- records ------------------------------------------------------------------------------------


def _read_subject(
    subject: Element, project: REDCapProject, checkboxes: Mapping[str, tuple[str, str]]
) -> Iterator[DataPoint]:
    """Give the points of one record. Forms of a classic project stand in it without an event."""
    for child in subject:
        if child.tag == f"{ODM}StudyEventData" and project.is_longitudinal:
            event = child.attrib[f"{REDCAP}UniqueEventName"]
            event_instance = _repeat_key(child, "StudyEventRepeatKey")
        else:
            event, event_instance = "", 1
        for form in child.iter(f"{ODM}FormData"):
            name = form.attrib["FormOID"].removeprefix("Form.")
            if event in project.events_where_repeating(name):
                instrument, instance = name, _repeat_key(form, "FormRepeatKey")
            else:
                instrument = ""
                instance = event_instance if event in project.repeating_events else 0
            place = (subject.attrib["SubjectKey"], event, instrument, instance)
            for item in form.iter():
                yield from _read_item(item, place, checkboxes)


def _repeat_key(element: Element, name: str) -> int:
    text = element.get(name, "1")
    if not re.fullmatch("[0-9]+", text):
        raise ValueError(f"a {name} is no number.")
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
