"""Project XML: what is wrong with files that are none, and what must survive."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from redcap_dagster.project import from_xml
from redcap_dagster.project.xml import reader
from redcap_dagster.project.xml.reader import EmbeddedFile, parse_odm


def test_a_repeat_key_that_is_none_is_not_shown() -> None:
    spoilt = (
        MINIMAL.replace("<SubjectData", "<Skip/><SubjectData")
        .replace('FormOID="Form.f"', 'FormOID="Form.f" FormRepeatKey="Xanthippe"')
        .replace(
            "<MetaDataVersion",
            '<GlobalVariables><redcap:RepeatingInstrument redcap:UniqueEventName="event_1_arm_1"'
            ' redcap:RepeatInstrument="f"/></GlobalVariables><MetaDataVersion',
        )
    )
    with pytest.raises(ValueError, match="FormRepeatKey is not a number") as caught:
        parse_odm(spoilt.encode())
    assert "Xanthippe" not in str(caught.value)


MINIMAL = """<?xml version="1.0" encoding="UTF-8"?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:redcap="https://projectredcap.org"
 SourceSystemVersion="14.7.3"><Study OID="P"><MetaDataVersion OID="M" Name="n">
<FormDef OID="Form.f" Name="F" redcap:FormName="f"><ItemGroupRef ItemGroupOID="f.id"/></FormDef>
<ItemGroupDef OID="f.id" Name="F"><ItemRef ItemOID="id"/><ItemRef ItemOID="note"/></ItemGroupDef>
<ItemDef OID="id" Name="id" redcap:Variable="id" redcap:FieldType="text"/>
<ItemDef OID="note" redcap:Variable="note" redcap:FieldType="textarea" redcap:FieldNote="a
\tb"><Question><TranslatedText>say ="quoted
too"</TranslatedText></Question></ItemDef>
</MetaDataVersion></Study><ClinicalData><SubjectData SubjectKey="1"><FormData FormOID="Form.f">
<ItemData ItemOID="note" Value="one
two\tthree&#13;&gt;4"/></FormData></SubjectData></ClinicalData></ODM>
"""


def test_newlines_and_tabs_in_attributes_survive() -> None:
    odm = parse_odm(MINIMAL.encode())
    assert odm.points[0].value == "one\ntwo\tthree\r>4"
    assert odm.project.fields[1].field_note == "a\n\tb"
    assert odm.project.fields[1].field_label == 'say ="quoted\ntoo"'


def test_nothing_of_the_contents_is_shown() -> None:
    assert "three" not in repr(parse_odm(MINIMAL.encode()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html><body>Please log in</body></html>", "not have a Study"),
        (b"not XML at all", "line 1"),
        (MINIMAL.replace("ItemOID=", "Item=").encode(), "attribute Item"),
        (MINIMAL.encode("latin-1") + b"\xe9", "UTF-8"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
    ],
)
def test_files_that_are_no_project(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "project.xml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"project.xml.*{message}"):
        from_xml(path)


FILE = (
    '<ItemDataBase64Binary ItemOID="note" redcap:DocName="a.txt" redcap:MimeType="text/plain">'
    "<![CDATA[{}]]></ItemDataBase64Binary>"
)


def test_records_before_their_structure_are_refused() -> None:
    structure = MINIMAL[MINIMAL.index("<Study ") : MINIMAL.index("<ClinicalData>")]
    turned = MINIMAL.replace(structure, "").replace("</ODM>", f"{structure}</ODM>")
    with pytest.raises(ValueError, match="the records come before the structure"):
        parse_odm(turned.encode())


@pytest.mark.parametrize("study", ["", '<Study OID="Project.x"/>'])
def test_records_without_a_structure_are_refused(study: str) -> None:
    structure = MINIMAL[MINIMAL.index("<Study ") : MINIMAL.index("<ClinicalData>")]
    with pytest.raises(ValueError, match=r"it has records, but not the structure .* data alone"):
        parse_odm(MINIMAL.replace(structure, study).encode())


@pytest.mark.parametrize(("content", "read"), [("aGVsbG8=", b"hello"), ("aGVsb", None)])
def test_an_embedded_file_is_base64(content: str, read: bytes | None) -> None:
    start, end = MINIMAL.index("<ItemData "), MINIMAL.index("</FormData>")
    xml = f"{MINIMAL[:start]}{FILE.format(content)}{MINIMAL[end:]}".encode()
    if read is None:
        with pytest.raises(ValueError, match="an embedded file is not base64"):
            parse_odm(xml)
    else:
        (point,) = parse_odm(xml).points
        assert point.file == EmbeddedFile("a.txt", "text/plain", read)
        assert repr(point) == "DataPoint(note)"


@pytest.mark.parametrize("start", ["<!--", "<![CDATA[", "<!-- <![CDATA[ ", "<![CDATA[ <!-- "])
@pytest.mark.parametrize("times", [1, 10, 1000])
def test_what_never_ends_is_searched_once(start: str, times: int) -> None:
    text = f"{start}a='\t'" * times

    # One match up to the end; a search from each beginning would be as many searches to the end.
    assert [match.span() for match in reader._ATTRIBUTE.finditer(text)] == [(0, len(text))]
    with pytest.raises(ValueError, match="not well-formed XML"):
        parse_odm(f"<ODM>{text}".encode())


def nest_forms(size: int) -> str:
    """Return a project XML whose record has forms within forms."""
    form = MINIMAL[MINIMAL.index("<FormData") : MINIMAL.index(">", MINIMAL.index("<FormData")) + 1]
    return MINIMAL.replace(form, form * size, 1).replace("</FormData>", "</FormData>" * size, 1)


def share_a_section(size: int) -> str:
    """Return a project XML with many instruments that all have the same long section."""
    form = MINIMAL[MINIMAL.index("<FormDef") : MINIMAL.index("</FormDef>") + len("</FormDef>")]
    item = '<ItemRef ItemOID="id"/>'
    return MINIMAL.replace(form, form * size, 1).replace(item, item * size, 1)


def count_calls(act: Callable[[], object]) -> int:
    """Return the number of Python and C functions that are called."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("write", [nest_forms, share_a_section])
def test_the_work_grows_with_the_file_alone(write: Callable[[int], str]) -> None:
    small, large = (count_calls(partial(parse_odm, write(size).encode())) for size in (50, 200))

    assert large < 5 * small
