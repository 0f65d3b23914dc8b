"""Records deleted and renamed."""

import requests

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import (
    Ask,
    stored,
)


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


def test_delete_an_instrument_or_an_instance(classic: str, ask: Ask) -> None:
    asked = {"content": "record", "action": "delete", "records": "9"}
    ask(classic, **asked, instrument="drug")  # the first instance, which does not exist
    assert len(stored(ask, classic, records="9")) == 3
    ask(classic, **asked, instrument="drug", repeat_instance="10")
    ask(classic, **asked, instrument="lab")
    rows = stored(ask, classic, records="9")
    assert [(row["redcap_repeat_instance"], row["scan"], row["dose"]) for row in rows] == [
        ("", "", ""),
        ("2", "", "5"),
    ]
    assert ask(classic, **asked, instrument="x").status_code == 400


def test_a_deleted_instrument_deletes_its_files(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    asked = {"content": "file", "record": "9", "field": "scan"}
    sent = {"token": classic, "action": "import", **asked}
    file = {"file": ("a.txt", b"x", "text/plain")}
    assert requests.post(sandbox.url, sent, files=file, timeout=120).ok
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
