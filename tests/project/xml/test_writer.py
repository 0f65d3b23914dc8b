"""Project XML that is written is read again."""

import re

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.xml.reader import DataPoint, EmbeddedFile, parse_odm
from redcap_dagster.project.xml.writer import write_odm
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "a"),
        field("note", "a", label="<b>Say</b> & \r\n\tmore"),
        field("race", "a", type="checkbox", choices="-1, A | b.2, B | XY, C"),
        field("none", "a", type="checkbox"),
        field("sex", "a", type="radio", choices="1, A | 1, B | 2, "),
        field("scan", "b", type="file"),
    ],
    info={"missing_data_codes": "NI, No information"},
    repeating=[{"form_name": "b", "custom_form_label": "[scan]"}],
)


def test_text_codes_and_files_come_back() -> None:
    text = "<a> & \"b\" 'c'\r\n\tﬁ 😀 \u202e=1+1"
    points = (
        DataPoint("1", "", "", 0, "id", "1"),
        DataPoint("1", "", "", 0, "note", text),
        DataPoint("1", "", "", 0, "race", "-1"),
        DataPoint("1", "", "", 0, "race", "b.2"),
        DataPoint("1", "", "", 0, "race", "XY"),
        DataPoint("1", "", "", 0, "race", "NI"),
        DataPoint("1", "", "b", 3, "scan", "é.bin", EmbeddedFile("é.bin", "a/b", b"\0\xff")),
        DataPoint("1", "", "b", 4, "b_complete", "0"),
        DataPoint("2", "", "", 0, "id", "2"),
    )
    odm = parse_odm(write_odm(PROJECT, points, with_files=True))
    assert odm.points == points
    assert odm.project.fields == PROJECT.fields
    assert odm.project.repeating == PROJECT.repeating
    written = write_odm(PROJECT, points, with_files=True).decode()
    groups = set(re.findall('<ItemGroupData ItemGroupOID="(.*?)"', written))
    assert groups <= set(re.findall('<ItemGroupDef OID="(.*?)"', written))
    blank = parse_odm(write_odm(PROJECT, points, with_files=False)).points
    assert blank == tuple(point for point in points if point.file is None)


def test_what_xml_cannot_hold_is_marked() -> None:
    point = DataPoint("1", "", "", 0, "note", "a\x01b\ud800c")
    (again,) = parse_odm(write_odm(PROJECT, [point], with_files=False)).points
    assert again.value == "a\ufffdb\ufffdc"
