"""Faults between client and server: what they change, when, and that nothing else changes."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import (
    EMPTY,
    NO_DATABASE,
    OUT_OF_MEMORY,
    WEB_PAGE,
    Ban,
    Cost,
    Cut,
    Delimiter,
    DroppedRecords,
    Firewall,
    Latin1,
    Meanwhile,
    MemoryLimit,
    Redirect,
    Reset,
    SlowFirstByte,
    SlowTrickle,
    Status,
)
from redcap_dagster.sandbox.http import fault_injection
from redcap_dagster.sandbox.http.fault import Fault
from tests.dictionary import field
from tests.sandbox.conftest import CLASSIC_CSV, Ask

HEADER, *ROWS = CLASSIC_CSV.splitlines(keepends=True)
CELLS = 4 * 11


@pytest.fixture(autouse=True)
def faults(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.clear_faults()


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "body"),
    [
        (Status(503, "<html>Später</html>"), 503, "text/html; charset=utf-8", "<html>Später"),
        (Status(500, "no", "text/plain"), 500, "text/plain", "no"),
        (WEB_PAGE, 200, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        (OUT_OF_MEMORY, 200, "text/html; charset=utf-8", "<br />\n<b>Fatal error</b>:  Allowed"),
        (NO_DATABASE, 200, "text/html; charset=utf-8", "The hostname (db) / username"),
        (EMPTY, 200, "text/html; charset=utf-8", ""),
    ],
)
def test_responses_without_redcap(
    classic: str,
    ask: Ask,
    sandbox: Sandbox,
    fault: Fault,
    status: int,
    content_type: str,
    body: str,
) -> None:
    sandbox.inject(fault)
    answer = ask(classic, content="record", records="9")
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
    assert answer.text.startswith(body)
    assert bool(answer.text) == bool(body)
    seen = sandbox.requests[-1]
    assert (seen.content, seen.status) == ("record", status)
    assert seen.parameters == ("content", "format", "records", "token")


def test_headers_of_a_response(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(Status(429, headers={"retry-after": "7"}), times=1)
    sandbox.inject(Redirect("https://elsewhere.example/", 307), after=1, times=1)
    assert ask(classic, content="version").headers["retry-after"] == "7"
    moved = ask(classic, content="version")
    assert (moved.status_code, moved.headers["location"]) == (307, "https://elsewhere.example/")


def test_a_fault_intercepts_by_content_after_and_times(
    classic: str, ask: Ask, sandbox: Sandbox
) -> None:
    sandbox.inject(Status(503), content="record", after=1, times=2)
    contents = ["record", "version", "record", "metadata", "record", "record"]
    statuses = [ask(classic, content=content).status_code for content in contents]
    assert statuses == [200, 200, 503, 200, 503, 200]
    sandbox.inject(Status(502))
    assert {ask(classic, content="record").status_code for _ in range(3)} == {502}
    sandbox.clear_faults()
    assert ask(classic, content="record").text == CLASSIC_CSV


def test_faults_act_together_the_last_one_first(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(DroppedRecords(1))
    sandbox.inject(Latin1())
    whole = (HEADER + "".join(ROWS[:3])).encode()
    assert ask(classic, content="record").content == whole[:-1] + b"\xa0\n"
    sandbox.inject(EMPTY)
    assert ask(classic, content="record").content == b""


# -- what REDCap answered, spoilt -----------------------------------------------------------------


@pytest.mark.parametrize(("count", "kept"), [(1, ROWS[:3]), (2, []), (9, [])])
def test_records_are_dropped(
    classic: str, ask: Ask, sandbox: Sandbox, count: int, kept: list[str]
) -> None:
    sandbox.inject(DroppedRecords(count))
    assert ask(classic, content="record").text == HEADER + "".join(kept)
    answered = ask(classic, content="record", format="json").json()
    assert [row["id"] for row in answered] == ["9"] * len(kept)
    assert ask(classic, content="version").text == "14.7.3"


def test_dropped_records_lose_all_rows(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.edit(classic, record="11", field="note", value='"x",\n9,y\n')
    sandbox.inject(DroppedRecords(1))
    assert ask(classic, content="record").text == CLASSIC_CSV


def test_another_delimiter(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    as_asked = ask(classic, content="record", csvDelimiter=";").text
    as_json = ask(classic, content="record", format="json").text
    sandbox.inject(Delimiter(";"))
    assert ask(classic, content="record", csvDelimiter=",").text == as_asked
    assert ask(classic, content="record", format="json").text == as_json


@pytest.mark.parametrize("format_", ["csv", "json"])
@pytest.mark.parametrize("content", ["record", "metadata", "version"])
def test_a_lone_latin_1_byte(
    classic: str, ask: Ask, sandbox: Sandbox, format_: str, content: str
) -> None:
    right = ask(classic, content=content, format=format_)
    sandbox.inject(Latin1())
    answer = ask(classic, content=content, format=format_)
    assert answer.content.replace(b"\xa0", b"", 1) == right.content
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode()
    if format_ == "json" and content != "version":  # only one character is invalid
        assert json.loads(answer.content.decode("utf-8", "replace"))


# -- the connection -------------------------------------------------------------------------------


@contextmanager
def posted(sandbox: Sandbox, form: str, length: int, **headers: str) -> Iterator[socket.socket]:
    """Post a form through a socket, with any announced length."""
    head = {
        "Host": "localhost",
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": length,
        **headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    address = urlsplit(sandbox.url)
    with socket.create_connection((address.hostname, address.port), timeout=120) as connection:
        connection.sendall(f"POST /api/ HTTP/1.1\r\n{lines}\r\n{form}".encode())
        yield connection


def raw(sandbox: Sandbox, token: str, **headers: str) -> tuple[str, bytes]:
    """Request records through a socket; return head and body up to the end of the connection."""
    form = urlencode({"token": token, "content": "record", "format": "csv"})
    with posted(sandbox, form, len(form), **headers) as connection:
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    sent, _, body = answer.partition(b"\r\n\r\n")
    return sent.decode().lower(), body


@pytest.mark.parametrize("end", ["length", "chunks", "close"])
def test_a_connection_that_closes_early(classic: str, sandbox: Sandbox, end: str) -> None:
    sandbox.inject(Cut(0.5, end))  # type: ignore[arg-type]
    head, body = raw(sandbox, classic)
    whole = CLASSIC_CSV.encode()
    half = whole[: len(whole) // 2]
    assert head.startswith("http/1.1 200 ")
    assert (f"content-length: {len(whole)}\r\n" in head + "\r\n") == (end == "length")
    assert ("transfer-encoding: chunked" in head) == (end == "chunks")
    if end == "chunks":
        assert body == b"%x\r\n%s\r\n" % (len(half), half)
    else:
        assert body == half


def test_a_response_that_php_cuts(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(Cut(0.25, "whole"))
    whole = CLASSIC_CSV.encode()
    assert ask(classic, content="record").content == whole[: len(whole) // 4]


def test_a_reset_comes_after_redcap_handled_the_request(
    classic: str, ask: Ask, sandbox: Sandbox
) -> None:
    sandbox.inject(Reset(), times=1)
    with pytest.raises(requests.ConnectionError, match=r"reset"):
        ask(classic, content="record")
    assert (sandbox.requests[-1].content, sandbox.requests[-1].status) == ("record", 200)
    assert ask(classic, content="record").text == CLASSIC_CSV


def test_compression_is_as_without_faults(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(SlowFirstByte(0))
    packed = ask(classic, content="record")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["redcap-random-text"]
    assert packed.text == CLASSIC_CSV
    _, plain = raw(sandbox, classic, Connection="close")
    assert plain == CLASSIC_CSV.encode()


def test_slow_responses(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(SlowFirstByte(0.05), times=1)
    answer = ask(classic, content="record")
    assert answer.elapsed.total_seconds() >= 0.05
    sandbox.inject(SlowTrickle(pause=0.002, piece=16))
    began = time.monotonic()
    _, body = raw(sandbox, classic, Connection="close")
    assert time.monotonic() - began >= 0.002 * (len(body) // 16)
    assert body == CLASSIC_CSV.encode()


@pytest.mark.parametrize("fault", [SlowFirstByte(3600), SlowTrickle(3600)])
def test_the_server_does_not_wait_for_a_client_that_disconnected(
    classic: str, fault: Fault
) -> None:
    with Sandbox() as sandbox:
        sandbox.inject(fault)
        with pytest.raises(requests.RequestException, match="Read timed out"):
            requests.post(sandbox.url, {"token": classic}, timeout=(60, 0.05))
        assert sandbox._server is not None
        sandbox._server._server.config.timeout_graceful_shutdown = None  # a request may not end
        stopping = threading.Thread(target=sandbox.stop, daemon=True)
        stopping.start()
        stopping.join(60)
        assert not stopping.is_alive()


# -- too much -------------------------------------------------------------------------------------


def test_a_firewall_counts_records(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(Firewall(2))
    two = {"records[0]": "9", "records[1]": "10"}
    assert ask(classic, content="record", **two).text == CLASSIC_CSV
    refused = ask(classic, content="record", **two, **{"records[2]": "11"})
    assert (refused.status_code, refused.text[:6]) == (403, "<html>")


@pytest.mark.parametrize("asked", [{}, {"format": "json"}, {"csvDelimiter": "tab"}])
def test_memory_runs_out_over_cells(
    classic: str, ask: Ask, sandbox: Sandbox, asked: dict[str, str]
) -> None:
    sandbox.inject(MemoryLimit(CELLS))
    assert ask(classic, content="record", **asked).text.count("9") > 1
    sandbox.inject(MemoryLimit(CELLS - 1))
    assert ask(classic, content="record", **asked).text == OUT_OF_MEMORY.body
    assert ask(classic, content="record", records="10", **asked).text != OUT_OF_MEMORY.body


@pytest.mark.parametrize("fault", [MemoryLimit(CELLS), Cost(per_record=0.001)])
def test_a_response_without_rows_and_header_costs_nothing(fault: Fault) -> None:
    fields = [field("id")]
    with Sandbox(version="17.4.1") as sandbox:
        token = sandbox.add_project(exports={"metadata": fields}, records=[{"id": "1"}])
        sandbox.inject(fault, content="record")
        asked = {"token": token, "content": "record", "format": "csv", "records[0]": "2"}
        answer = requests.post(sandbox.url, data=asked, timeout=120)
    assert (answer.status_code, answer.text) == (200, "\n")


def test_a_ban_lasts(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(Ban(3))
    statuses = [ask(classic, content="version").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 403, 403]
    sandbox.clear_faults()
    assert ask(classic, content="version").status_code == 200


# -- meanwhile ------------------------------------------------------------------------------------


def test_something_happens_between_two_calls(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    sandbox.inject(Meanwhile(lambda: sandbox.delete_record(classic, "10")), after=1, times=1)
    bodies = [ask(classic, content="record").text for _ in range(3)]
    assert bodies == [CLASSIC_CSV, *[HEADER + "".join(ROWS[:3])] * 2]


def test_a_user_loses_rights_between_two_calls(classic: str, ask: Ask, sandbox: Sandbox) -> None:
    lose = Meanwhile(lambda: sandbox.set_rights(classic, {"api_export": 0}))
    sandbox.inject(lose, content="record", after=1, times=1)
    statuses = [ask(classic, content="record").status_code for _ in range(3)]
    assert statuses == [200, 403, 403]


def test_errors_of_a_fault_are_logged_without_their_text(
    classic: str, ask: Ask, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.inject(Meanwhile(lambda: sandbox.delete_record(classic, "canary")))
    assert ask(classic, content="record", records="canary").status_code == 500
    assert "a fault failed: KeyError" in caplog.text
    assert "canary" not in caplog.text


# -- bounds ---------------------------------------------------------------------------------------


def test_bodies_are_bounded_with_faults_too(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redcap_dagster.sandbox.http.form.MAX_BODY", 1000)
    monkeypatch.setattr(fault_injection, "MAX_BODY", 1000)
    sandbox.inject(SlowFirstByte(0))
    with posted(sandbox, "x" * 1001, 10**9) as connection:  # it does not wait for the rest
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_incomplete_request_is_not_recorded() -> None:
    with Sandbox() as sandbox:
        sandbox.inject(SlowFirstByte(0))
        with posted(sandbox, "content=version", 100):
            pass
        requests.post(sandbox.url, {"content": "project"}, timeout=120)
    assert [request.content for request in sandbox.requests] == ["project"]


@pytest.mark.parametrize(
    ("when", "says"),
    [({"content": "records"}, "content"), ({"after": -1}, "after"), ({"times": 0}, "times")],
)
def test_a_fault_that_could_never_strike_is_refused(
    sandbox: Sandbox, when: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        sandbox.inject(EMPTY, **when)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="not running"):
        Sandbox().inject(EMPTY)
