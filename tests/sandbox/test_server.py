"""The sandbox from Python."""

import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from redcap_dagster import sandbox as sandbox_package
from redcap_dagster.sandbox import HandledRequest, Sandbox
from tests.sandbox.conftest import CLASSIC, CLASSIC_CSV, CLASSIC_RECORDS, Ask, asker


def test_edit_changes_ticks_and_clears(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    def line(record: str) -> str:
        return ask(classic, content="record", records=record, forms="visit").text.splitlines()[-1]

    sandbox.edit(classic, record="10", field="note", value="")
    sandbox.edit(classic, record="10", field="race___1", value="1")
    sandbox.edit(classic, record="10", field="race____99", value="0")
    assert line("10") == "10,,,,1,0,2"
    sandbox.edit(classic, record="12", field="visit_complete", value="1")
    assert line("12") == "12,,,,0,0,1"
    sandbox.delete_record(classic, "10")
    assert "\n10," not in ask(classic, content="record").text
    with pytest.raises(KeyError, match="does not have this record"):
        sandbox.delete_record(classic, "10")


def test_edit_of_an_access_group_is_for_the_arm(
    longitudinal: str, sandbox: Sandbox, ask: Ask
) -> None:
    group = "redcap_data_access_group"
    sandbox.edit(longitudinal, record="1", event="first_arm_1", field=group, value="east")
    sandbox.edit(longitudinal, record="1", event="first_arm_2", field=group, value="")
    rows = ask(longitudinal, content="record", exportDataAccessGroups="true", format="json").json()
    assert [row[group] for row in rows] == ["east", "", "east", "east", "east"]


@pytest.mark.parametrize(
    "place",
    [
        {"field": "nothing"},
        {"field": "id"},
        {"field": "race___1", "value": "2"},
        {"field": "dose"},
        {"field": "note", "repeat_instrument": "drug", "repeat_instance": 1},
        {"field": "dose", "repeat_instrument": "drug"},
        {"field": "note", "repeat_instrument": "visit", "repeat_instance": 1},
        {"field": "note", "event": "first_arm_1"},
    ],
)
def test_edit_refuses_what_no_export_would_show(
    classic: str, sandbox: Sandbox, place: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"^(?!.*canary)"):
        sandbox.edit(classic, **{"record": "canary", "value": "canary", **place})


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"id": "canary", "weight": "canary"}], "does not have the columns weight"),
        ([{"note": "canary"}], "Row 1 of records has no id"),
        ([{"id": "canary", "redcap_repeat_instance": "canary"}], "Row 1 of records"),
        ([{"id": "canary", "redcap_event_name": "canary"}], "redcap_event_name"),
        ([{"id": "canary", "race___1": "canary"}], "race___1"),
    ],
)
def test_add_project_refuses_rows_without_naming_values(
    sandbox: Sandbox, records: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        sandbox.add_project(exports=CLASSIC, records=records)
    assert "canary" not in str(error.value)
    assert error.value.__context__ is None


def test_add_project_takes_either_xml_or_exports(sandbox: Sandbox) -> None:
    token = "0123456789ABCDEF" * 2
    assert sandbox.add_project(exports=CLASSIC, token=token) == token
    wrongs: list[dict[str, Any]] = [
        {},
        {"xml": "a.xml", "exports": CLASSIC},
        {"exports": {"instrument": []}},
        {"exports": CLASSIC | {"users": []}},
        {"exports": CLASSIC, "token": "x"},
        {"exports": CLASSIC, "token": token},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"^(?!.*0123456789)"):
            sandbox.add_project(**wrong)


def test_projects_are_deleted_when_it_stops() -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        sandbox.add_project(exports=CLASSIC)
    sandbox.start()
    token, url = sandbox.add_project(exports=CLASSIC), sandbox.url
    assert url.startswith("http://127.0.0.1:")
    assert asker(sandbox)(token, content="version").text == "14.7.3"
    ours = {
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith(("redcap-sandbox", "AnyIO worker"))
    }
    assert "redcap-sandbox" in {thread.name for thread in ours}
    assert len(ours) > 1
    sandbox.stop()
    sandbox.stop()
    for thread in ours:
        thread.join(60)
        assert not thread.is_alive()
    with pytest.raises(requests.ConnectionError):
        requests.post(url, timeout=120)
    with sandbox:
        assert sandbox.requests == ()
        assert asker(sandbox)(token, content="version").status_code == 403


def test_projects_can_be_kept_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "kept.sqlite"
    with Sandbox(keep=file) as first:
        token = first.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        assert file.stat().st_mode & 0o777 == 0o600
        with pytest.raises(ValueError, match="another process"):
            Sandbox(keep=file).start()
    with Sandbox(keep=file) as second:
        assert asker(second)(token, content="record").content.decode() == CLASSIC_CSV
        assert second.add_project(exports=CLASSIC) != token


def test_a_file_that_is_not_a_sandbox_s_is_not_changed(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.sqlite"
    text.write_text("canary" * 100)
    with closing(sqlite3.connect(other)) as database:
        database.execute("create table canary (id)")
    for file in (text, other):
        before = file.read_bytes()
        with pytest.raises(ValueError, match="not a sandbox's"):
            Sandbox(keep=file).start()
        assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("host", "warnings"), [("127.0.0.1", 0), ("localhost", 0), ("192.0.2.1", 1)]
)
def test_it_warns_if_others_can_reach_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, warnings: int
) -> None:
    create = socket.create_server

    class Listener(socket.socket):
        def getsockname(self) -> tuple[str, int]:
            return (host.replace("localhost", "127.0.0.1"), super().getsockname()[1])

    def on_loopback(address: tuple[str, int]) -> socket.socket:
        """Listen on loopback only, whatever host is given, because this is a test."""
        assert address[0] == host
        return Listener(fileno=create(("127.0.0.1", address[1])).detach())

    monkeypatch.setattr(socket, "create_server", on_loopback)
    with Sandbox(host=host) as sandbox:
        assert sandbox.url.startswith(f"http://{host}:")
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == warnings


def test_requests_at_the_same_time(classic: str, ask: Ask) -> None:
    bodies: list[str] = []
    threads = [
        threading.Thread(target=lambda: bodies.append(ask(classic, content="record").text))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [CLASSIC_CSV] * 8


def test_versions_are_three_numbers() -> None:
    with pytest.raises(ValueError, match="three numbers"):
        Sandbox("14")


def test_earlier_names_still_work(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    ask(classic, content="version")
    assert isinstance(sandbox.requests[-1], sandbox_package.Answered)
    assert sandbox_package.Answered is HandledRequest
    token = sandbox.add_user(classic, "ann")
    assert sandbox.token_of(classic, "ann") == sandbox.get_token(classic, "ann") == token
