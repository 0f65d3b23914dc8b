"""Records deleted and renamed, what users may do, and the log of it all."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import (
    CLASSIC,
    CLASSIC_RECORDS,
    LONGITUDINAL,
    Ask,
    asker,
    imported,
    stored,
)
from tests.sandbox.conftest import LONGITUDINAL_RECORDS as LONG_RECORDS


def ids(ask: Ask, token: str, **more: str) -> list[str]:
    return list(dict.fromkeys(row["id"] for row in stored(ask, token, **more)))


# -- delete and rename ----------------------------------------------------------------------------


def test_delete(classic: str, ask: Ask) -> None:
    asked = {"content": "record", "action": "delete"}
    wrong = ask(classic, **asked, **{"records[0]": "10", "records[1]": "77", "records[2]": "78"})
    assert wrong.status_code == 400
    assert wrong.text == (
        "ERROR: One or more of the records provided cannot be deleted because they do not exist "
        "in the project. The following records do not exist: 77, 78"
    )
    assert ids(ask, classic) == ["9", "10"]
    assert ask(classic, **asked).status_code == 400
    gone = ask(classic, **asked, **{"records[0]": "10"})
    assert (gone.status_code, gone.text) == (200, "1")
    assert ids(ask, classic) == ["9"]


def test_delete_a_form_or_an_instance(classic: str, ask: Ask) -> None:
    asked = {"content": "record", "action": "delete", "records": "9"}
    ask(classic, **asked, instrument="drug")  # the first instance, which is not there
    assert len(stored(ask, classic, records="9")) == 3
    ask(classic, **asked, instrument="drug", repeat_instance="10")
    ask(classic, **asked, instrument="lab")
    rows = stored(ask, classic, records="9")
    assert [(row["redcap_repeat_instance"], row["scan"], row["dose"]) for row in rows] == [
        ("", "", ""),
        ("2", "", "5"),
    ]
    assert ask(classic, **asked, instrument="x").status_code == 400


def test_a_deleted_form_takes_its_files_along(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    asked = {"content": "file", "record": "9", "field": "scan"}
    sent = {"token": classic, "action": "import", **asked}
    file = {"file": ("a.txt", b"x", "text/plain")}
    assert requests.post(sandbox.url, sent, files=file, timeout=20).ok
    assert ask(classic, **asked, action="export").content == b"x"
    ask(classic, content="record", action="delete", records="9", instrument="lab")
    assert ask(classic, **asked, action="export").status_code == 400


def test_delete_in_one_arm_or_event(longitudinal: str, ask: Ask) -> None:
    asked = {"content": "record", "action": "delete", "records": "1"}
    assert ask(longitudinal, **asked, instrument="visit").status_code == 400
    assert ask(longitudinal, **asked, arm="9").status_code == 400
    assert ask(longitudinal, **asked, event="first_arm_1", instrument="visit").text == "1"
    assert [row["age"] for row in stored(ask, longitudinal, events="first_arm_1")] == ["", ""]
    assert ask(longitudinal, **asked, arm="2").text == "1"
    events = {row["redcap_event_name"] for row in stored(ask, longitudinal)}
    assert events == {"first_arm_1", "then_arm_1"}
    assert ask(longitudinal, **asked).text == "1"
    assert stored(ask, longitudinal) == []


def test_rename(longitudinal: str, classic: str, ask: Ask) -> None:
    asked = {"content": "record", "action": "rename"}
    groups = {"exportDataAccessGroups": "true"}
    before = stored(ask, longitudinal, **groups)
    assert ask(longitudinal, **asked, record="1", new_record_name="7").text == "1"
    assert stored(ask, longitudinal, **groups) == [row | {"id": "7"} for row in before]
    for old, new in (("77", "78"), ("9", "10"), ("9", ""), ("", "9")):
        assert ask(classic, **asked, record=old, new_record_name=new).status_code == 400
    assert ids(ask, classic) == ["9", "10"]


# -- rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "asked", "status", "message"),
    [
        ("api_export", {}, 403, "You do not have API Export privileges"),
        ("api_import", {"data": "[]"}, 403, "You do not have API Import/Update privileges"),
        ("record_delete", {"action": "delete"}, 403, "You do not have Delete Record privileges"),
        ("record_rename", {"action": "rename"}, 403, "You do not have Rename Record privileges"),
        (
            "record_create",
            {"data": "id,note\n5,x"},
            403,
            "You do not have Create Record privileges",
        ),
        ("logging", {"content": "log"}, 400, "Insufficient user privileges: You must have"),
    ],
)
def test_rights_that_are_missing(
    classic: str,
    sandbox: Sandbox,
    ask: Ask,
    missing: str,
    asked: dict[str, str],
    status: int,
    message: str,
) -> None:
    sandbox.set_rights(classic, {missing: 0})
    answer = ask(classic, **{"content": "record", "records": "9"} | asked)
    assert answer.status_code == status
    assert answer.text.startswith(f"ERROR: {message}")
    sandbox.set_rights(classic, {missing: 1})
    assert ids(ask, classic) == ["9", "10"]


@pytest.mark.parametrize("right", [0, 2, 128, 129])
def test_forms_that_the_user_may_not_edit(
    classic: str, sandbox: Sandbox, ask: Ask, right: int
) -> None:
    sandbox.set_rights(classic, {"forms": {"visit": right, "drug": 1}})
    before = stored(ask, classic)
    drug = {"id": "9", "redcap_repeat_instrument": "drug", "redcap_repeat_instance": "2"}
    answer = imported(ask, classic, [drug | {"dose": "6"}, {"id": "9", "note": "x"}])
    message = "You do not have View & Edit privileges to these instruments: visit"
    assert (answer.status_code, answer.json()["error"]) == (403, message)
    assert stored(ask, classic) == before
    # A blank that changes nothing is no change.
    assert imported(ask, classic, [drug | {"dose": "6", "note": ""}]).ok
    sandbox.set_rights(classic, {"forms": {"visit": 1, "lab": right}})
    assert imported(ask, classic, [{"id": "9", "note": "x"}]).ok
    asked = {"content": "file", "action": "delete", "record": "9", "field": "scan"}
    assert "View & Edit privileges to these instruments: lab" in ask(classic, **asked).text


def test_users_of_one_project(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    other = sandbox.add_user(classic, "ana", {"forms_export": {"visit": 0}})
    assert imported(ask, other, [{"id": "9", "note": "of ana"}]).ok
    assert "note" not in stored(ask, other)[0]
    assert stored(ask, classic)[0]["note"] == "of ana"
    (entry,) = ask(classic, content="log", format="json", logtype="record").json()
    assert entry["username"] == "ana"
    with pytest.raises(ValueError, match="user of this name"):
        sandbox.add_user(classic, "ana")


def test_rights_are_known_ones(classic: str, sandbox: Sandbox) -> None:
    for rights in ({"export": 1}, {"api_export": "yes"}, {"forms_export": 1}):
        with pytest.raises(ValueError, match="right"):
            sandbox.set_rights(classic, rights)
    sandbox.set_rights(classic, {"api_export": 0, "api_import": 0})
    answer = asker(sandbox)(classic, content="version")
    assert answer.text == "ERROR: You do not have permissions to use the API"


def test_a_group_hides_all_others(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(
        exports=LONGITUDINAL, records=LONG_RECORDS, rights={"data_access_group": "south"}
    )
    rows = stored(ask, token, exportDataAccessGroups="true")
    assert [row["redcap_event_name"] for row in rows] == ["first_arm_2"]
    assert "redcap_data_access_group" not in rows[0]
    changes: list[dict[str, Any]] = [
        {"id": "1", "redcap_event_name": "first_arm_1", "age": "9"},
        {"id": "2", "redcap_event_name": "first_arm_2", "redcap_data_access_group": "north"},
    ]
    for row in changes:
        assert imported(ask, token, [row]).status_code == 400
    name = ask(token, content="generateNextRecordName").text
    assert re.fullmatch("[0-9]+-1", name)
    imported(ask, token, [{"id": name, "redcap_event_name": "first_arm_2", "age": "9"}])
    assert ids(ask, token) == ["1", name]
    sandbox.set_rights(token, {"data_access_group": ""})
    groups = stored(ask, token, exportDataAccessGroups="true", records=name)
    assert groups[0]["redcap_data_access_group"] == "south"


def test_an_identifying_record_id_is_hashed(sandbox: Sandbox, ask: Ask) -> None:
    for identifier, level, length in (("y", 1, 1), ("y", 2, 32), ("y", 3, 32), ("", 3, 1)):
        field = {"field_name": "id", "form_name": "a", "identifier": identifier}
        exports, rights = {"metadata": [field]}, {"forms_export": {"a": level}}
        token = sandbox.add_project(exports=exports, records=[{"id": "7"}], rights=rights)
        assert [len(row["id"]) for row in stored(ask, token)] == [length]


def test_fields_without_access_cannot_be_named(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports=CLASSIC, rights={"forms_export": {"lab": 0}})
    assert ask(token, content="record", fields="scan").status_code == 400
    assert ask(token, content="record", fields="note").status_code == 200


# -- the log --------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, minutes: int) -> None:
        self.time += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(time_zone=timezone(timedelta(hours=9)), clock=clock) as sandbox:
        yield sandbox


def test_the_log_in_server_time(timed: Sandbox, clock: Clock) -> None:
    ask = asker(timed)
    token = timed.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
    ask(token, content="record")
    clock.pass_by(10)
    imported(ask, token, [{"id": "11", "note": "new"}, {"id": "10", "race___1": "1"}])
    imported(ask, token, [{"id": "10", "race___1": "1"}])  # changes nothing
    clock.pass_by(10)
    ask(token, content="record", action="delete", records="11")
    ask(token, content="metadata")
    log = ask(token, content="log", format="json").json()
    assert [tuple(entry.values()) for entry in log] == [
        ("2026-03-02 08:50", "sandbox", "Manage/Design ", "Download data dictionary (API)", ""),
        ("2026-03-02 08:50", "sandbox", "Delete record 11", "", "11"),
        ("2026-03-02 08:40", "sandbox", "Update record (API) 10", "race___1 = '1'", "10"),
        ("2026-03-02 08:40", "sandbox", "Create record (API) 11", "id = '11', note = 'new'", "11"),
        (
            "2026-03-02 08:30",
            "sandbox",
            "Data export (API) ",
            "export_format: CSV, rawOrLabel: raw",
            "",
        ),
    ]
    assert list(log[0]) == ["timestamp", "username", "action", "details", "record"]


def test_filters_of_the_log(timed: Sandbox, clock: Clock) -> None:
    ask = asker(timed)
    token = timed.add_project(exports=LONGITUDINAL, records=LONG_RECORDS)
    for record, group in (("1", "north"), ("2", "south")):
        row = {"id": record, "redcap_event_name": "first_arm_1", "redcap_data_access_group": group}
        imported(ask, token, [row | {"age": "5"}])
        clock.pass_by(10)

    def records(**filters: str) -> list[str]:
        answer = ask(token, content="log", format="json", **filters)
        return [entry["record"] for entry in answer.json()]

    assert records(logtype="record") == ["2", "1"]
    assert records(logtype="record_add") == ["2"]
    assert records(record="1") == ["1"]
    assert records(dag="north") == ["1"]
    assert records(user="nobody") == []
    assert records(logtype="manage", endTime="2026-03-02 08:49") == []
    assert records(beginTime="2026-03-02 08:40", logtype="record_edit") == []
    assert records(beginTime="2026-03-02 08:30", endTime="2026-03-02 08:30") == ["1"]
    assert records(beginTime="2026-03-02 08:30:59", endTime="2026-03-02 08:30:00") == ["1"]
    assert ask(token, content="log", logtype="x").status_code == 400
    assert ask(token, content="log", beginTime="yesterday").status_code == 400


def test_date_ranges_are_answered_from_the_log(timed: Sandbox, clock: Clock) -> None:
    ask = asker(timed)
    token = timed.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
    clock.pass_by(1)
    imported(ask, token, [{"id": "11", "note": "new"}])
    clock.pass_by(1)
    timed.edit(token, record="10", field="note", value="edited")
    assert ids(ask, token, dateRangeBegin="2026-03-02 08:30:00") == ["10", "11"]
    assert ids(ask, token, dateRangeBegin="2026-03-02 08:31:00") == ["10"]
    assert ids(ask, token, dateRangeEnd="2026-03-02 08:32:00") == ["11"]
    # A record comes whole, with what did not change.
    assert stored(ask, token, dateRangeBegin="2026-03-02 08:31:00")[0]["race____99"] == "1"
    # Neither what the project was made with nor a new name is seen.
    ask(token, content="record", action="rename", record="9", new_record_name="12")
    assert ids(ask, token, dateRangeBegin="2000-01-01 00:00:00") == ["10", "11"]
