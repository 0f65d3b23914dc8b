"""Each method of the API: what it sends, and what it makes of the answer."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.api import MalformedResponseError, REDCapClient, REDCapError
from tests.fake_server import TOKEN, Reply, Server, json_reply

Call = Callable[[REDCapClient], object]

BEGIN, END = datetime(2024, 1, 2, 3, 4, 5), datetime(2024, 2, 1)  # noqa: DTZ001
NEW_TOKEN = "0" * 31 + "A"
ODM = '<?xml version="1.0" encoding="UTF-8" ?>\n<ODM>é</ODM>\n'
ARMS = [{"arm_num": 1, "name": "Arm 1"}]
EVENTS = [{"event_name": "e", "arm_num": 1, "unique_event_name": "e_arm_1"}]
MAPPING = [{"arm_num": 1, "unique_event_name": "e_arm_1", "form": "visit"}]
USERS = [{"username": "ann", "data_access_group": "", "forms": {"visit": 1}}]
PARTICIPANTS = [{"email": "a@b.example", "survey_link": "https://redcap.example/s"}]
DRAWN = {"randomization_id": 1, "record": "1", "target_field": "2", "target_field_alt": "*"}


def lines(content: str, name: str, *values: object) -> dict[str, str]:
    listed = {f"{name}[{number}]": str(value) for number, value in enumerate(values)}
    return {"content": content, **listed}


ROOMS: list[tuple[Call, dict[str, str], Reply, object]] = [
    (lambda c: c.export_arms([1, 2]), lines("arm", "arms", 1, 2), json_reply(ARMS), ARMS),
    (lambda c: c.export_events([1]), lines("event", "arms", 1), json_reply(EVENTS), EVENTS),
    (
        lambda c: c.export_form_event_mapping([1]),
        lines("formEventMapping", "arms", 1),
        json_reply(MAPPING),
        MAPPING,
    ),
    (
        lambda c: c.export_field_names("age"),
        {"content": "exportFieldNames", "field": "age"},
        json_reply([]),
        [],
    ),
    (
        lambda c: c.records.delete([1, "b"], arm=1, instrument="visit", event="e_arm_1"),
        lines("record", "records", 1, "b")
        | {"action": "delete", "arm": "1", "instrument": "visit", "event": "e_arm_1"}
        | {"delete_logging": "0"},
        Reply(b"2"),
        2,
    ),
    (
        lambda c: c.records.delete(["1"], repeat_instance=2, delete_logging=True),
        lines("record", "records", 1)
        | {"action": "delete", "repeat_instance": "2", "delete_logging": "1"},
        json_reply({"count": "1"}),
        1,
    ),
    (
        lambda c: c.records.rename("1", "2", 3),
        {
            "content": "record",
            "action": "rename",
            "record": "1",
            "new_record_name": "2",
            "arm": "3",
        },
        Reply(b"1"),
        None,
    ),
    (
        lambda c: c.records.randomize("1", 5, return_alt=True),
        {
            "content": "record",
            "action": "randomize",
            "record": "1",
            "randomization_id": "5",
            "returnAlt": "true",
        },
        json_reply(DRAWN),
        {name: str(value) for name, value in DRAWN.items()},
    ),
    (
        lambda c: c.records.generate_next_record_name(),
        {"content": "generateNextRecordName"},
        Reply(b"223-3"),
        "223-3",
    ),
    (
        lambda c: c.design.import_metadata("field_name,form_name,field_type\na,b,text\n"),
        {
            "content": "metadata",
            "action": "import",
            "format": "csv",
            "data": "field_name,form_name,field_type\na,b,text\n",
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.design.import_arms(pd.DataFrame(ARMS), override=True),
        {
            "content": "arm",
            "action": "import",
            "override": "1",
            "format": "csv",
            "data": "arm_num,name\n1,Arm 1\n",
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.design.delete_arms([1]),
        lines("arm", "arms", 1) | {"action": "delete"},
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.design.import_events([{"event_name": "e", "arm_num": 1}]),
        {
            "content": "event",
            "action": "import",
            "override": "0",
            "data": '[{"event_name": "e", "arm_num": 1}]',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.design.delete_events(["e_arm_1"]),
        lines("event", "events", "e_arm_1") | {"action": "delete"},
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.design.import_form_event_mapping(MAPPING),
        {
            "content": "formEventMapping",
            "action": "import",
            "data": '[{"arm_num": 1, "unique_event_name": "e_arm_1", "form": "visit"}]',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.design.import_repeating_forms_events([{"form_name": "drug"}]),
        {
            "content": "repeatingFormsEvents",
            "action": "import",
            "data": '[{"form_name": "drug"}]',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.projects.import_settings({"project_title": "é"}),
        {
            "content": "project_settings",
            "action": "import",
            "data": '{"project_title": "\\u00e9"}',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.projects.export_xml(
            return_metadata_only=True, export_files=True, records=["1"], filter_logic="1"
        ),
        lines("project_xml", "records", 1)
        | {"format": "xml", "returnMetadataOnly": "true", "exportFiles": "true"}
        | {"filterLogic": "1"},
        Reply(ODM.encode()),
        ODM,
    ),
    (
        lambda c: c.projects.create({"project_title": "t", "purpose": 0}, "<ODM/>"),
        {
            "content": "project",
            "action": "import",
            "data": '[{"project_title": "t", "purpose": 0}]',
            "odm": "<ODM/>",
        },
        Reply(f"select 1;{NEW_TOKEN}".encode()),
        NEW_TOKEN,
    ),
    (lambda c: c.users.export(), {"content": "user"}, json_reply(USERS), USERS),
    (
        lambda c: c.users.import_(USERS),
        {
            "content": "user",
            "action": "import",
            "data": '[{"username": "ann", "data_access_group": "", "forms": {"visit": 1}}]',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.users.delete(["ann"]),
        lines("user", "users", "ann") | {"action": "delete"},
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.roles.export(),
        {"content": "userRole"},
        json_reply([{"unique_role_name": "U-1"}]),
        [{"unique_role_name": "U-1"}],
    ),
    (
        lambda c: c.roles.import_([{"unique_role_name": "", "role_label": "r"}]),
        {
            "content": "userRole",
            "action": "import",
            "data": '[{"unique_role_name": "", "role_label": "r"}]',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.roles.delete(["U-1"]),
        lines("userRole", "roles", "U-1") | {"action": "delete"},
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.roles.export_mapping(),
        {"content": "userRoleMapping"},
        json_reply([{"username": "ann", "new_column": 1}]),
        [{"username": "ann", "new_column": 1}],
    ),
    (
        lambda c: c.roles.import_mapping([{"username": "ann", "unique_role_name": "U-1"}]),
        {
            "content": "userRoleMapping",
            "action": "import",
            "data": '[{"username": "ann", "unique_role_name": "U-1"}]',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.groups.export(),
        {"content": "dag"},
        json_reply([{"unique_group_name": "north"}]),
        [{"unique_group_name": "north"}],
    ),
    (
        lambda c: c.groups.import_("data_access_group_name,unique_group_name\nNorth,\n"),
        {
            "content": "dag",
            "action": "import",
            "format": "csv",
            "data": "data_access_group_name,unique_group_name\nNorth,\n",
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.groups.delete(["north"]),
        lines("dag", "dags", "north") | {"action": "delete"},
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.groups.switch(None),
        {"content": "dag", "action": "switch", "dag": ""},
        Reply(b"1"),
        None,
    ),
    (
        lambda c: c.groups.export_mapping(),
        {"content": "userDagMapping"},
        json_reply([{"username": "ann"}]),
        [{"username": "ann"}],
    ),
    (
        lambda c: c.groups.import_mapping([{"username": "ann", "redcap_data_access_group": ""}]),
        {
            "content": "userDagMapping",
            "action": "import",
            "data": '[{"username": "ann", "redcap_data_access_group": ""}]',
        },
        Reply(b"1"),
        1,
    ),
    (
        lambda c: c.log.export(
            logtype="record", user="ann", record=1, dag="north", begin_time=BEGIN, end_time=END
        ),
        {
            "content": "log",
            "logtype": "record",
            "user": "ann",
            "record": "1",
            "dag": "north",
            "beginTime": "2024-01-02 03:04",
            "endTime": "2024-02-01 00:00",
        },
        json_reply([{"timestamp": "2024-01-02 03:04"}]),
        [{"timestamp": "2024-01-02 03:04"}],
    ),
    (
        lambda c: c.repository.list_(7),
        {"content": "fileRepository", "action": "list", "folder_id": "7"},
        json_reply([{"doc_id": 1, "name": "a"}]),
        [{"doc_id": 1, "name": "a"}],
    ),
    (
        lambda c: c.repository.create_folder("n", 1, 2, 3),
        {
            "content": "fileRepository",
            "action": "createFolder",
            "name": "n",
            "folder_id": "1",
            "dag_id": "2",
            "role_id": "3",
        },
        json_reply([{"folder_id": 45}]),
        45,
    ),
    (
        lambda c: c.repository.delete(4),
        {"content": "fileRepository", "action": "delete", "doc_id": "4"},
        Reply(),
        None,
    ),
    (
        lambda c: c.files.delete("1", "scan", "e_arm_1", 2),
        {
            "content": "file",
            "action": "delete",
            "record": "1",
            "field": "scan",
            "event": "e_arm_1",
            "repeat_instance": "2",
        },
        Reply(),
        None,
    ),
    (
        lambda c: c.surveys.export_link("1", "visit", "e_arm_1", 2),
        {
            "content": "surveyLink",
            "record": "1",
            "instrument": "visit",
            "event": "e_arm_1",
            "repeat_instance": "2",
        },
        Reply(b"https://redcap.example/s/?s=a\n"),
        "https://redcap.example/s/?s=a",
    ),
    (
        lambda c: c.surveys.export_queue_link(1),
        {"content": "surveyQueueLink", "record": "1"},
        Reply(b"https://redcap.example/q"),
        "https://redcap.example/q",
    ),
    (
        lambda c: c.surveys.export_return_code("1", "visit"),
        {
            "content": "surveyReturnCode",
            "record": "1",
            "instrument": "visit",
            "repeat_instance": "1",
        },
        Reply(b"ABCD1234"),
        "ABCD1234",
    ),
    (
        lambda c: c.surveys.export_access_code("1", "visit"),
        {
            "content": "surveyAccessCode",
            "record": "1",
            "instrument": "visit",
            "repeat_instance": "1",
        },
        Reply(b"ABCD12345"),
        "ABCD12345",
    ),
    (
        lambda c: c.surveys.export_participants("visit", "e_arm_1"),
        {"content": "participantList", "instrument": "visit", "event": "e_arm_1"},
        json_reply(PARTICIPANTS),
        PARTICIPANTS,
    ),
]


@pytest.mark.parametrize(("call", "sent", "reply", "gives"), ROOMS)
def test_what_is_sent_and_what_comes_back(
    call: Call,
    sent: dict[str, str],
    reply: Reply,
    gives: object,
    server: Server,
    client: REDCapClient,
) -> None:
    server.say("project", json_reply({"is_longitudinal": 1}))
    server.say(sent["content"], reply)

    result = call(client)

    assert server.asked(sent["content"]) == [
        {"token": TOKEN, "format": "json", "returnFormat": "json"} | sent
    ]
    assert result == gives


@pytest.mark.parametrize(
    ("content", "call"),
    [
        ("user", lambda c: c.users.export()),
        ("surveyLink", lambda c: c.surveys.export_link("1", "visit")),
        ("project_xml", lambda c: c.projects.export_xml()),
        ("report", lambda c: c.reports.export(1)),
        ("file", lambda c: c.files.export("1", "scan")),
        ("pdf", lambda c: c.pdfs.export()),
    ],
)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(b""),
        Reply(b"<html>Sign on</html>"),
        json_reply({"error": "no"}),
        json_reply({"error": "no"}, 400),
        Reply(b"a\nb"),
    ],
    ids=["empty", "page", "error body", "refusal", "text"],
)
def test_nothing_is_taken_for_data_that_is_not(
    content: str, call: Call, reply: Reply, server: Server, client: REDCapClient
) -> None:
    if content == "report" and reply.body == b"a\nb":
        reply = Reply(b"a,a\nb,b\n")
    server.say(content, reply)

    with pytest.raises(REDCapError):
        call(client)


@pytest.mark.parametrize("body", [b'"1"\nx', b"[]", b'"a\nb"', b'{"link": 1}'])
def test_a_line_is_one_line(body: bytes, server: Server, client: REDCapClient) -> None:
    server.say("surveyQueueLink", Reply(body))

    with pytest.raises(MalformedResponseError, match="not a single line"):
        client.surveys.export_queue_link("1")


def test_a_project_that_breaks_off_is_none(server: Server, client: REDCapClient) -> None:
    server.say("project_xml", Reply(ODM[:-8].encode()))

    with pytest.raises(MalformedResponseError, match="breaks off"):
        client.projects.export_xml()


# -- frames ---------------------------------------------------------------------------------------


def test_a_report_is_text_with_nulls(server: Server, client: REDCapClient) -> None:
    server.say("report", Reply(b"name,n\na,01\n,\n"))

    frame = client.reports.export(7, raw_or_label="label", export_checkbox_label=True)

    assert frame["n"].tolist()[0] == "01"
    assert frame.isna().sum().sum() == 2
    [asked] = server.asked("report")
    assert {"report_id": "7", "rawOrLabel": "label", "exportCheckboxLabel": "true"}.items() <= (
        asked.items()
    )
    assert "decimalCharacter" not in asked


def test_a_cell_of_a_report_of_one_column_may_be_called_like_the_column(
    server: Server, client: REDCapClient
) -> None:
    server.say("report", Reply(b"smoker\nSmoker\nsmoker\nno\n"))
    assert client.reports.export(7)["smoker"].tolist() == ["Smoker", "smoker", "no"]

    server.say("report", Reply(b"smoker,age\nno,40\nsmoker,age\n"))
    with pytest.raises(MalformedResponseError, match="a row is the header again"):
        client.reports.export(7)


def test_a_report_without_rows_may_come_without_a_header(
    server: Server, client: REDCapClient
) -> None:
    server.say("report", Reply(), json_reply([]))

    frame = client.reports.export(7, decimal_character=",")

    assert frame.shape == (0, 0)
    assert [asked["format"] for asked in server.asked("report")] == ["csv", "json"]
    assert server.asked("report")[0]["decimalCharacter"] == ","


def test_single_values_are_a_frame_of_text(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(b"record,field_name,value\n1,name,07\n"))

    frame = client.records.export_eav(fields=["name"], raw_or_label="label", decimal_character=".")

    assert frame.to_dict("records") == [{"record": "1", "field_name": "name", "value": "07"}]
    asked: dict[str, Any] = server.asked("record")[0]
    assert (asked["type"], asked["rawOrLabel"], asked["decimalCharacter"]) == ("eav", "label", ".")
    assert "fields[1]" not in asked
