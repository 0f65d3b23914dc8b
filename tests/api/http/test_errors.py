"""Each thing that goes wrong has its own type, says what to do, and shows no data."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import requests

from redcap_dagster.api import (
    BlockedError,
    EmptyResponseError,
    ErrorBodyError,
    IncompleteExportError,
    MalformedResponseError,
    NetworkError,
    NotApplicableError,
    NotUTF8Error,
    REDCapClient,
    REDCapError,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
    TokenError,
    WebPageError,
    WrongURLError,
)
from tests.fake_server import CANARY, RECORDS, TOKEN, Reply, Server, json_reply

PAGE = f"<!DOCTYPE html>\n<html><body>{CANARY}</body></html>".encode()
PHP = f"<br />\n<b>Fatal error</b>:  Allowed memory size of 1 bytes {CANARY}".encode()
NO_API = "You do not have permissions to use the API"
NO_RIGHT = (
    "Insufficient user privileges: You must have 'API Export' privileges and 'Data Access Groups' "
    f"privileges in the project. {CANARY}"
)
MEMORY = "REDCap ran out of server memory. The request cannot be processed."
DATABASE = f"The hostname ({CANARY}) / username (u) / password (p) combination could not connect"
UNKNOWN = f"Something new about {CANARY}"
FIELDS = f"The following values in the parameter \"fields\" are not valid: 'agee', '{CANARY}'"
RECORD = f'The record "{CANARY}" does not exist'
HASH = f'<?xml version="1.0" encoding="UTF-8" ?><hash><error>{UNKNOWN}</error></hash>'


def refused(message: str, status: int = 400) -> Reply:
    return json_reply({"error": message}, status)


def flushed(body: bytes) -> bytes:
    """Compress a body as a server that dies does: all of it is there, only the end is not."""
    gzip = zlib.compressobj(wbits=31)
    return gzip.compress(body) + gzip.flush(zlib.Z_SYNC_FLUSH)


@dataclass(frozen=True)
class Fault:
    """A reply to every request, and what it becomes."""

    name: str
    reply: Reply
    error: type[REDCapError]
    says: str
    tries: int = 1
    attributes: dict[str, object] = field(default_factory=dict)


LONG = UNKNOWN + "x" * (1 << 18)

ALWAYS = [
    Fault("token", refused(NO_API, 403), TokenError, "user does not have API rights"),
    Fault("token in a 200", refused(NO_API, 200), TokenError, "user does not have API rights"),
    Fault("rights", refused(NO_RIGHT, 403), RightsError, "Data Access Groups. Ask for it", 1,
          {"rights": ("API Export", "Data Access Groups")}),
    Fault("unknown 403", refused(UNKNOWN, 403), RightsError, "Check the user's rights"),
    Fault("firewall", Reply(PAGE, 403), BlockedError, "Ask the server's administrator"),
    Fault("wrong path", Reply(PAGE, 404), WrongURLError, "it ends in /api/"),
    Fault("not a POST", Reply(HASH.replace(UNKNOWN, "The requested method is not implemented.")
          .encode(), 501), WrongURLError, "it ends in /api/"),
    Fault("501", Reply(b"", 501), WrongURLError, "it ends in /api/"),
    Fault("too large", Reply(PAGE, 413), RefusedError, "request less"),
    Fault("page", Reply(PAGE), WebPageError, "Open the URL in a browser", 3),
    Fault("PHP died", Reply(PHP), ServerMemoryError, "Request fewer records"),
    Fault("memory", refused(MEMORY, 200), ServerMemoryError, "Request fewer records"),
    Fault("memory in a 500", refused(MEMORY, 500), ServerMemoryError, "Request fewer records"),
    Fault("database", Reply(DATABASE.encode()), ServerError, "Try again later", 3),
    Fault("tabs", Reply(PAGE.replace(b"</body>", b"multiple browser tabs of the same REDCap page")),
          ServerError, "lower concurrency", 3),
    Fault("deleted", refused("The REDCap project no longer exists because it was deleted."),
          RefusedError, "Remove it", 1, {"kind": "project deleted"}),
    Fault("unknown fields", refused(FIELDS), RefusedError, "2 more. Leave them out", 1,
          {"kind": "unknown fields", "names": ()}),
    Fault("unknown record", refused(RECORD), RefusedError, "may have been deleted", 1,
          {"kind": "unknown record", "records": (CANARY,)}),
    Fault("unknown records", refused(FIELDS.replace("fields", "records")), RefusedError,
          "does not know 2 of the records", 1, {"records": ("agee", CANARY)}),
    Fault("unknown message", refused(UNKNOWN), RefusedError, "attribute server_message", 1,
          {"kind": "unknown", "server_message": UNKNOWN}),
    Fault("error as JSON in a 200", refused(UNKNOWN, 200), ErrorBodyError, "server_message", 1,
          {"server_message": UNKNOWN}),
    Fault("error as text in a 200", Reply(f"ERROR: {UNKNOWN}".encode()), ErrorBodyError,
          "server_message", 1, {"server_message": UNKNOWN}),
    Fault("error as XML in a 200", Reply(HASH.encode()), ErrorBodyError, "server_message", 1,
          {"server_message": UNKNOWN}),
    Fault("error as a list in a 200", Reply(b"[%s]" % refused(UNKNOWN).body), ErrorBodyError,
          "server_message", 1, {"server_message": UNKNOWN}),
    Fault("long error as a list", Reply(b"[%s]" % refused(LONG).body, 400), RefusedError,
          "attribute server_message"),
    Fault("long error as JSON in a 200", refused(LONG, 200), ErrorBodyError, "server_message"),
    Fault("long error as XML in a 200", Reply(HASH.replace(UNKNOWN, LONG).encode()),
          ErrorBodyError, "server_message"),
    Fault("error that breaks off", Reply(refused(LONG).body[:-100]), ErrorBodyError,
          "server_message"),
    Fault("chunk of a size below zero",
          Reply(b"-5\r\n%s\r\n" % RECORDS, 200, {"Transfer-Encoding": "chunked"}, end="closed"),
          NetworkError, "broke off", 3),
    Fault("gzip without an end", Reply(flushed(RECORDS), 200, {"Content-Encoding": "gzip"}),
          NetworkError, "broke off", 3),
    Fault("broken gzip", Reply(b"x" + gzip.compress(RECORDS), 200, {"Content-Encoding": "gzip"}),
          NetworkError, "broke off", 3),
    Fault("reset", Reply(end="reset"), NetworkError, "Check the URL, VPN and firewall", 3),
    Fault("cut, by its length", Reply(RECORDS, end="short"), NetworkError, "broke off", 3),
    Fault("cut, by its chunks", Reply(RECORDS, end="chunks"), NetworkError, "broke off", 3),
    *(
        Fault(f"status {status}", Reply(PAGE, status), ServerError, "Try again later", 3,
              {"status": status})
        for status in (408, 429, 500, 502, 503, 504)
    ),
    Fault("status 503 in Brotli", Reply(b"\x8b", 503, {"Content-Encoding": "br"}), ServerError,
          "Try again later", 3, {"status": 503}),
]  # fmt: skip

IN_RECORDS = [
    Fault("Brotli", Reply(b"\x8b\x02\x80 \xe9", 200, {"Content-Encoding": "br"}),
          MalformedResponseError, "compressed as br, although"),
    Fault("zstd in gzip", Reply(gzip.compress(b"\x28\xb5\x2f\xfd"), 200,
          {"Content-Encoding": "ZSTD, gzip"}), MalformedResponseError, "compressed as zstd"),
    Fault("gzip without its header", Reply(gzip.compress(RECORDS)), MalformedResponseError,
          "not text but gzip"),
    Fault("deflate without its header", Reply(zlib.compress(RECORDS)), MalformedResponseError,
          "not text but compressed"),
    Fault("Latin-1 in a cell", Reply(RECORDS + b"3,\xe9,,\n"), NotUTF8Error, "row 3, column name"),
    Fault("Latin-1 in the header", Reply(b"record_id,\xe9\n"), NotUTF8Error, "the header"),
    Fault("too many cells", Reply(RECORDS + f"3,4,{CANARY},,\n".encode()), MalformedResponseError,
          "row 3 has 5 cells of 4"),
    Fault("open quote", Reply(RECORDS + f'3,"{CANARY},,\n'.encode()), MalformedResponseError,
          "breaks off"),
    Fault("half a row", Reply(RECORDS + b"3,4"), MalformedResponseError, "breaks off"),
    Fault("half a header", Reply(b"record_id,na"), MalformedResponseError, "within its header"),
    Fault("no record id", Reply(f"name\n{CANARY}\n".encode()), MalformedResponseError,
          "lacks the record id, record_id"),
    Fault("semicolons", Reply(RECORDS.replace(b",", b";")), MalformedResponseError,
          "separated by ';'"),
    Fault("a column twice", Reply(b"record_id,name,name\n1,2,3\n"),
          MalformedResponseError, "twice"),
    Fault("bare carriage return", Reply(RECORDS + f"3,{CANARY}\r4,,\n".encode()),
          MalformedResponseError, "carriage return"),
    Fault("PHP died within", Reply(RECORDS + PHP + b"\n"), ServerMemoryError, "fewer"),
    Fault("PHP died within, unknown", Reply(RECORDS + b"<br />\n<b>Fatal error</b>:  "
          + CANARY.encode() + b"\n"), WebPageError, "Open the URL", 3),
]  # fmt: skip

IN_STRUCTURE = [
    Fault("empty", Reply(b""), EmptyResponseError, "request less"),
    Fault("blank", Reply(b" \n"), EmptyResponseError, "request less"),
    Fault("Latin-1", Reply(b'{"project_title": "\xe9"}'), NotUTF8Error, "byte 19"),
    Fault("half of it", Reply(f'{{"project_title": "{CANARY}'.encode()), MalformedResponseError,
          "not well-formed JSON at character 18"),
    Fault("a long error at the end", json_reply({"project_title": LONG, "error": UNKNOWN}),
          ErrorBodyError, "server_message", 1, {"server_message": UNKNOWN}),
    Fault("another shape", json_reply([CANARY]), MalformedResponseError, "not a JSON object"),
]  # fmt: skip


def provoke(server: Server, fault: Fault, content: str, ask: Callable[[], object]) -> REDCapError:
    server.say(content, fault.reply)
    with pytest.raises(REDCapError) as caught:
        ask()
    error = caught.value
    assert type(error) is fault.error
    assert fault.says in str(error)
    assert str(error).startswith(f"{content} export")
    assert error.request == f"{content} export"
    assert len(server.asked(content)) == fault.tries
    for name, value in fault.attributes.items():
        assert getattr(error, name) == value
    return error


@pytest.mark.parametrize("fault", ALWAYS + IN_RECORDS, ids=lambda fault: fault.name)
def test_records(
    fault: Fault,
    server: Server,
    client: REDCapClient,
    assert_silent: Callable[[BaseException], None],
) -> None:
    error = provoke(server, fault, "record", client.export_records)

    assert_silent(error)


@pytest.mark.parametrize("fault", ALWAYS + IN_STRUCTURE, ids=lambda fault: fault.name)
def test_structure(
    fault: Fault,
    server: Server,
    client: REDCapClient,
    assert_silent: Callable[[BaseException], None],
) -> None:
    client.export_metadata()  # the URL is known to be that of REDCap

    error = provoke(server, fault, "project", client.export_project_info)

    assert_silent(error)


@pytest.mark.parametrize("fault", ALWAYS + IN_RECORDS, ids=lambda fault: fault.name)
def test_streamed_records(
    fault: Fault,
    server: Server,
    client: REDCapClient,
    assert_silent: Callable[[BaseException], None],
) -> None:
    server.say("record", fault.reply)

    with pytest.raises(fault.error) as caught:
        list(client.stream_records())

    assert fault.says in str(caught.value)
    assert_silent(caught.value)


def test_no_answer_within_the_time_limit(
    server: Server, waits: list[float], assert_silent: Callable[[BaseException], None]
) -> None:
    server.say("project", Reply(end="never"))
    client = REDCapClient(server.url, TOKEN, read_timeout=0.05, retries=1)

    with pytest.raises(NetworkError, match="raise read_timeout") as caught:
        client.export_project_info()

    server.wait_for("project", 2)
    assert len(server.asked("project")) == 2
    assert len(waits) == 1
    assert_silent(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(
    status: int,
    server: Server,
    client: REDCapClient,
    assert_silent: Callable[[BaseException], None],
) -> None:
    location = f"https://u:{CANARY}@elsewhere.example/{CANARY}/api;{CANARY}?{CANARY}#{CANARY}"
    server.say("project", Reply(b"", status, {"Location": location}))

    with pytest.raises(WrongURLError, match="redirects to another host ") as caught:
        client.export_project_info()

    assert caught.value.url is None
    assert len(server.requests) == 1
    assert_silent(caught.value)


def test_a_redirect_to_a_path_names_the_whole_address(server: Server, client: REDCapClient) -> None:
    server.say("project", Reply(b"", 301, {"Location": f"/redcap/api/?{CANARY}"}))
    address = f"http://127.0.0.1:{server.server_port}/redcap/api/"

    with pytest.raises(WrongURLError, match=f"redirects to {address} ") as caught:
        client.export_project_info()

    assert caught.value.url == address


def test_what_is_not_applicable_is_not_asked_for(server: Server, client: REDCapClient) -> None:
    server.say(
        "project", json_reply({"is_longitudinal": 0, "has_repeating_instruments_or_events": 0})
    )

    assert client.export_arms() == []
    assert client.export_events() == []
    assert client.export_form_event_mapping() == []
    assert client.export_repeating_forms_events() == []
    assert {request["content"] for request in server.requests} == {"project"}


def test_not_applicable_is_none(server: Server, client: REDCapClient) -> None:
    server.say("project", json_reply({"project_id": 1}))  # of 2017: it does not say
    text = "You cannot export {} for classic projects"
    server.say("arm", refused(text.format("arms")))
    server.say("event", refused(text.format("events")))
    server.say("formEventMapping", refused(text.format("form/event mappings")))
    text = "You cannot export repeating instruments and events because the project does not ..."
    server.say("repeatingFormsEvents", refused(text))
    server.say("instrument", refused(text))

    assert client.export_arms() == []
    assert client.export_events() == []
    assert client.export_form_event_mapping() == []
    assert client.export_repeating_forms_events() == []
    with pytest.raises(NotApplicableError):
        client.export_instruments()


def test_an_empty_export_is_no_rows_only_if_json_says_so(
    server: Server, client: REDCapClient, assert_silent: Callable[[BaseException], None]
) -> None:
    server.say("record", Reply(b"\n"), json_reply([]))
    assert client.export_records().shape == (0, 1)
    server.say("record", Reply(b""), json_reply([]))
    assert [batch.num_rows for batch in client.stream_records()] == [0]
    assert [request["format"] for request in server.asked("record")] == ["csv", "json"] * 2

    server.say("record", Reply(b""), json_reply([{"record_id": CANARY}]), Reply(RECORDS))
    assert client.export_records().shape == (2, 4)
    server.say("record", Reply(b""), json_reply([{"record_id": CANARY}]), Reply(b""))
    with pytest.raises(EmptyResponseError) as caught:
        client.export_records()
    assert_silent(caught.value)


def test_access_groups_are_left_out_for_a_user_who_may_not_see_them(
    server: Server, client: REDCapClient
) -> None:
    server.say("record", refused(NO_RIGHT), Reply(b"record_id\n1\n"))

    assert client.export_census().to_pydict() == {"record_id": ["1"]}

    asked = [request.get("exportDataAccessGroups") for request in server.asked("record")]
    assert asked == ["true", None]

    server.say("record", refused("You do not have Delete Record privileges", 403))
    with pytest.raises(RightsError, match="Delete Record"):
        client.export_census()
    assert len(server.asked("record")) == 4


def test_every_answer_is_let_go_of(
    server: Server, client: REDCapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    close = requests.Response.close

    def count(response: requests.Response) -> None:
        closed.append(response.status_code)
        close(response)

    monkeypatch.setattr(requests.Response, "close", count)
    server.say("record", Reply(status=503), Reply(RECORDS), Reply(PAGE), Reply(PAGE, 404))

    client.export_metadata()
    list(client.stream_records())
    for _ in range(2):
        with pytest.raises(REDCapError):
            list(client.stream_records())

    assert closed == [200, 503, 200, 200, 404]


def test_a_record_that_an_export_lacks_is_noticed(
    server: Server, client: REDCapClient, assert_silent: Callable[[BaseException], None]
) -> None:
    lacking = Reply(b"record_id\n2\n")
    server.say("record", Reply(RECORDS), lacking, lacking, Reply(RECORDS))
    census = client.export_census()
    export = census.slice(1)

    client.check_complete(census.slice(2), census.slice(2))  # none at all
    client.check_complete(census, census)
    client.check_complete(export, census)  # the first was deleted meanwhile: two listings agree
    with pytest.raises(IncompleteExportError, match="1 records") as caught:
        client.check_complete(export, census)

    assert caught.value.missing == 1
    assert_silent(caught.value)
