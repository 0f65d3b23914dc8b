"""Project XML of real servers is read, and written so that it is read again."""

import csv
from dataclasses import astuple, fields
from pathlib import Path

from redcap_dagster.project import Field, from_xml
from redcap_dagster.project.xml.reader import parse_odm, read_odm
from redcap_dagster.project.xml.writer import write_odm

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


def test_every_xml_comes_back(fixtures: Path) -> None:
    paths = sorted(fixtures.glob("projects/*/project*.xml"))
    assert len(paths) == 17
    for path in paths:
        odm = read_odm(path)
        again = parse_odm(write_odm(odm.project, odm.points, with_files=True))
        assert again.project == odm.project, path.parent.name
        assert again.points == odm.points, path.parent.name
