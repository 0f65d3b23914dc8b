"""Structure and records of whole projects, and arguments that are refused unsent."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from redcap_dagster.api import (
    EmptyResponseError,
    MalformedResponseError,
    RecordSelection,
    REDCapClient,
)
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.xml.reader import read_odm
from tests.conftest import SHARED
from tests.fake_server import RECORDS, TOKEN, Reply, Server, json_reply

PROJECTS = sorted((SHARED / "projects").glob("*/*.xml"))

CLASSIC = {"is_longitudinal": 0, "has_repeating_instruments_or_events": 0}


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "kind", "says"),
    [
        ({"records": "101"}, TypeError, "records: give a list of records, not one string"),
        ({"forms": b"visit"}, TypeError, "not one string"),
        ({"fields": [None]}, TypeError, "fields: not every member"),
        ({"records": [True]}, TypeError, "records: not every member"),
        ({"events": []}, ValueError, "events: the list is empty"),
        ({"fields": ["redcap_event_name"]}, ValueError, "redcap_event_name by itself"),
        ({"filter_logic": 1}, TypeError, "filter_logic"),
        ({"date_range_begin": "2024-01-01"}, TypeError, "date_range_begin: give a datetime"),
        ({"date_range_end": datetime(2024, 1, 1, tzinfo=UTC)}, ValueError, "own time zone"),
        ({"export_survey_fields": "false"}, TypeError, "export_survey_fields"),
        ({"record": ["101"]}, TypeError, "no parameter record"),
        ({"csv_delimiter": "\t"}, ValueError, "csv_delimiter: give one of ',', 'tab'"),
        ({"raw_or_label": "both"}, ValueError, "raw_or_label"),
        ({"decimal_character": ";"}, ValueError, "decimal_character"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    selection: dict[str, Any],
    kind: type[Exception],
    says: str,
    server: Server,
    client: REDCapClient,
) -> None:
    for export in (
        client.export_records,
        client.stream_records,
        client.export_records_table,
        client.export_snapshot,
        client.records.export_eav,
    ):
        with pytest.raises(kind, match=says) as caught:
            export(**selection)
        assert "101" not in str(caught.value)

    assert server.requests == []


def test_bad_metadata_arguments_are_refused(client: REDCapClient) -> None:
    with pytest.raises(TypeError, match="forms: give a list of forms"):
        client.export_metadata(forms="visit")


@pytest.mark.parametrize(
    ("selection", "named"),
    [
        ({"fields": ["name", "absent"]}, "no field 'absent'"),
        ({"forms": ["visits"]}, "no form 'visits'"),
        ({"events": ["later"]}, "no event 'later'"),
        ({"fields": ["x"], "forms": ["y"]}, "no field 'x', no form 'y'"),
    ],
)
def test_what_the_project_does_not_have_is_not_asked_for(
    selection: RecordSelection, named: str, server: Server, client: REDCapClient
) -> None:
    server.say("project", json_reply({"is_longitudinal": 0}))
    for export in (client.export_records, client.stream_records):
        with pytest.raises(ValueError, match=named):
            export(**selection)
    assert not server.asked("record")


def test_a_field_that_was_added_meanwhile_is_asked_for(
    server: Server, client: REDCapClient
) -> None:
    server.say("record", Reply(RECORDS))
    client.export_records(fields=["name", "visit_complete"])
    dictionary = [
        {"field_name": name, "form_name": "visit"} for name in ("record_id", "name", "age")
    ]
    server.say("metadata", json_reply(dictionary))
    client.export_records(fields=["age"])
    assert len(server.asked("record")) == 2


def test_a_selection_is_sent_in_the_terms_of_the_api(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(RECORDS))
    server.say("project", json_reply({"is_longitudinal": 1}))
    server.say("event", json_reply([{"unique_event_name": "event_1_arm_1"}]))

    batches = client.stream_records(
        records=["a,b", 2],
        fields=("name",),
        forms=["visit"],
        events=["event_1_arm_1"],
        filter_logic="[name] <> ''",
        date_range_begin=datetime(2024, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001
        date_range_end=datetime(2024, 12, 31),  # noqa: DTZ001
        export_survey_fields=True,
        export_data_access_groups=True,
        export_blank_for_gray_form_status=True,
    )

    assert sum(batch.num_rows for batch in batches) == 2
    assert server.asked("record") == [
        {
            "token": TOKEN,
            "content": "record",
            "action": "export",
            "format": "csv",
            "type": "flat",
            "csvDelimiter": ",",
            "returnFormat": "json",
            "records[0]": "a,b",
            "records[1]": "2",
            "fields[0]": "name",
            "fields[1]": "record_id",
            "forms[0]": "visit",
            "events[0]": "event_1_arm_1",
            "filterLogic": "[name] <> ''",
            "dateRangeBegin": "2024-01-02 03:04:05",
            "dateRangeEnd": "2024-12-31 00:00:00",
            "exportSurveyFields": "true",
            "exportDataAccessGroups": "true",
            "exportBlankForGrayFormStatus": "true",
        }
    ]


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
    with pytest.raises(MalformedResponseError, match="no JSON list"):
        client.export_metadata()
    server.say("version", Reply(b"welcome"))
    with pytest.raises(MalformedResponseError, match="no version number"):
        client.export_version()


# -- records --------------------------------------------------------------------------------------


def test_records_are_text_with_nulls_for_blanks(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(b'record_id,name\n007,NA\n1e5,""\n3,\n'))

    frame = client.export_records()

    assert set(frame.dtypes) == {pd.ArrowDtype(pa.string())}
    assert frame["record_id"].tolist() == ["007", "1e5", "3"]
    assert frame["name"].isna().tolist() == [False, True, True]
    assert frame["name"][0] == "NA"


def test_a_census_has_one_row_per_record_and_event(server: Server, client: REDCapClient) -> None:
    header = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance"
    rows = ["10,b,,", "10,a,,", "10,b,visit,1", "10,b,visit,2", "9,a,visit,1", "9,a,,2"]
    body = "".join(f"{line}\n" for line in (f"{header},redcap_data_access_group", *(
        f"{row},site" for row in rows)))  # fmt: skip
    server.say("record", Reply(body.encode()))

    census = client.export_census()

    assert census.to_pydict() == {
        "record_id": ["10", "10", "9"],
        "redcap_event_name": ["b", "a", "a"],
        "redcap_data_access_group": ["site"] * 3,
    }
    asked = server.asked("record")[0]
    assert asked["fields[0]"] == "record_id"
    assert asked["exportSurveyFields"] == asked["exportDataAccessGroups"] == "true"


# -- whole projects -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox() -> Any:
    from redcap_dagster.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.skipif(not PROJECTS, reason="needs ../shared/fixtures (answers of real servers)")
@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_a_project_comes_out_as_it_is_in_its_xml(path: Path, sandbox: Any) -> None:
    client = REDCapClient(sandbox.url, sandbox.add_project(str(path)))
    wanted = read_odm(path)

    project = client.export_project()
    frame = client.export_records(export_survey_fields=True, export_data_access_groups=True)
    streamed = pa.Table.from_batches(client.stream_records())
    census = client.export_census()

    assert project.fields == wanted.project.fields
    assert project.form_events == wanted.project.form_events
    assert project.record_id_field == wanted.project.record_id_field
    assert set(project.repeating) == set(wanted.project.repeating)
    assert project.surveys == wanted.project.surveys
    assert project.has_access_groups == wanted.project.has_access_groups
    assert REDCapProject.from_json(project.to_json()) == project
    assert set(streamed.column_names) <= set(frame.columns)
    assert streamed.num_rows == len(frame)
    ids = {point.record for point in wanted.points}
    assert set(frame[project.record_id_field]) == ids
    assert set(census[project.record_id_field].to_pylist()) == ids
    # An XML of an old server has times as XML writes them.
    stored = {
        (point.record, point.field_name, re.sub(r"^(\d{4}-\d\d-\d\d)T", r"\1 ", point.value))
        for point in wanted.points
        if point.field_name in frame.columns
    }
    assert bool(stored) == bool(wanted.points)
    got = {
        (record, field_name, value)
        for field_name in {name for _, name, _ in stored}
        for record, value in zip(frame[project.record_id_field], frame[field_name], strict=True)
    }
    assert stored <= got
