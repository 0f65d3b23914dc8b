"""Imports of a project's structure, and the creation of projects."""

import json

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import CLASSIC, Ask
from tests.sandbox.test_cli import PROJECT


def imported(ask: Ask, token: str, content: str, rows: object, **more: str) -> str:
    sent = {"content": content, "action": "import", "format": "json", "data": json.dumps(rows)}
    response = ask(token, **(sent | more))
    assert response.status_code == 200, response.text
    return response.text


def test_an_imported_dictionary_is_exported(classic: str, ask: Ask) -> None:
    rows = ask(classic, content="metadata", format="json").json()
    new = {**rows[-1], "field_name": "weight", "form_name": "body_size", "field_label": "Weight"}
    assert imported(ask, classic, "metadata", [*rows, new]) == "7"
    assert ask(classic, content="metadata", format="json").json() == [*rows, new]
    forms = ask(classic, content="instrument", format="json").json()
    assert forms[-1] == {"instrument_name": "body_size", "instrument_label": "Body Size"}
    csv = ask(classic, content="metadata").text
    assert ask(classic, content="metadata", data=csv).text == "7"
    assert imported(ask, classic, "metadata", rows[:4]) == "4"
    assert (
        ask(classic, content="repeatingFormsEvents").status_code == 400
    )  # the instrument is deleted


@pytest.mark.parametrize(
    "wrong",
    [
        field("Upper", "a"),
        field("x", "a", type="unheard"),
        field("id", "a"),
        field("x", ""),
        field("x", "a", type="checkbox", choices="A, 1 | a, 2"),
        {"field_name": "x", "form_name": "a", "unheard": "1"},
    ],
)
def test_invalid_dictionaries_are_refused(classic: str, ask: Ask, wrong: dict[str, str]) -> None:
    before = ask(classic, content="metadata").text
    rows = json.dumps([field("id", "a"), wrong])
    refused = ask(classic, content="metadata", action="import", format="json", data=rows)
    assert refused.status_code == 400
    assert ask(classic, content="metadata").text == before


def test_arms_and_events(longitudinal: str, ask: Ask) -> None:
    assert imported(ask, longitudinal, "arm", [{"arm_num": 3, "name": "New"}]) == "1"
    event = {"event_name": "Visit #1", "arm_num": 3}
    assert imported(ask, longitudinal, "event", [event]) == "1"
    new = ask(longitudinal, content="event", format="json", arms="3").json()[0]
    assert new["unique_event_name"] == "visit_1_arm_3"
    assert isinstance(new["event_id"], int)
    assert ask(longitudinal, content="arm").text.endswith('\n3,"New"')
    deleted = {"content": "event", "action": "delete", "events[0]": "then_arm_1"}
    assert ask(longitudinal, **deleted).text == "1"
    rows = ask(longitudinal, content="record", format="json").json()
    assert "then_arm_1" not in {row["redcap_event_name"] for row in rows}
    assert ask(longitudinal, content="arm", action="delete", **{"arms[0]": "2"}).text == "1"
    assert "first_arm_2" not in ask(longitudinal, content="event").text
    whole = [{"event_name": "Only", "arm_num": 1}]
    assert imported(ask, longitudinal, "event", whole, override="1") == "1"
    assert len(ask(longitudinal, content="event", format="json").json()) == 1
    last = ask(longitudinal, content="event", action="delete", **{"events[0]": "only_arm_1"})
    assert last.status_code == 400


def test_mapping_and_repeating(longitudinal: str, ask: Ask) -> None:
    mapping = [
        {"arm_num": 1, "unique_event_name": "first_arm_1", "form": "visit"},
        {"arm_num": 1, "unique_event_name": "then_arm_1", "form": "drug"},
    ]
    assert imported(ask, longitudinal, "formEventMapping", mapping) == "2"
    assert ask(longitudinal, content="formEventMapping", format="json").json() == mapping
    repeats = [{"event_name": "then_arm_1", "form_name": "drug", "custom_form_label": "[dose]"}]
    assert imported(ask, longitudinal, "repeatingFormsEvents", repeats) == "1"
    told = ask(longitudinal, content="repeatingFormsEvents", format="json").json()
    assert told == repeats
    wrong = json.dumps([{"event_name": "first_arm_1", "form_name": "drug"}])
    sent = {"content": "repeatingFormsEvents", "action": "import", "format": "json", "data": wrong}
    assert ask(longitudinal, **sent).status_code == 400


def test_structure_imports_need_rights_and_development(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports=CLASSIC, rights={"design": 0})
    data = ask(token, content="metadata").text
    assert "'Project Design and Setup'" in ask(token, content="metadata", data=data).text
    running = sandbox.add_project(exports=CLASSIC | {"project": {"in_production": 1}})
    assert ask(running, content="metadata", data=data).status_code == 400
    assert ask(running, content="arm", action="import", data="arm_num,name\n1,a").text == (
        "ERROR: You cannot import arms for classic projects"
    )


# -- new projects and settings --------------------------------------------------------------------

NEW_IN_XML = """<?xml version="1.0" encoding="UTF-8" ?><item><project_title>New one</project_title>
<purpose>0</purpose><is_longitudinal>1</is_longitudinal></item>"""


@pytest.mark.parametrize(
    ("format_", "data"),
    [
        ("csv", 'project_title,purpose,is_longitudinal\n"New one",0,1\n'),
        ("json", '[{"project_title": "New one", "purpose": 0, "is_longitudinal": 1}]'),
        ("json", '{"project_title": "New one", "purpose": "0", "is_longitudinal": "1"}'),
        (
            "xml",
            NEW_IN_XML,
        ),
    ],
)
def test_a_project_is_created(sandbox: Sandbox, ask: Ask, format_: str, data: str) -> None:
    token = ask(sandbox.super_token, content="project", format=format_, data=data).text
    assert len(token) == 32
    info = ask(token, content="project", format="json").json()
    assert (info["project_title"], info["is_longitudinal"]) == ("New one", 1)
    assert ask(token, content="version").text == sandbox.version
    assert "event_1_arm_1" in ask(token, content="event").text
    assert ask(token, content="metadata", format="json").json()[0]["field_name"] == "record_id"
    assert ask(token, content="record", format="json").json() == []


@pytest.mark.parametrize("groups", ["true", "false"])
def test_a_project_is_created_from_xml(
    longitudinal: str, sandbox: Sandbox, ask: Ask, groups: str
) -> None:
    whole = {"exportDataAccessGroups": groups}
    xml = ask(longitudinal, content="project_xml", **whole).text
    data = "project_title,purpose\nAgain,0\n"
    token = ask(sandbox.super_token, content="project", data=data, odm=xml).text
    for content in ("metadata", "formEventMapping", "repeatingFormsEvents", "record"):
        asked = {"content": content, **whole}
        again, first = ask(token, **asked).text, ask(longitudinal, **asked).text
        # XML has repeating events before repeating instruments.
        assert sorted(again.split("\n")) == sorted(first.split("\n"))
    bad = ask(sandbox.super_token, content="project", data=data, odm="<secret>")
    assert bad.status_code == 400
    assert "secret" not in bad.text


def test_records_that_no_export_would_show_are_refused(sandbox: Sandbox, ask: Ask) -> None:
    data = "project_title,purpose,is_longitudinal\nNew,0,1\n"  # the XML is of a classic project
    bad = ask(sandbox.super_token, content="project", data=data, odm=PROJECT)
    assert (bad.status_code, "canary" in bad.text) == (400, False)
    assert "redcap_event_name" in bad.text


def test_projects_that_are_not_created(sandbox: Sandbox, classic: str, ask: Ask) -> None:
    other = "project_title,purpose\nNew,1\n"
    refused = ask(sandbox.super_token, content="project", data=other)
    assert refused.status_code == 400
    assert refused.text.startswith("ERROR: You must provide some text for 'purpose_other' since")
    assert ask(sandbox.super_token, content="project", data="purpose\n0\n").status_code == 400
    assert ask(sandbox.super_token, content="record").status_code == 403
    assert ask(classic, content="project", data=other).status_code == 400


def test_settings(classic: str, ask: Ask) -> None:
    rows = len(ask(classic, content="record", format="json").json())
    data = json.dumps({"project_title": "Other", "is_longitudinal": 1, "project_id": 9, "x": 1})
    settings = {"content": "project_settings", "format": "json"}
    assert ask(classic, **settings, data=data).text == "2"
    info = ask(classic, content="project", format="json").json()
    assert (info["project_title"], info["is_longitudinal"]) == ("Other", 1)
    assert info["project_id"] != 9
    records = ask(classic, content="record", format="json").json()
    assert len(records) == rows
    assert {row["redcap_event_name"] for row in records} == {"event_1_arm_1"}
    assert ask(classic, **settings, data='{"purpose": "secret"}').status_code == 400
    assert ask(classic, **settings, data='{"is_longitudinal": "0"}').status_code == 400
