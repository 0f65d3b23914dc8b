"""The structure of a project: which exports are needed for it, and which are none."""

from typing import Any

import pytest

from redcap_dagster.api import (
    EmptyResponseError,
    MalformedResponseError,
    REDCapClient,
)
from tests.fake_server import RECORDS, TOKEN, Reply, Server, json_reply

CLASSIC = {"is_longitudinal": 0, "has_repeating_instruments_or_events": 0}


# -- structure ------------------------------------------------------------------------------------


def structure(server: Server, info: dict[str, Any]) -> None:
    server.say("project", json_reply(info))
    server.say("instrument", json_reply([{"instrument_name": "visit", "instrument_label": "V"}]))
    server.say("exportFieldNames", json_reply([]))
    server.say("version", Reply(b"14.7.3"))


def test_what_a_project_cannot_have_is_not_asked_for(server: Server, client: REDCapClient) -> None:
    structure(server, CLASSIC)
    server.say("record", Reply(b"record_id,redcap_data_access_group,visit_timestamp,name\n"))

    project = client.export_project()

    contents = [request["content"] for request in server.requests]
    assert sorted(contents) == sorted(
        ["project", "metadata", "instrument", "exportFieldNames", "version", "record"]
    )
    assert server.asked("record")[0]["filterLogic"] == "[record_id] = ''"
    assert project.has_access_groups
    assert project.surveys == ("visit",)
    assert project.version == "14.7.3"


def test_an_old_server_is_asked_whether_anything_repeats(
    server: Server, client: REDCapClient
) -> None:
    structure(server, {"is_longitudinal": 0})
    message = "You cannot export repeating instruments and events because the project does not"
    server.say("repeatingFormsEvents", json_reply({"error": message}, 400))

    assert client.export_structure().repeating == []
    assert len(server.asked("repeatingFormsEvents")) == 1


def test_a_server_without_a_header_for_no_rows_leaves_the_rest_unknown(
    server: Server, client: REDCapClient
) -> None:
    structure(server, CLASSIC)
    server.say("record", Reply(b"\n"), Reply(b"\n"), json_reply([]))

    project = client.export_project()

    assert not project.has_access_groups
    assert project.surveys == ()


def test_the_record_id_field_is_asked_for_once(server: Server, client: REDCapClient) -> None:
    structure(server, CLASSIC)
    server.say("record", Reply(RECORDS))

    client.export_structure()
    client.export_census()
    client.export_records(forms=["visit"])
    assert len(server.asked("metadata")) == 1

    REDCapClient(server.url, TOKEN).export_census()
    assert len(server.asked("metadata")) == 2


def test_structure_that_is_none_is_an_error(server: Server, client: REDCapClient) -> None:
    server.say("metadata", json_reply([]))
    with pytest.raises(EmptyResponseError, match="data dictionary is empty"):
        client.export_metadata()
    server.say("metadata", json_reply([{"name": "x"}]))
    with pytest.raises(MalformedResponseError, match="rows without field_name"):
        client.export_metadata()
    server.say("metadata", json_reply({"field_name": "x"}))
    with pytest.raises(MalformedResponseError, match="not a JSON list"):
        client.export_metadata()
    server.say("version", Reply(b"welcome"))
    with pytest.raises(MalformedResponseError, match="not a version number"):
        client.export_version()
