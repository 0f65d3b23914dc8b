"""The exports of a project's structure."""

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, LONGITUDINAL, Ask, asker


def header(response: requests.Response) -> str:
    assert response.status_code == 200
    return response.text.partition("\n")[0]


def test_structure_of_a_longitudinal_project(longitudinal: str, ask: Ask) -> None:
    assert ask(longitudinal, content="arm").text == 'arm_num,name\n1,"One"\n2,"Two"'
    assert ask(longitudinal, content="arm", format="json", arms="2").json() == [
        {"arm_num": 2, "name": "Two"}
    ]
    events = ask(longitudinal, content="event", format="json", **{"arms[0]": "1"}).json()
    assert events[0] == {
        "event_name": "First",
        "arm_num": 1,
        "unique_event_name": "first_arm_1",
        "custom_event_label": "",
        "event_id": 7,
    }
    assert [event["unique_event_name"] for event in events] == ["first_arm_1", "then_arm_1"]
    assert ask(longitudinal, content="formEventMapping", arms="2").text == (
        "arm_num,unique_event_name,form\n2,first_arm_2,visit"
    )
    assert ask(longitudinal, content="repeatingFormsEvents").text == (
        "event_name,form_name,custom_form_label\nfirst_arm_1,drug,\nthen_arm_1,,\n"
    )


def test_days_of_events_only_with_scheduling(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports=LONGITUDINAL | {"project": {"scheduling_enabled": 1}})
    assert header(ask(token, content="event")) == (
        "event_name,arm_num,day_offset,offset_min,offset_max,unique_event_name,"
        "custom_event_label,event_id"
    )


def test_structure_of_a_classic_project(classic: str, ask: Ask) -> None:
    assert ask(classic, content="instrument").text == (
        'instrument_name,instrument_label\nvisit,"Visit"\nlab,"Lab"\ndrug,"Drug"\n'
    )
    assert ask(classic, content="repeatingFormsEvents").text == (
        "form_name,custom_form_label\ndrug,[dose]\n"
    )
    names = ask(classic, content="exportFieldNames").text
    assert names == (
        "original_field_name,choice_value,export_field_name\nid,,id\nnote,,note\n"
        "race,1,race___1\nrace,-99,race____99\nvisit_complete,,visit_complete\n"
        "lab_complete,,lab_complete\ndose,,dose\ndrug_complete,,drug_complete\n"
    )
    race = ask(classic, content="exportFieldNames", field="race", format="json").json()
    assert [row["export_field_name"] for row in race] == ["race___1", "race____99"]
    some = ask(classic, content="metadata", fields="dose", forms="lab", format="json").json()
    assert [row["field_name"] for row in some] == ["scan", "dose"]
    assert set(some[0].values()) == {"scan", "lab", "file", ""}


@pytest.mark.parametrize(("version", "keys"), [("14.7.3", 26), ("15.8.2", 27), ("9.1.3", 23)])
def test_project_info_by_version(version: str, keys: int) -> None:
    with Sandbox(version) as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC | {"project": {"project_title": "A / B"}})
        info = ask(token, content="project", format="json").json()
        assert len(info) == keys
        assert (info["project_title"], info["is_longitudinal"], info["project_notes"]) == (
            "A / B",
            0,
            "",
        )
        assert info["has_repeating_instruments_or_events"] == 1
        assert ask(token, content="project").text.count("\n") == 2
        assert ask(token, content="version").text == version


def test_structure_in_xml(classic: str, ask: Ask) -> None:
    answer = ask(classic, content="instrument", format="")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.text.startswith(
        '<?xml version="1.0" encoding="UTF-8" ?><records><item><instrument_name>visit<'
    )
