"""The sandbox against what real servers gave: exports of projects, and recorded answers."""

import csv
import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.fixture_projects.conftest import SHARED
from tests.sandbox.conftest import Ask, asker, rows_of

Rows = list[dict[str, str]]

PROJECTS = sorted(path.relative_to(SHARED) for path in SHARED.glob("projects/*/*.xml"))
IDENTICAL = [
    "blank-for-gray-status",
    "checkboxes-1",
    "dag",
    "decimal-comma",
    "longitudinal",
    "potentially-problematic-values",
    "repeating-instruments",
    "vignette-repeating",
]
# Columns in which a project's export is of another time or another program than its XML.
DRIFT = {
    "simple/project.xml": {"sex", "mugshot", "interpreter_needed"},
    "simple/project-old.xml": {"sex", "mugshot", "interpreter_needed", "bmi", "comments"},
    "survey/project.xml": {"prescreening_survey_timestamp"},
    "validation-types-1/project.xml": {"f_calculated"},
}
# What the XML does not hold of these, and the spacing inside choices.
LOST = {
    ("f_slider", "text_validation_min"),
    ("f_slider", "text_validation_max"),
    ("f_sql", "select_choices_or_calculations"),
}
LABEL = {"rawOrLabel": "label"}
ALL = {"exportDataAccessGroups": "true", "exportSurveyFields": "true"}

pytestmark = pytest.mark.usefixtures("fixtures")


def one_line(body: str) -> str:
    """Do to line breaks inside cells what the export from REDCap's pages does.

    Two in a row count as one: the XML of checkboxes-1 has lost its blank lines.
    """
    return re.sub(r'"[^"]*"', lambda cell: re.sub(r"\n+|(  )+", "  ", cell[0]), body)


# -- project XML ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDENTICAL)
def test_export_of_a_project_xml_is_the_export_of_its_server(
    name: str, fixtures: Path, sandbox: Sandbox, ask: Ask
) -> None:
    token = sandbox.add_project(fixtures / "projects" / name / "project.xml")
    body = ask(token, content="record", **ALL).content.decode()
    data = (fixtures / "projects" / name / "data.csv").read_bytes().decode()
    assert one_line(body) == one_line(data)


@pytest.mark.parametrize("name", DRIFT)
def test_export_of_an_older_project_xml_differs_where_it_is_known_to(
    name: str, fixtures: Path, sandbox: Sandbox, ask: Ask
) -> None:
    path = fixtures / "projects" / name
    token = sandbox.add_project(path)
    theirs = rows_of(path.with_name("data.csv").read_text())
    groups = {"exportDataAccessGroups": "false"} if "simple" in name else {}
    ours = rows_of(ask(token, content="record", **ALL | groups).content.decode())
    kept = [column for column in theirs[0] if column not in DRIFT[name]]
    assert kept == [column for column in ours[0] if column not in DRIFT[name]]
    assert [[row[column] for column in kept] for row in ours] == [
        [row[column] for column in kept] for row in theirs
    ]


@pytest.mark.parametrize("name", ["empty-rows", "potentially-problematic-dictionary"])
def test_newer_servers_send_no_header_for_no_rows(name: str, fixtures: Path) -> None:
    with Sandbox("17.4.1") as newer:
        token = newer.add_project(fixtures / "projects" / name / "project.xml")
        body = asker(newer)(token, content="record").content
    assert body == (fixtures / "projects" / name / "data.csv").read_bytes()


@pytest.mark.parametrize("path", PROJECTS, ids=str)
def test_dictionary_of_a_project_xml(path: Path, sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(SHARED / path)
    body = ask(token, content="metadata").content.decode()
    header, *ours = list(csv.reader(StringIO(body, newline="")))
    assert len(header) == 18
    for dictionary in (SHARED / path).parent.glob("diction*.csv"):
        text = dictionary.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        _, *theirs = list(csv.reader(StringIO(text, newline="")))
        if "projects/simple/" in str(dictionary):  # is of a time before this field
            ours = [row for row in ours if row[0] != "interpreter_needed"]
        assert [row[0] for row in ours] == [row[0] for row in theirs]
        different = {
            (mine[0], column)
            for mine, other in zip(ours, theirs, strict=True)
            for column, cell, expected in zip(header, mine, other, strict=True)
            if re.sub(r" *\| *", "|", cell) != re.sub(r" *\| *", "|", expected)
        }
        assert different == (LOST if "validation-types-1" in str(path) else set())


def test_repeating_events_of_three_arms(fixtures: Path, sandbox: Sandbox, ask: Ask) -> None:
    """The same project, exported by a server 9.1.3."""
    export = json.loads((fixtures / "tables/etl_repeating_events/records.json").read_text())
    token = sandbox.add_project(fixtures / "projects/repeating-events/project.xml")
    ours = ask(token, content="record", format="json").json()
    for row in export["records"]:
        # That server showed the status of a form in an event that does not have the form, in the
        # first instance of the event only; newer answers have none of this.
        if row["redcap_event_name"].startswith("visit_"):
            row["enrollment_complete"] = ""
    assert list(ours[0]) == list(export["records"][0])
    assert ours == export["records"]
    fields = ask(token, content="exportFieldNames", format="json").json()
    assert fields == export["fieldNames"]
    mapping = ask(token, content="formEventMapping", format="json").json()
    assert mapping == export["instrumentEventMappings"]


def test_arms_and_events_of_a_longitudinal_project(
    fixtures: Path, sandbox: Sandbox, ask: Ask
) -> None:
    folder = fixtures / "projects/longitudinal"
    token = sandbox.add_project(folder / "project.xml")
    assert ask(token, content="arm").text == (folder / "arm.csv").read_text()
    body = re.sub(r",\d+$", "", ask(token, content="event").text, flags=re.MULTILINE)
    theirs = re.sub(r",\d+$", "", (folder / "event.csv").read_text(), flags=re.MULTILINE)
    assert body == theirs
    mapping = fixtures / "expected/event-instruments__2-arms-retrieve-both-arms.csv"
    assert rows_of(ask(token, content="formEventMapping").text) == rows_of(mapping.read_text())


# -- what REDCapR got -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("project", "expected", "parameters"),
    [
        ("simple", "read-oneshot__raw", {}),
        ("simple", "read-oneshot__raw-and-dag", {"exportDataAccessGroups": "true"}),
        ("simple", "read-oneshot__label", LABEL),
        ("simple", "read-oneshot__label-and-dag", LABEL | {"exportDataAccessGroups": "true"}),
        ("simple", "read-oneshot__export_checkbox_label", LABEL | {"exportCheckboxLabel": "true"}),
        ("blank-for-gray-status", "read-oneshot__blank-for-gray-false", {}),
        (
            "blank-for-gray-status",
            "read-oneshot__blank-for-gray-true",
            {"exportBlankForGrayFormStatus": "true"},
        ),
    ],
)
def test_answers_that_a_client_kept(
    project: str,
    expected: str,
    parameters: dict[str, str],
    fixtures: Path,
    sandbox: Sandbox,
    ask: Ask,
) -> None:
    token = sandbox.add_project(fixtures / "projects" / project / "project.xml")
    ours = rows_of(ask(token, content="record", **parameters).content.decode())
    theirs = rows_of((fixtures / "expected" / f"{expected}.csv").read_text())
    assert list(ours[0]) == list(theirs[0])
    if "rawOrLabel" in parameters:
        for row in theirs:
            row["interpreter_needed"] = row["interpreter_needed"].capitalize()  # TRUE is R's
    assert ours == theirs


def test_header_labels_that_a_client_kept(fixtures: Path, sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(fixtures / "projects/simple/project.xml")
    body = ask(token, content="record", rawOrLabelHeaders="label").content.decode()
    ours, *_ = csv.reader(StringIO(body))
    path = fixtures / "expected/read-oneshot__label-header.csv"
    theirs, *_ = csv.reader(StringIO(path.read_text()))
    assert ours == [re.sub(r"\?_\d$", "?", name) for name in theirs]


@pytest.mark.parametrize(
    ("project", "expected", "parameters"),
    [
        ("simple", "default", {}),
        ("blank-for-gray-status", "blank-for-gray-false", {}),
        (
            "blank-for-gray-status",
            "blank-for-gray-true",
            {"exportBlankForGrayFormStatus": "true"},
        ),
    ],
)
def test_single_values_that_a_client_kept(
    project: str,
    expected: str,
    parameters: dict[str, str],
    fixtures: Path,
    sandbox: Sandbox,
    ask: Ask,
) -> None:
    token = sandbox.add_project(fixtures / "projects" / project / "project.xml")
    body = ask(token, content="record", type="eav", **parameters).content.decode()
    ours = list(csv.reader(StringIO(body, newline="")))
    text = (fixtures / "expected" / f"read-eav-oneshot__{expected}.csv").read_text()
    theirs = list(csv.reader(StringIO(text, newline="")))
    assert ours[0] == theirs[0]
    # The value of a file is that server's own number, and some exports have none.
    assert sorted(row for row in ours if row[1] != "mugshot") == sorted(
        row for row in theirs if row[1] != "mugshot"
    )


def test_field_names_and_instruments_that_a_client_kept(
    fixtures: Path, sandbox: Sandbox, ask: Ask
) -> None:
    token = sandbox.add_project(fixtures / "projects/simple/project.xml")
    for content, expected in (("exportFieldNames", "variables"), ("instrument", "instruments")):
        theirs = rows_of((fixtures / "expected" / f"{expected}__default.csv").read_text())
        assert rows_of(ask(token, content=content).text) == theirs


# -- recorded answers -----------------------------------------------------------------------------


def recorded_project(folder: Path) -> dict[str, Any]:
    """The set-up that the recordings of a project let one infer, and its records.

    A form that repeats is taken to repeat in all its events. What the server fills in by itself,
    zeros of checkboxes and of forms, is taken out of the records.
    """
    (path,) = (each for each in folder.glob("records*.csv") if "forms" not in each.name)
    records = rows_of(path.read_text())
    metadata = json.loads((folder / "metadata.json").read_text())
    exports: dict[str, Any] = {
        "metadata": metadata,
        "instrument": rows_of((folder / "instruments.csv").read_text()),
    }
    repeating = {
        (row.get("redcap_event_name", ""), row["redcap_repeat_instrument"])
        for row in records
        if row.get("redcap_repeat_instance")
    }
    if (folder / "event_mapping.csv").exists():
        exports["arm"] = rows_of((folder / "arms.csv").read_text())
        mapping = rows_of((folder / "event_mapping.csv").read_text())
        forms = {form for _, form in repeating}
        repeating |= {
            (row["unique_event_name"], row["form"]) for row in mapping if row["form"] in forms
        }
        exports["formEventMapping"] = mapping
        exports["event"] = [
            {"event_name": event, "unique_event_name": event, "arm_num": arm}
            for event, arm in {row["unique_event_name"]: row["arm_num"] for row in mapping}.items()
        ]
    exports["repeatingFormsEvents"] = [
        {"event_name": event, "form_name": form} for event, form in sorted(repeating)
    ]
    checkboxes = tuple(
        f"{row['field_name']}___" for row in metadata if row["field_type"] == "checkbox"
    )
    for row in records:
        for name, value in row.items():
            if (value == "0" and name.startswith(checkboxes)) or name.endswith("_complete"):
                row[name] = value.replace("0", "")
    return {"exports": exports, "records": records}


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        ("classic/records_survey.csv", {"exportSurveyFields": "true"}),
        (
            "classic/records_forms_repeated.csv",
            {"exportSurveyFields": "true", "forms": "repeated,nonrepeated"},
        ),
        ("dag_longitudinal/records.csv", {"exportDataAccessGroups": "true"}),
        ("longitudinal_2arm/records.csv", {}),
        (
            "longitudinal_2arm/records_forms_nonrepeated_repeated.csv",
            {"forms[0]": "nonrepeated", "forms[1]": "repeated"},
        ),
        ("repeat_first_instrument/records.csv", {}),
        ("repeating_event/records.csv", {}),
    ],
)
def test_recorded_records(
    body: str, parameters: dict[str, str], fixtures: Path, sandbox: Sandbox, ask: Ask
) -> None:
    path = fixtures / "recorded" / body
    token = sandbox.add_project(**recorded_project(path.parent))
    assert ask(token, content="record", **parameters).content == path.read_bytes()


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        ("records.csv", {}),
        ("records_forms_no_access.csv", {"forms": "no_access,full_access"}),
    ],
)
def test_recorded_records_of_a_user_with_few_rights(
    body: str, parameters: dict[str, str], fixtures: Path, sandbox: Sandbox, ask: Ask
) -> None:
    folder = fixtures / "recorded/restricted_export_rights"
    levels = {"remove_phi_access": 3, "deidentify_phi_access": 2, "no_access": 0}
    project = recorded_project(folder)
    token = sandbox.add_project(**project, rights={"forms_export": levels})
    assert ask(token, content="record", **parameters).content == (folder / body).read_bytes()


@pytest.mark.parametrize(
    "path", sorted(path.relative_to(SHARED) for path in SHARED.glob("recorded/*")), ids=str
)
def test_recorded_structure(path: Path, sandbox: Sandbox, ask: Ask) -> None:
    folder = SHARED / path
    metadata = json.loads((folder / "metadata.json").read_text())
    token = sandbox.add_project(**recorded_project(folder))
    assert ask(token, content="metadata", format="json").json() == metadata
    names = {"instrument": "instruments", "arm": "arms", "formEventMapping": "event_mapping"}
    for content, name in names.items():
        answer = ask(token, content=content)
        if (folder / f"{name}.csv").exists():
            assert answer.content == (folder / f"{name}.csv").read_bytes()
        else:
            assert answer.status_code == 400
