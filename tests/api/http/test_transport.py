"""Each request: its limits, what it carries, and what it must not carry."""

from dataclasses import replace
from pathlib import Path

import pytest
import requests

from redcap_dagster.api import (
    REDCapClient,
)
from tests.fake_server import TOKEN, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"


<<<<<<< HEAD
=======
# -- addresses and tokens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        (" https://redcap.example.edu/api", FAR),
        ("https://redcap.example.edu/api//", FAR),
        ("https://redcap.example.edu:8443/r/api/", "https://redcap.example.edu:8443/r/api/"),
        ("http://localhost:80/api/", "http://localhost:80/api/"),
        ("http://127.8.9.1/api", "http://127.8.9.1/api/"),
        ("http://[::1]:1/api", "http://[::1]:1/api/"),
    ],
)
def test_addresses_are_normalized(url: str, normal: str) -> None:
    assert REDCapClient(url, TOKEN).url == normal


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://redcap.example.edu/api/", "https://"),
        ("http://127.0.0.1.example.edu/api/", "https://"),
        ("http://localhost@example.edu/api/", "user name"),
        ("https://me:CANARY@redcap.example.edu/api/", "user name"),
        ("https://redcap.example.edu/api/?token=CANARY", "from the"),
        ("https://redcap.example.edu/api/#CANARY", "from the"),
        ("ftp://redcap.example.edu/api/", "https://"),
        ("redcap.example.edu/api/", "not a URL"),
        ("https://[CANARY/api/", "not a URL"),
        ("https://redcap.example.edu:CANARY/api/", "not a URL"),
        ("", "not a URL"),
    ],
)
def test_an_address_that_a_token_must_not_go_to_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        REDCapClient(url, TOKEN)

    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "0", TOKEN[:-1] + "-", TOKEN * 3])
def test_what_is_no_token_is_refused_unseen(token: str) -> None:
    with pytest.raises(ValueError, match="Copy it again") as caught:
        REDCapClient(FAR, token)

    assert TOKEN[:8] not in str(caught.value)


def test_what_surrounds_a_token_is_stripped(server: Server) -> None:
    server.say("project", INFO)

    REDCapClient(server.url, f" {TOKEN}\n").export_project_info()

    assert server.requests[0]["token"] == TOKEN


def test_a_client_shows_no_token_and_is_not_pickled() -> None:
    client = REDCapClient(FAR, TOKEN)

    for shown in (repr(client), str(vars(client)), str(client), f"{client}"):
        assert TOKEN not in shown
    for attempt in (dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            attempt(client)
        with pytest.raises(TypeError, match="cannot be pickled"):
            attempt(client._transport)


>>>>>>> 9ac5b62 (The words of api/http and of the errors: what happened, why, what to do)
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
