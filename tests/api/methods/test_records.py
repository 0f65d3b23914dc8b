"""Records: how a selection is sent, and what comes back."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.api import (
    RecordSelection,
    REDCapClient,
)
from tests.dictionary import field
from tests.fake_server import HEADER, RECORDS, TOKEN, Reply, Server, json_reply

CLASSIC = {"is_longitudinal": 0, "has_repeating_instruments_or_events": 0}


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "kind", "says"),
    [
        ({"records": "101"}, TypeError, "records: must be a list of records, not one string"),
        ({"forms": b"visit"}, TypeError, "not one string"),
        ({"fields": [None]}, TypeError, "fields: not every item"),
        ({"records": [True]}, TypeError, "records: not every item"),
        ({"events": []}, ValueError, "events: the list is empty"),
        ({"fields": ["redcap_event_name"]}, ValueError, "redcap_event_name by itself"),
        ({"filter_logic": 1}, TypeError, "filter_logic"),
        ({"date_range_begin": "2024-01-01"}, TypeError, "date_range_begin: must be a datetime"),
        ({"date_range_end": datetime(2024, 1, 1, tzinfo=UTC)}, ValueError, "own time zone"),
        ({"export_survey_fields": "false"}, TypeError, "export_survey_fields"),
        ({"record": ["101"]}, TypeError, "no option 'record'. Did you mean 'records'"),
        ({"csv_delimiter": "\t"}, ValueError, "csv_delimiter: must be one of ',', 'tab'"),
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
    with pytest.raises(TypeError, match="forms: must be a list of forms"):
        client.export_metadata(forms="visit")


@pytest.mark.parametrize(
    ("selection", "named"),
    [
        ({"fields": ["name", "absent"]}, "not have field 'absent'"),
        ({"forms": ["visits"]}, "not have instrument 'visits'"),
        ({"events": ["later"]}, "not have event 'later'"),
        ({"fields": ["x"], "forms": ["y"]}, "not have field 'x', instrument 'y'"),
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
    dictionary = [field(name) for name in ("record_id", "name", "age")]
    server.say("metadata", json_reply(dictionary))
    server.say("record", Reply(b"record_id,age\n1,40\n"))
    client.export_records(fields=["age"])
    assert len(server.asked("record")) == 2


def test_a_selection_is_sent_in_the_terms_of_the_api(server: Server, client: REDCapClient) -> None:
    header = HEADER.replace(",", ",redcap_event_name,", 1)
    rows = '"a,b",event_1_arm_1,x,,\n2,event_1_arm_1,y,,\n'
    server.say("record", Reply(f"{header}\n{rows}".encode()))
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


# -- records --------------------------------------------------------------------------------------


def test_records_are_text_with_nulls_for_blanks(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(b'record_id,name\n007,NA\n1e5,""\n3,\n'))

    frame = client.export_records()

    assert all(dtype == ("string" if pd.__version__ < "3" else "str") for dtype in frame.dtypes)
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
