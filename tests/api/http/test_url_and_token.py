"""Where a token may go, and where it is never seen."""

import copy
import socket
from collections.abc import Callable
from pickle import dumps
from typing import Any

import pytest

from redcap_dagster.api import NetworkError, REDCapClient
from tests.fake_server import TOKEN, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"


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
        ("https://", "not a URL"),
        ("https:///CANARY/", "not a URL"),
        ("https://CANARY\\.example.edu/api/", "not a URL"),
        ("https://CANARY%2eexample.edu/api/", "not a URL"),
        *(
            (url.format(character), "newline")
            for character in ("\n", "\r\n", "\t", "\0", "\x1b", "\x7f", "\u200b", "\u2028", "\xa0")
            for url in (
                "https://redcap.example.edu/{}CANARY/api/",
                "https://redcap.{}CANARY.edu/api/",
                "https{}://CANARY.example.edu/api/",
                "https://me:CANARY{}@redcap.example.edu/api/",
                "https://CANARY.example.edu/api/{}",
                "{}https://CANARY.example.edu/api/",
            )
        ),
        ("https://redcap.example.edu/CANARY api/", "newline"),
        ("https://redcap. CANARY.edu/api/", "newline"),
    ],
)
def test_an_address_that_a_token_must_not_go_to_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        REDCapClient(url, TOKEN)

    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("nothing", [None, ""])  # os.environ.get returns None
def test_a_missing_url_or_token_is_said_to_be_missing(nothing: Any) -> None:
    with pytest.raises(ValueError, match=r"url: is missing\."):
        REDCapClient(nothing, TOKEN)
    with pytest.raises(ValueError, match=r"token: is missing\."):
        REDCapClient(FAR, nothing)


def test_a_name_that_is_not_found_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "CANARY")

    monkeypatch.setattr(socket, "getaddrinfo", find_nothing)
    with pytest.raises(NetworkError, match=r"redcap\.example\.edu: the name .* not found\."):
        REDCapClient(FAR, TOKEN, retries=0).export_version()


@pytest.mark.parametrize("token", ["x", TOKEN[:-1], TOKEN + "0", TOKEN[:-1] + "-", TOKEN * 3])
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


Silent = Callable[[BaseException], None]


@pytest.mark.parametrize("host", ["a..b", ".example.edu", f"{'a' * 64}.example.edu"])
def test_a_host_that_cannot_be_is_refused_at_once(host: str) -> None:
    with pytest.raises(ValueError, match="not a URL") as caught:
        REDCapClient(f"https://{host}/api/", TOKEN)

    assert type(caught.value) is ValueError
    assert caught.value.__context__ is None


# -- keys for hashes ------------------------------------------------------------------------------


def test_a_digest_key_is_of_the_token_and_does_not_tell_it() -> None:
    here = "https://redcap.example.edu/api/"
    key = REDCapClient(here, TOKEN).digest_key

    assert key == REDCapClient("https://other.example.edu/api/", f" {TOKEN}").digest_key
    assert key != REDCapClient(here, TOKEN[::-1]).digest_key
    assert len(key) == 32
    assert TOKEN.encode() not in key
    assert bytes.fromhex(TOKEN) not in key
