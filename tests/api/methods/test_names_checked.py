"""Names of events, instruments and fields are checked before a request is sent."""

from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import (
    RecordSelection,
    REDCapClient,
    REDCapFile,
)
from redcap_dagster.sandbox import Sandbox
from tests.api.labeled_project import LABELED
from tests.fake_server import Reply, Server, json_reply

STUDY = LABELED


# -- names ----------------------------------------------------------------------------------------

SCAN = REDCapFile("a.txt", "text/plain", b"x")
CALLS: list[tuple[str, Any, str]] = [
    ("record", lambda c: c.export_records(fields=["no"]), "not have field 'no'"),
    ("record", lambda c: c.export_records_table(forms=["no"]), "not have instrument 'no'"),
    ("record", lambda c: c.stream_records(events=["no"]), "not have event 'no'"),
    ("record", lambda c: c.records.export_eav(fields=["no"]), "not have field 'no'"),
    ("record", lambda c: c.records.export_eav(forms=["no"]), "not have instrument 'no'"),
    ("record", lambda c: c.records.export_eav(events=["no"]), "not have event 'no'"),
    ("record", lambda c: c.records.delete(["1"], instrument="no"), "not have instrument 'no'"),
    ("record", lambda c: c.records.delete(["1"], event="no"), "not have event 'no'"),
    ("file", lambda c: c.files.export("1", "no"), "not have field 'no'"),
    ("file", lambda c: c.files.export("1", "scan", event="no"), "not have event 'no'"),
    ("file", lambda c: c.files.save(Path(), "1", "no"), "not have field 'no'"),
    ("file", lambda c: c.files.import_(SCAN, "1", "no"), "not have field 'no'"),
    ("file", lambda c: c.files.delete("1", "no"), "not have field 'no'"),
    ("surveyLink", lambda c: c.surveys.export_link("1", "no"), "not have instrument 'no'"),
    (
        "surveyReturnCode",
        lambda c: c.surveys.export_return_code("1", "no"),
        "not have instrument 'no'",
    ),
    (
        "surveyAccessCode",
        lambda c: c.surveys.export_access_code("1", "no"),
        "not have instrument 'no'",
    ),
    ("participantList", lambda c: c.surveys.export_participants("no"), "not have instrument 'no'"),
    (
        "participantList",
        lambda c: c.surveys.export_participants("visit", "no"),
        "not have event 'no'",
    ),
    ("pdf", lambda c: c.pdfs.export(instrument="no"), "not have instrument 'no'"),
    ("pdf", lambda c: c.pdfs.save(Path(), event="no"), "not have event 'no'"),
]


@pytest.mark.parametrize(("content", "call", "says"), CALLS)
@pytest.mark.parametrize("longitudinal", [0, 1])
def test_what_the_project_does_not_have_is_not_asked_about(
    longitudinal: int, content: str, call: Any, says: str, server: Server, client: REDCapClient
) -> None:
    server.say("project", json_reply({"is_longitudinal": longitudinal}))

    with pytest.raises(ValueError, match=says):
        call(client)

    assert not server.asked(content)
    assert {asked["content"] for asked in server.requests} <= {"metadata", "project", "event"}


def test_a_snapshot_asks_for_no_record_by_a_wrong_name(
    sandbox: Sandbox, redcap: REDCapClient
) -> None:
    structure = redcap.export_structure()
    before = len(sandbox.requests)

    wrong: list[RecordSelection] = [{"fields": ["no"]}, {"forms": ["no"]}, {"events": ["no"]}]
    for names in wrong:
        with pytest.raises(ValueError, match="'no'"):
            redcap.export_snapshot(structure, **names)

    assert {asked.content for asked in sandbox.requests[before:]} <= {"metadata", "project"}


def test_names_are_asked_for_once(server: Server, client: REDCapClient) -> None:
    server.say("surveyLink", Reply(b"https://redcap.example/s/?s=a"))

    for record in range(3):
        client.surveys.export_link(record, "visit", "e_arm_1")

    assert len(server.asked("metadata")) == len(server.asked("event")) == 1


def test_an_event_that_was_added_meanwhile_is_asked_for(
    server: Server, client: REDCapClient
) -> None:
    server.say(
        "record", Reply(b"record_id,redcap_event_name,name,scan,visit_complete\n1,e_arm_1,,,\n")
    )
    client.export_records(events=["e_arm_1"])
    server.say("record", Reply(b"record_id,redcap_event_name,name,scan,visit_complete\n1,new,,,\n"))
    server.say("event", json_reply([{"unique_event_name": name} for name in ("e_arm_1", "new")]))

    client.export_records(events=["new"])

    assert len(server.asked("record")) == 2
