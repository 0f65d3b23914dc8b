"""A response is taken only if its rows and columns belong to the request."""

from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.api import MalformedResponseError, REDCapClient, ResponseMismatchError
from redcap_dagster.api.export.reader.requested import Requested
from redcap_dagster.project import REDCapProject
from tests.dictionary import field
from tests.fake_server import CANARY, Reply, Server, json_reply

IDS = {"fields": ["record_id"]}
DICTIONARY = [
    field("record_id"),
    field("name"),
    field("race", type="checkbox", choices="1, A | 2, B"),
    field("dose", "drug"),
]
KEYS = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance"


@pytest.fixture(autouse=True)
def dictionary(server: Server) -> None:
    server.say("metadata", json_reply(DICTIONARY))


@pytest.mark.parametrize(
    ("selection", "body", "says"),
    [
        (
            {"records": ["1"], **IDS},
            f"record_id\n1\n{CANARY}\n7\n",
            "2 rows are of rec",
        ),
        ({"records": ["1"], **IDS}, "record_id\n01\n", "1 rows are of records"),
        (
            {"events": ["e_arm_1"]},
            f"{KEYS},name\n1,e_arm_1,,,a\n1,f_arm_1,,,b\n",
            "1 rows are of eve",
        ),
        ({"forms": ["visit"]}, f"{KEYS},name\n1,e,,,a\n1,e,drug,1,b\n", "1 rows are of instru"),
        ({}, "record_id,name,dose\n1,a,1\nrecord_id,name,other\n2,b,1\n", "a row is a header"),
        ({}, "record_id,name,dose\n1,a,1\n\ufeffrecord_id,name,other\n", "a row is a header"),
        ({}, "record_id,name,dose\n1,a,1\nRECORD_ID, NAME ,OTHER\n", "a row is a header"),
    ],
)
def test_rows_that_were_not_requested_are_refused(
    selection: dict[str, Any], body: str, says: str, server: Server, client: REDCapClient
) -> None:
    server.say("record", Reply(body.encode()))

    for export in (client.export_records_table, lambda **own: [*client.stream_records(**own)]):
        with pytest.raises(ResponseMismatchError, match=says) as caught:
            export(**selection)
        assert "a proxy or firewall that caches" in str(caught.value)
        assert "max_input_vars" in str(caught.value)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("selection", "body"),
    [
        ({"records": ["É-1 ", "b"]}, "record_id,name\ne-1,x\nB,y\n"),  # one id for a database
        (
            {"records": ["1", "2"], **IDS},
            "record_id\n" + "9" * 32 + "\n",
        ),  # a hash
        ({"forms": ["visit"]}, f"{KEYS},name\n1,e,,,a\n1,e,visit,1,b\n"),
        ({"forms": ["drug"], "raw_or_label": "label"}, f"{KEYS},dose\n1,Later,Drugs,1,b\n"),
    ],
)
def test_rows_that_were_requested_are_returned(
    selection: dict[str, Any], body: str, server: Server, client: REDCapClient
) -> None:
    server.say("record", Reply(body.encode()))
    rows = body.count("\n") - 1

    assert client.export_records_table(**selection).num_rows == rows
    assert sum(len(batch) for batch in client.stream_records(**selection)) == rows


def test_rows_without_events_are_refused_where_events_were_requested() -> None:
    rows = pa.record_batch({"record_id": ["1"]})

    with pytest.raises(ResponseMismatchError, match="it lacks the column of events"):
        next(Requested.read({"events[0]": "e"}, "record_id").check_rows(iter([rows])))


def test_a_record_may_be_called_like_its_field_but_for_capitals(
    server: Server, client: REDCapClient
) -> None:
    server.say("record", Reply(b"record_id\nRecord_ID\n1\n"))
    assert client.export_census()["record_id"].to_pylist() == ["Record_ID", "1"]

    for header in (b"record_id", b"\xef\xbb\xbfrecord_id "):
        server.say("record", Reply(b"record_id\n1\n" + header + b"\n"))
        with pytest.raises(MalformedResponseError, match="a row is the header again"):
            client.export_census()


def test_a_mismatch_that_passes_is_overcome(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(b"record_id\n2\n"), Reply(b"record_id\n1\n"))
    assert client.export_records_table(records=["1"], fields=["record_id"]).num_rows == 1


def test_blank_rows_of_other_instruments_are_left_out(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(f"{KEYS},name\n1,e,,,a\n1,e,drug,1,\n".encode()))
    assert client.export_records_table(forms=["visit"]).num_rows == 1


def test_columns_of_checkboxes_are_known_by_the_list_of_the_server_or_by_their_name() -> None:
    known = REDCapProject.from_exports(
        metadata=DICTIONARY,
        field_names=[
            {"original_field_name": "race", "choice_value": code, "export_field_name": name}
            for code, name in (("1", "race___1"), ("2", "race___2"))
        ],
    )
    unknown = REDCapProject.from_exports(metadata=DICTIONARY)
    columns = ["record_id", "race___1", "race___ni"]
    asked = {"fields[0]": "record_id", "fields[1]": "race"}

    exact = Requested.read(asked, "record_id", known)
    by_name = Requested.read(asked, "record_id", unknown)

    assert (exact.find_other(columns), exact.find_missing(columns)) == (["race___ni"], ["race___2"])
    assert (by_name.find_other(columns), by_name.find_missing(columns)) == ([], [])
    assert by_name.find_missing(["record_id"]) == ["race"]


def test_a_checkbox_without_choices_may_have_columns_of_missing_data_codes() -> None:
    project = REDCapProject.from_exports(metadata=[*DICTIONARY, field("box", type="checkbox")])
    requested = Requested.read({"fields[0]": "box", "fields[1]": "record_id"}, "record_id", project)

    columns = ["record_id", "box___unk", "boxes"]
    assert (requested.find_other(columns), requested.find_missing(columns)) == (["boxes"], [])
    assert requested.find_missing(["record_id"]) == []


@pytest.mark.parametrize(
    ("flag", "columns"),
    [
        ("exportSurveyFields", ["redcap_survey_identifier", "visit_timestamp"]),
        ("exportDataAccessGroups", ["redcap_data_access_group"]),
        ("combineCheckboxOptions", ["race"]),
    ],
)
def test_columns_that_a_parameter_adds_belong_to_the_request(flag: str, columns: list[str]) -> None:
    names = [("race", "1", "race___1"), ("race", "2", "race___2")]
    keys = ("original_field_name", "choice_value", "export_field_name")
    project = REDCapProject.from_exports(
        metadata=DICTIONARY, field_names=[dict(zip(keys, row, strict=True)) for row in names]
    )
    asked = {"fields[0]": "race", "fields[1]": "name", "fields[2]": "record_id"}
    with_flag = Requested.read({**asked, flag: "true"}, "record_id", project)
    assert with_flag.find_other(columns) == []
    assert Requested.read(asked, "record_id", project).find_other(columns) == columns
    boxes = [] if flag == "combineCheckboxOptions" else ["race___1", "race___2"]
    assert with_flag.find_missing(["record_id", "name", *columns]) == boxes
