"""How often a request is sent, and how long the client waits in between."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from redcap_dagster.api import (
    NetworkError,
    REDCapClient,
    ServerError,
    TokenError,
    WebPageError,
)
from tests.fake_server import CANARY, METADATA, RECORDS, TOKEN, Reply, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"


# -- retries --------------------------------------------------------------------------------------


def test_failures_that_pass_are_tried_again(
    server: Server, client: REDCapClient, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    broken = Reply(f"<p>{CANARY}</p>".encode(), 503)
    server.say("record", broken, Reply(RECORDS, end="short"), Reply(RECORDS))

    assert client.export_records().shape == (2, 4)

    assert len(server.asked("record")) == 3
    assert len(waits) == 2
    texts = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert texts[0].startswith("record export: ServerError, status 503; retry 1 of 2 in ")
    assert texts[1].startswith("record export: NetworkError; retry 2 of 2 in ")
    assert CANARY not in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_retries_are_counted(server: Server, waits: list[float], retries: int) -> None:
    server.say("project", Reply(status=502))

    with pytest.raises(ServerError):
        REDCapClient(server.url, TOKEN, retries=retries).export_project_info()

    assert len(server.requests) == retries + 1
    assert len(waits) == retries
    assert all(0 <= wait <= 60 for wait in waits)


def test_a_web_page_of_a_url_that_never_sent_data_is_retried_once(
    server: Server, waits: list[float]
) -> None:
    page = Reply(b"<html><body>Welcome</body></html>")
    server.say("project", page)
    server.say("metadata", page, json_reply(METADATA))
    client = REDCapClient(server.url, TOKEN, retries=5)

    with pytest.raises(WebPageError):
        client.export_project_info()
    assert len(waits) == 1

    assert len(client.export_metadata()) == len(METADATA)  # it is REDCap after all
    waits.clear()
    with pytest.raises(WebPageError):
        client.export_project_info()
    assert len(waits) == 5


def test_the_first_wait_is_as_short_as_it_is_told_to_be(server: Server, waits: list[float]) -> None:
    server.say("project", Reply(status=502))

    with pytest.raises(ServerError):
        REDCapClient(server.url, TOKEN, retries=3, backoff=0.001).export_project_info()

    assert all(wait <= most for wait, most in zip(waits, (0.001, 0.002, 0.004), strict=True))


def test_what_will_not_pass_is_not_tried_again(
    server: Server, client: REDCapClient, waits: list[float]
) -> None:
    server.say("project", json_reply({"error": "You do not have permissions to use the API"}, 403))

    with pytest.raises(TokenError):
        client.export_project_info()

    # A second request shows whether REDCap forbids this one or any with the token.
    assert [request["content"] for request in server.requests] == ["project", "version"]
    assert waits == []


def test_a_server_is_left_alone_as_long_as_it_wants(
    server: Server, client: REDCapClient, waits: list[float]
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    server.say(
        "project",
        Reply(status=429, headers={"Retry-After": "70"}),
        Reply(status=503, headers={"Retry-After": date}),
        INFO,
    )

    client.export_project_info()

    assert waits[0] == 70
    assert 30 < waits[1] <= 90  # a busy machine may take long to read the date


def test_a_server_that_wants_to_be_left_alone_for_long_is_not_asked_again(
    server: Server, client: REDCapClient, waits: list[float]
) -> None:
    server.say("project", Reply(status=429, headers={"Retry-After": "3600"}))

    with pytest.raises(ServerError) as caught:
        client.export_project_info()

    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1
    assert waits == []


def test_a_stream_that_breaks_off_is_not_begun_again(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(status=503), Reply(RECORDS, end="short"))

    with pytest.raises(NetworkError):
        list(client.stream_records())

    assert len(server.asked("record")) == 2
