"""Each request: its limits, what it carries, and what it must not carry."""

import gc
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.fake_server import TOKEN, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"


@pytest.mark.parametrize(
    "limits",
    [{"retries": -1}, {"backoff": -1}, {"rate_limit": 0}, {"ca_bundle": "/nowhere/ca.pem"}],
)
def test_senseless_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        REDCapClient(FAR, TOKEN, **limits)


# -- the request ----------------------------------------------------------------------------------


def test_the_request_carries_what_it_needs_and_no_more(
    server: Server, client: REDCapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say("project", replace(INFO, headers={"Set-Cookie": "session=1"}))
    # A proxy that does not exist: what is for this machine must not go by it.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    client.export_project_info()
    client.export_project_info()

    assert server.requests[1] == {
        "token": TOKEN,
        "content": "project",
        "format": "json",
        "returnFormat": "json",
    }
    headers = server.headers[1]
    assert headers["User-Agent"].startswith("redcap-dagster/")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Cookie" not in headers


def test_an_idle_connection_is_kept_open(server: Server, client: REDCapClient) -> None:
    """Routers and firewalls forget a connection on which nothing is sent for minutes."""
    server.say("project", INFO)
    client.export_project_info()
    (connected,) = client._transport._session._adapter.sockets
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_change_is_not_sent_on_a_connection_that_the_server_is_closing(
    server: Server, client: REDCapClient
) -> None:
    """It is sent once: were the connection lost, nobody would know whether it was made."""

    class Closing(server.RequestHandlerClass):  # type: ignore[name-defined,misc]
        served = False

        def do_POST(self) -> None:  # noqa: N802
            if self.served:
                self.close_connection = True
                return
            self.served = True
            super().do_POST()

    server.RequestHandlerClass = Closing
    server.say("project", INFO)
    server.say("user", json_reply(1))
    client.export_project_info()
    assert client.users.delete(["somebody"]) == 1


def test_no_password_of_netrc_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine redcap.example.edu login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert (
        requests.Session()
        .prepare_request(requests.Request("POST", FAR))
        .headers.get("Authorization")
    )

    session = REDCapClient(FAR, TOKEN)._transport._session

    prepared = session.prepare_request(requests.Request("POST", FAR))
    assert "Authorization" not in prepared.headers


def test_a_client_that_nobody_uses_closes_its_connection() -> None:
    with Sandbox() as sandbox:  # which keeps connections open, as servers do
        token = sandbox.add_project(exports={"metadata": [field("record_id")]})
        client = REDCapClient(sandbox.url, token)
        client.export_project_info()
        (connection,) = client._transport._session._adapter.sockets
        assert connection.fileno() != -1

        del client
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):  # the time limit of the request
                thread.join()
        gc.collect()

        assert connection.fileno() == -1
