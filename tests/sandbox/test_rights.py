"""The rights of users."""

import re
from typing import Any

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import (
    CLASSIC,
    LONGITUDINAL,
    Ask,
    asker,
    imported,
    stored,
)
from tests.sandbox.conftest import LONGITUDINAL_RECORDS as LONG_RECORDS


def ids(ask: Ask, token: str, **more: str) -> list[str]:
    return list(dict.fromkeys(row["id"] for row in stored(ask, token, **more)))


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
    # A blank that changes nothing is not a change.
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


def test_unknown_rights_are_refused(classic: str, sandbox: Sandbox) -> None:
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
    cases = (("y", 1, 1), ("Y", 2, 32), ("y", 3, 32), ("", 3, 1), ("n", 3, 1))
    for identifier, level, length in cases:
        row = field("id", "a", identifier=identifier)
        exports, rights = {"metadata": [row]}, {"forms_export": {"a": level}}
        token = sandbox.add_project(exports=exports, records=[{"id": "7"}], rights=rights)
        assert [len(row["id"]) for row in stored(ask, token)] == [length]


def test_fields_without_access_cannot_be_named(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports=CLASSIC, rights={"forms_export": {"lab": 0}})
    assert ask(token, content="record", fields="scan").status_code == 400
    assert ask(token, content="record", fields="note").status_code == 200
