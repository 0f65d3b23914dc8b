"""A request has an end, though its response has none."""

import socket
import threading
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest
from urllib3.util import connection

from redcap_dagster.api import (
    MalformedResponseError,
    NetworkError,
    REDCapClient,
    ServerError,
)
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.api.http import session, transport
from redcap_dagster.api.http.response import Response, read_body
from tests.fake_server import TOKEN, Reply, Server, json_reply

Silent = Callable[[BaseException], None]


# -- answers without an end ------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "head": (b"", b"H"),
    "head, later": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
    "until it hangs up": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[]", b" "),
}


class LateTimer(threading.Timer):
    """A time limit that begins when the first bytes have come, however busy the machine is."""

    dripping = threading.Event()

    def run(self) -> None:
        assert self.dripping.wait(60)
        super().run()


def drip(listener: socket.socket, first: bytes, then: bytes, asked: list[bytes]) -> None:
    """Send a few bytes now and then, until the other one hangs up."""
    connection, _ = listener.accept()
    asked.append(connection.recv(1 << 16))
    LateTimer.dripping.set()
    hung_up = threading.Event()
    with connection:
        connection.sendall(first)
        try:
            while not hung_up.wait(0.02):
                connection.sendall(then)
        except OSError:
            pass


@pytest.mark.parametrize("kind", DRIPS)
def test_a_request_has_an_end_though_bytes_keep_coming(
    kind: str, assert_silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    LateTimer.dripping.clear()
    monkeypatch.setattr(session, "Timer", LateTimer)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener, *DRIPS[kind], asked))
        thread.start()
        client = REDCapClient(
            f"http://127.0.0.1:{listener.getsockname()[1]}/api/",
            TOKEN,
            read_timeout=60,
            total_timeout=0.3,
        )
        with pytest.raises(NetworkError, match="raise total_timeout") as caught:
            client.export_metadata()
        thread.join()

    assert caught.value.overdue
    assert len(asked) == 1  # it is not sent again
    assert_silent(caught.value)


@pytest.mark.parametrize("kind", ["chunks", "length", "until it hangs up"])
def test_the_endless_body_of_an_error_is_given_up(
    kind: str, assert_silent: Silent, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, then = DRIPS[kind]
    asked: list[bytes] = []
    LateTimer.dripping.clear()
    monkeypatch.setattr(session, "Timer", LateTimer)
    monkeypatch.setattr(transport, "_ERROR_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        drips = (listener, first.replace(b"200 OK", b"500 No"), then, asked)
        thread = threading.Thread(target=drip, args=drips)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        client = REDCapClient(url, TOKEN, read_timeout=60, total_timeout=600, retries=0)
        with pytest.raises(ServerError, match="status 500") as caught:
            client.export_metadata()
        thread.join()

    assert waits == []
    assert_silent(caught.value)


def test_a_limit_that_passes_before_the_connection_is_open_ends_the_request(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed, opened, aborted = threading.Event(), threading.Event(), threading.Event()
    connect = connection.create_connection

    def connect_late(*args: Any, **kwargs: Any) -> socket.socket:
        assert passed.wait(60)
        opened.set()
        return connect(*args, **kwargs)

    abort = session.Session.abort

    def abort_and_tell(one: session.Session) -> None:
        passed.set()
        if opened.is_set():
            aborted.set()
            abort(one)

    monkeypatch.setattr(connection, "create_connection", connect_late)
    monkeypatch.setattr(session.Session, "abort", abort_and_tell)
    server.say("metadata", Reply(end="never"))
    client = REDCapClient(server.url, TOKEN, read_timeout=10, total_timeout=0.05, retries=0)

    with pytest.raises(NetworkError, match="raise total_timeout") as caught:
        client.export_metadata()

    assert caught.value.overdue
    assert aborted.is_set()


def test_a_client_that_is_stopped_before_its_connection_is_open_ends_the_request(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = connection.create_connection

    def connect_late(*args: Any, **kwargs: Any) -> socket.socket:
        client.stop()
        return connect(*args, **kwargs)

    monkeypatch.setattr(connection, "create_connection", connect_late)
    server.say("metadata", Reply(end="never"))
    client = REDCapClient(server.url, TOKEN, read_timeout=10, retries=0)

    with pytest.raises(NetworkError, match="it was lost"):
        client.export_metadata()


def test_what_came_in_time_is_not_cut_off_later(
    server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[threading.Timer] = []

    def timer(seconds: float, function: Callable[[], None]) -> threading.Timer:
        timers.append(threading.Timer(seconds, function))
        return timers[-1]

    monkeypatch.setattr(session, "Timer", timer)
    client = REDCapClient(server.url, TOKEN, total_timeout=60)
    client.export_metadata()
    server.say("project", json_reply({"project_id": 1}))

    assert timers
    for each in timers:
        each.join(30)  # it ends at once, as it was cancelled
        assert not each.is_alive()
    assert client.export_project_info()["project_id"] == 1
    assert waits == []


def test_a_text_without_an_end_is_given_up() -> None:
    endless = cycle([b" " * (1 << 16)])
    answer = Response("metadata export", "https://a/", 200, {}, endless, print)

    with pytest.raises(MalformedResponseError, match="longer than 1 MiB"):
        read_body(answer, 1 << 20)
    with pytest.raises(MalformedResponseError, match="header is longer than 16 MiB"):
        open_csv(answer, "id")
