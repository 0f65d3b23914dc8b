"""A running sandbox, a function that posts requests to it, and two projects."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field

Ask = Callable[..., requests.Response]

CLASSIC: dict[str, Any] = {
    "metadata": [
        field("id"),
        field("note", type="notes"),
        field("text", type="descriptive"),
        field("race", type="checkbox", choices="1, A | -99, B/C"),
        field("scan", "lab", type="file"),
        field("dose", "drug"),
    ],
    "repeatingFormsEvents": [{"form_name": "drug", "custom_form_label": "[dose]"}],
}
CLASSIC_RECORDS: list[dict[str, object]] = [
    {"id": "10", "note": 'a "b"\nc', "race____99": "1", "visit_complete": "2"},
    {"id": "9", "redcap_repeat_instrument": "drug", "redcap_repeat_instance": 2, "dose": "5"},
    {"id": "9", "redcap_repeat_instrument": "drug", "redcap_repeat_instance": 10, "dose": "é"},
    {"id": "9", "scan": "a.pdf", "lab_complete": "0"},
]
CLASSIC_CSV = """\
id,redcap_repeat_instrument,redcap_repeat_instance,note,race___1,race____99,visit_complete,scan,lab_complete,dose,drug_complete
9,,,,0,0,0,a.pdf,0,,
9,drug,2,,,,,,,5,0
9,drug,10,,,,,,,é,0
10,,,"a ""b""
c",0,1,2,,0,,
"""
LONGITUDINAL: dict[str, Any] = {
    "metadata": [
        field("id"),
        field("age"),
        field("dose", "drug"),
    ],
    "event": [
        {"event_name": "First", "arm_num": 1, "unique_event_name": "first_arm_1", "event_id": 7},
        {"event_name": "Then", "arm_num": 1, "unique_event_name": "then_arm_1"},
        {"event_name": "First", "arm_num": 2, "unique_event_name": "first_arm_2"},
    ],
    "arm": [
        {"arm_num": 1, "name": "One"},
        {"arm_num": 2, "name": "Two"},
        {"arm_num": 3, "name": "No"},
    ],
    "formEventMapping": [
        {"arm_num": 1, "unique_event_name": "first_arm_1", "form": "visit"},
        {"arm_num": 1, "unique_event_name": "first_arm_1", "form": "drug"},
        {"arm_num": 1, "unique_event_name": "then_arm_1", "form": "drug"},
        {"arm_num": 2, "unique_event_name": "first_arm_2", "form": "visit"},
    ],
    "repeatingFormsEvents": [
        {"event_name": "first_arm_1", "form_name": "drug"},
        {"event_name": "then_arm_1", "form_name": ""},
    ],
}


def row(event: str, form: str, instance: object, **values: str) -> dict[str, object]:
    place = {"redcap_event_name": event, "redcap_repeat_instrument": form}
    return {"id": "1", **place, "redcap_repeat_instance": instance, **values}


LONGITUDINAL_RECORDS = [
    # The dose belongs to an instrument that this event does not have: REDCap does not export it.
    row("first_arm_2", "", "", age="3", redcap_data_access_group="south", dose="99"),
    row("then_arm_1", "", 2, dose="8"),
    row("first_arm_1", "drug", 1, dose="7"),
    row("first_arm_1", "", "", age="2", redcap_data_access_group="north"),
    row("then_arm_1", "", 1, dose=""),
]


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    """Post parameters to the sandbox; CSV unless another format is given."""
    return asker(sandbox)


def asker(sandbox: Sandbox) -> Ask:
    def ask(token: str = "", **parameters: str) -> requests.Response:
        sent = {"token": token, "format": "csv"} | parameters
        return requests.post(sandbox.url, sent, timeout=120, allow_redirects=False)

    return ask


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def imported(ask: Ask, token: str, rows: object, **more: str) -> requests.Response:
    parameters = {"content": "record", "action": "import", "format": "json", **more}
    return ask(token, data=rows if isinstance(rows, str) else json.dumps(rows), **parameters)


def stored(ask: Ask, token: str, **more: str) -> list[dict[str, str]]:
    return rows_of(ask(token, content="record", **more).content.decode())


@pytest.fixture
def classic(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)


@pytest.fixture
def longitudinal(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports=LONGITUDINAL, records=LONGITUDINAL_RECORDS)
