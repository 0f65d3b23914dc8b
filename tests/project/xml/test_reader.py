"""Project XML of real servers, and what is wrong with files that are none."""

import csv
from dataclasses import astuple, fields
from pathlib import Path

import pytest

from redcap_dagster.project import Field, from_xml
from redcap_dagster.project.xml.reader import parse_odm, read_odm

COLUMNS = [column.name for column in fields(Field)]

# What the format loses: spacing between choices, a slider's range, the query of an sql field.
LOST = {
    ("check_one", "select_choices_or_calculations"),
    ("check_two", "select_choices_or_calculations"),
    ("f_slider", "text_validation_min"),
    ("f_slider", "text_validation_max"),
    ("f_sql", "select_choices_or_calculations"),
}


def _dictionary(folder: Path) -> list[tuple[str, ...]]:
    (path,) = (*folder.glob("dictionary.csv"), *folder.glob("dictionay.csv"))
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def test_the_xml_gives_the_dictionary(fixtures: Path) -> None:
    different: set[tuple[str, str]] = set()
    compared = 0
    for folder in sorted((fixtures / "projects").iterdir()):
        if not list(folder.glob("diction*.csv")):
            continue
        # interpreter_needed was added to `simple` after its dictionary was downloaded
        ours = [
            field
            for field in from_xml(folder / "project.xml").fields
            if (folder.name, field.field_name) != ("simple", "interpreter_needed")
        ]
        theirs = _dictionary(folder)
        assert [field.field_name for field in ours] == [row[0] for row in theirs]
        for field, row in zip(ours, theirs, strict=True):
            for column, mine, given in zip(COLUMNS, astuple(field), row, strict=True):
                compared += 1
                if mine != given:
                    different.add((field.field_name, column))
    assert compared > 4_000
    assert different == LOST


def test_every_xml_of_a_real_server_is_read(fixtures: Path) -> None:
    paths = sorted(fixtures.glob("projects/*/project*.xml"))
    assert len(paths) == 17
    for path in paths:
        odm = read_odm(path)
        assert odm.project.instruments
        assert {point.event for point in odm.points} <= {
            "",
            *(event.unique_event_name for event in odm.project.events),
        }


def test_embedded_files(fixtures: Path) -> None:
    points = read_odm(fixtures / "projects/simple/project.xml").points
    files = [point.file for point in points if point.file is not None]
    assert [file.name for file in files][:2] == ["mugshot-1.jpg", "mugshot-2.jpg"]
    assert all(file.content.startswith(b"\xff\xd8") for file in files if "jpg" in file.name)


def test_repeats_stand_where_they_belong(fixtures: Path) -> None:
    points = read_odm(fixtures / "projects/repeating-events/project.xml").points
    places = {(p.event, p.repeat_instrument, p.repeat_instance > 0) for p in points}
    assert ("visit_arm_1", "", True) in places  # a repeating event
    assert ("home_visit_arm_1", "weight", True) in places  # a repeating form
    assert ("enrollment_arm_1", "", False) in places
    assert not any(event.startswith("enrollment") and repeats for event, _, repeats in places)


def test_settings_that_the_xml_holds(fixtures: Path) -> None:
    survey = from_xml(fixtures / "projects/vignette-repeating/project.xml")
    assert [row.custom_form_label for row in survey.repeating] == [
        "[sbp] / [dbp]",
        "[lab] @ [conc]",
        "",
    ]
    text = (fixtures / "projects/simple/project.xml").read_text()
    coded = text.replace("MissingDataCodes></", "MissingDataCodes>NI, No information</")
    (code,) = parse_odm(coded.encode()).project.missing_data_codes
    assert (code.code, code.label) == ("NI", "No information")


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
    with pytest.raises(ValueError, match="FormRepeatKey is no number") as caught:
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
        (b"<html><body>Please log in</body></html>", "no Study"),
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
