"""Responses made to deceive: an error is found wherever it stands, and none breaks the client."""

import pickle
import socket
import threading
from collections.abc import Callable

import pytest
import requests

from redcap_dagster.api import (
    ErrorBodyError,
    MalformedResponseError,
    NetworkError,
    REDCapClient,
    REDCapError,
    RefusedError,
    ServerError,
    WrongURLError,
)
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.status_errors import raise_status_error
from tests.fake_server import CANARY, TOKEN, Reply, Server, json_reply

Silent = Callable[[BaseException], None]


def test_an_error_in_a_cell_of_json_is_no_error(server: Server, client: REDCapClient) -> None:
    text = "<hash><error>none</error></hash>"
    server.say("instrument", json_reply([{"instrument_name": "a", "instrument_label": text}]))

    assert client.export_instruments()[0]["instrument_label"] == text


@pytest.mark.parametrize("xml", ["", '<?xml version="1.0" encoding="UTF-8" ?>', "<?xml?>\n"])
def test_an_error_in_xml_is_one(xml: str, server: Server, client: REDCapClient) -> None:
    server.say("instrument", Reply(f"{xml}<hash> <error>no</error></hash>".encode()))

    with pytest.raises(ErrorBodyError) as caught:
        client.export_instruments()
    assert caught.value.server_message == "no"


# -- answers that break other libraries -----------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://redcap.example.edu/api/", "https://redcap.example.edu/api/"),
        (
            "https://www.redcap.example.edu/redcap/api/",
            "https://www.redcap.example.edu/redcap/api/",
        ),
        ("https://SSO.example.edu:443/", "https://SSO.example.edu:443/"),
        ("//example.edu/api", "https://example.edu/api"),
        (f"https://u:{CANARY}@redcap.example.edu/api/", "https://redcap.example.edu/api/"),
        (f"/{TOKEN}/api", "https://redcap.example.edu/****"),
        (f"/{TOKEN.lower()}/{CANARY}?{CANARY}#{CANARY}", "https://redcap.example.edu/****"),
        (f"https://{TOKEN}.example.edu/", "another host"),
        (f"https://{TOKEN[:16]}.{TOKEN[16:]}.example.edu/", "another host"),
        (f"https://{TOKEN[:16].lower()}.example.edu/", "another host"),
        (f"https://{CANARY}.redcap.example.edu/api/", "another host"),
        (f"https://{CANARY}/", "another host"),
        ("https://[::1]/api/", "another host"),
        ("https://redcap.example.edu:4711/api/", "another host"),
        ("https://redcap.example.edu:99999/api/", "an invalid URL"),
        ("http://[x", "an invalid URL"),
        (f"{CANARY}:x", "an invalid URL"),
        ("ftp://redcap.example.edu/api/", "an invalid URL"),
        (f"https://{CANARY} x/", "an invalid URL"),
        (f"https://a\u2100{CANARY}/x", "an invalid URL"),  # urllib quotes it in its error
    ],
)
def test_a_redirect_shows_only_words_of_the_url_that_was_requested(
    location: str, target: str, assert_silent: Silent
) -> None:
    url, headers = "https://redcap.example.edu/api/", {"Location": location}

    with pytest.raises(WrongURLError, match="never sent after a redirect") as caught:
        raise_status_error(Response("version export", url, 302, headers, iter([]), print))

    assert caught.value.url == (target if "://" in target else None)
    assert f"redirects to {target} (status 302)" in str(caught.value)
    assert_silent(caught.value)
    for part in (TOKEN[:16], TOKEN[16:], "4711"):
        assert part.lower() not in f"{caught.value} {pickle.dumps(caught.value)!r}".lower()


@pytest.mark.parametrize("location", [f"http://[{CANARY}", f"{CANARY}:x", f"http://{CANARY}:x/"])
def test_an_invalid_redirect_is_not_read_by_requests_either(
    location: str, server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    server.say("project", Reply(b"", 302, {"Location": location}))

    with pytest.raises(WrongURLError, match="never sent after a redirect") as caught:
        client.export_project_info()

    assert len(server.requests) == 1
    assert_silent(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": f"y\r\n{CANARY} without a colon\r\nA: {CANARY}"},
        {"X": f"y\r\n\t{CANARY}\r\n{TOKEN}"},
        {"Set-Cookie": f"{CANARY}={CANARY}; expires={CANARY}; version={CANARY}; port={CANARY}"},
        {"Content-Type": f"multipart/{CANARY}; boundary={CANARY}; charset={CANARY}"},
        {"Content-Encoding": CANARY},
        {"Transfer-Encoding": CANARY},
        {"X": f"{CANARY * 10_000}"},
        {f"{CANARY}-{number}": "x" for number in range(200)},
    ],
    ids=lambda headers: next(iter(headers)),
)
@pytest.mark.parametrize("status", [200, 403, 500])
def test_no_header_is_heard(
    headers: dict[str, str],
    status: int,
    server: Server,
    client: REDCapClient,
    assert_silent: Silent,
    recwarn: pytest.WarningsRecorder,
) -> None:
    server.say("project", Reply(f"<p>{CANARY}</p>".encode(), status, headers, end="closed"))

    with pytest.raises(REDCapError) as caught:
        client.export_project_info()

    assert_silent(caught.value)
    assert CANARY not in "".join(str(warning.message) for warning in recwarn)


def test_warnings_of_other_connections_are_left_alone(
    server: Server, client: REDCapClient, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {"X": "y\r\nwithout a colon"}
    server.say("project", json_reply({"project_id": 1}), Reply(b"", 200, odd, end="closed"))
    client.export_project_info()

    requests.post(server.url, data={"content": "project"}, timeout=60)

    assert "Failed to parse headers" in caplog.text


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 0001 00:00:00 -0000",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "soon",
    ],
)
def test_an_absurd_time_to_wait_is_none(
    date: str, server: Server, client: REDCapClient, waits: list[float]
) -> None:
    server.say("project", Reply(status=503, headers={"Retry-After": date}))

    with pytest.raises(ServerError) as caught:
        client.export_project_info()

    assert not caught.value.retry_after
    assert len(waits) == 2


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000])
def test_json_that_is_nested_too_deep(
    body: bytes, server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    server.say("project", Reply(body))

    with pytest.raises(MalformedResponseError, match="nested too deeply") as caught:
        client.export_project_info()
    assert caught.value.__context__ is None
    assert_silent(caught.value)


def hang_up(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        connection.recv(1 << 16)  # what was not read would reset the connection
        connection.close()


def test_a_server_that_hangs_up_on_tls_is_asked_again(waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=hang_up, args=(listener, 2))
        thread.start()
        client = REDCapClient(f"https://127.0.0.1:{listener.getsockname()[1]}/", TOKEN, retries=1)
        with pytest.raises(NetworkError, match="ended the TLS connection"):
            client.export_project_info()
        thread.join()

    assert len(waits) == 1


def test_a_server_without_tls_is_told_apart(server: Server, waits: list[float]) -> None:
    client = REDCapClient(server.url.replace("http:", "https:"), TOKEN)

    with pytest.raises(WrongURLError, match="does not speak TLS at this port") as caught:
        client.export_project_info()

    assert caught.value.__context__ is None
    assert waits == []


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        "The values in the parameter \"{}\" are not valid: 'a'",
        '"{}" parameter has been provided with a value, but the value is not an array',
    ],
)
def test_a_parameter_is_named_only_if_the_api_has_it(
    message: str, server: Server, client: REDCapClient
) -> None:
    for word, shown in (("records", "records"), ("Hippolyta", "values")):
        server.say("instrument", json_reply({"error": message.format(word)}, 400))
        with pytest.raises(RefusedError, match=shown) as caught:
            client.export_instruments()
        assert caught.value.kind != "unknown"
        assert "hippolyta" not in f"{caught.value} {caught.value.kind}".lower()
