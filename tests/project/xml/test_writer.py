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


LONGITUDINAL = REDCapProject.from_exports(
    metadata=[
        field("id", "base", label="Study id"),
        field("seen", validation="date_dmy", minimum="2020-01-01", maximum="today", note="by us"),
        field("pain", type="slider", choices="none | some | much", required_field="y"),
        field("total", type="calc", choices="[pain] * 2", branching_logic="[pain] > 0"),
        field("dose", "drug", identifier="y", field_annotation="@HIDDEN", section_header="Drugs"),
    ],
    info={"project_title": "Trial", "is_longitudinal": 1},
    events=[
        {"event_name": "Start", "arm_num": 1, "unique_event_name": "start_arm_1"},
        {"event_name": "Later", "arm_num": 1, "unique_event_name": "later_arm_1"},
        {"event_name": "Start", "arm_num": 2, "unique_event_name": "start_arm_2"},
    ],
    arms=[{"arm_num": 1, "name": "One"}, {"arm_num": 2, "name": "Two"}],
    form_event_mapping=[
        {"arm_num": 1, "unique_event_name": "start_arm_1", "form": "base"},
        {"arm_num": 1, "unique_event_name": "start_arm_1", "form": "drug"},
        {"arm_num": 1, "unique_event_name": "later_arm_1", "form": "visit"},
        {"arm_num": 2, "unique_event_name": "start_arm_2", "form": "base"},
    ],
    repeating=[
        {"event_name": "later_arm_1", "form_name": ""},
        {"event_name": "start_arm_1", "form_name": "drug", "custom_form_label": "[dose]"},
    ],
)


def test_events_repeats_and_kinds_of_fields_come_back() -> None:
    points = (
        DataPoint("1", "start_arm_1", "", 0, "id", "1"),
        DataPoint("1", "start_arm_1", "drug", 2, "dose", "5"),
        DataPoint("1", "later_arm_1", "", 3, "pain", "50"),
        DataPoint("1", "start_arm_2", "", 0, "id", "1"),
    )
    odm = parse_odm(write_odm(LONGITUDINAL, points, with_files=False))
    assert odm.points == points
    assert odm.project.fields == LONGITUDINAL.fields
    assert odm.project.form_events == LONGITUDINAL.form_events
    assert set(odm.project.repeating) == set(LONGITUDINAL.repeating)
    assert [
        (event.unique_event_name, event.event_name, event.arm_num) for event in odm.project.events
    ] == [
        ("start_arm_1", "Start", 1),
        ("later_arm_1", "Later", 1),
        ("start_arm_2", "Start", 2),
    ]
    assert odm.project.is_longitudinal
