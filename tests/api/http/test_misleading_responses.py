"""Answers made to deceive: what is no export is never taken for one, and what is one always is."""

import socket
import threading
from collections.abc import Callable
from itertools import cycle

import pytest

from redcap_dagster.api import (
    ErrorBodyError,
    MalformedResponseError,
    NetworkError,
    REDCapClient,
    RefusedError,
    ServerError,
    ServerMemoryError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.api.http.response import Response, check_status, read_body
from tests.fake_server import CANARY, TOKEN, Reply, Server, json_reply

Silent = Callable[[BaseException], None]

SIZES = (1, 2, 7, 100_000)


def read(body: bytes, size: int) -> list[dict[str, str | None]]:
    chunks = iter([body[start : start + size] for start in range(0, len(body), size)])
    answer = Response("record export", "https://redcap.example.edu/api/", 200, {}, chunks, print)
    rows: list[dict[str, str | None]] = open_csv(answer, "id").read_all().to_pylist()
    return rows


# -- quotes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "row",
    [
        rb'1,"say \"hi\" x"',
        b'1,"ab"cd"ef"',
        b'1,"a \\"\n7,\\"b"',
        b'1,a"b"',
        b'1, "a"',
        b'1,"a"b',
        b'1,""a""',
        b'1,"a""b"c"',
    ],
)
def test_quotes_that_redcap_would_have_doubled_are_refused(row: bytes, size: int) -> None:
    with pytest.raises(MalformedResponseError, match="a quote stands within a cell"):
        read(b"id,note\n" + row + b"\n2,b\n", size)


@pytest.mark.parametrize("size", SIZES)
def test_quotes_as_redcap_writes_them_are_read(size: int) -> None:
    rows = [("1", 'say "hi"'), ("2", '"'), ("3", '""\n","'), ("4", '","'), ("5", "\\"), ("6", "")]
    body = "".join(f'{key},"{cell.replace(chr(34), chr(34) * 2)}"\n' for key, cell in rows)

    found = read(b"id,note\n" + body.encode() + b'"7","x"\n', size)

    assert [(row["id"], row["note"] or "") for row in found] == [*rows, ("7", "x")]


# -- what PHP says --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "said",
    [
        "<br />\n<b>Warning</b>:  Undefined index: x in <b>/a.php</b> on line <b>1</b><br />",
        "<b>Notice</b>: Undefined",
        "<b>Deprecated</b>: Something",
        "<br />\n<b>Parse error</b>:  syntax",
        "PHP Warning:  Undefined",
        "Fatal error: Uncaught",
    ],
)
def test_what_php_says_is_no_record(said: str, size: int) -> None:
    for before in (b"id\n", b"id\n1\n", b'id\n"1 a"\n'):
        with pytest.raises(WebPageError):
            read(before + said.encode() + b"\n2\n", size)


def test_php_out_of_memory_is_told_apart() -> None:
    said = b"<br />\n<b>Fatal error</b>:  Allowed memory size of 1 bytes exhausted"
    for size in SIZES:
        with pytest.raises(ServerMemoryError):
            read(b"id\n1\n" + said + b"\n", size)


@pytest.mark.parametrize("size", SIZES)
def test_what_php_or_redcap_would_say_may_stand_in_a_cell(size: int) -> None:
    note = (
        "as seen:\nFatal error: none\n<br />\n<b>Warning</b>: x\n<hash><error>y</error></hash>\n"
        "ERROR: z\nAllowed memory size of 1"
    )
    body = f'id,note\n1,"{note}"\n2,"{note}"\n'.encode()

    assert read(body, size) == [{"id": "1", "note": note}, {"id": "2", "note": note}]


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
        ("http://[x", None),
        (f"https://x/{TOKEN}/api", "https://x/****/api"),
        (f"https://{TOKEN * 2}.example.edu/", "https://****.example.edu/"),
    ],
)
def test_a_redirect_shows_no_token_and_no_nonsense(
    location: str,
    target: str | None,
    server: Server,
    client: REDCapClient,
    assert_silent: Silent,
) -> None:
    server.say("project", Reply(b"", 302, {"Location": location}))

    with pytest.raises(WrongURLError, match="never sent after a redirect") as caught:
        client.export_project_info()

    assert caught.value.url == target
    assert (target or "what is no address") in str(caught.value)
    assert_silent(caught.value)


def test_a_redirect_to_an_odd_host_is_not_quoted(assert_silent: Silent) -> None:
    headers = {"Location": f"https://a\u2100{CANARY}/x"}  # urllib quotes it in its error

    with pytest.raises(WrongURLError, match="what is no address") as caught:
        check_status(Response("version export", "https://a/", 302, headers, iter([]), print))
    assert_silent(caught.value)


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


@pytest.mark.parametrize("host", ["a..b", ".example.edu", f"{'a' * 64}.example.edu"])
def test_a_host_that_cannot_be_is_refused_at_once(host: str) -> None:
    with pytest.raises(ValueError, match="not an address") as caught:
        REDCapClient(f"https://{host}/api/", TOKEN)

    assert type(caught.value) is ValueError
    assert caught.value.__context__ is None


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000])
def test_json_that_is_nested_too_deep(
    body: bytes, server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    server.say("project", Reply(body))

    with pytest.raises(MalformedResponseError, match="nested too deep") as caught:
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
        with pytest.raises(NetworkError, match="hung up on TLS"):
            client.export_project_info()
        thread.join()

    assert len(waits) == 1


def test_a_server_without_tls_is_told_apart(server: Server, waits: list[float]) -> None:
    client = REDCapClient(server.url.replace("http:", "https:"), TOKEN)

    with pytest.raises(WrongURLError, match="no TLS at this port") as caught:
        client.export_project_info()

    assert caught.value.__context__ is None
    assert waits == []


# -- answers without an end ------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "head": (b"", b"H"),
    "head, later": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
    "until it hangs up": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[]", b" "),
}


def drip(listener: socket.socket, first: bytes, then: bytes, asked: list[bytes]) -> None:
    """Send a few bytes now and then, until the other one hangs up."""
    connection, _ = listener.accept()
    asked.append(connection.recv(1 << 16))
    hung_up = threading.Event()
    with connection:
        connection.sendall(first)
        try:
            while not hung_up.wait(0.02):
                connection.sendall(then)
        except OSError:
            pass


@pytest.mark.parametrize("kind", DRIPS)
def test_a_request_has_an_end_though_bytes_keep_coming(kind: str, assert_silent: Silent) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener, *DRIPS[kind], asked))
        thread.start()
        client = REDCapClient(
            f"http://127.0.0.1:{listener.getsockname()[1]}/api/",
            TOKEN,
            read_timeout=10,
            total_timeout=0.3,
        )
        with pytest.raises(NetworkError, match="raise total_timeout") as caught:
            client.export_metadata()
        thread.join()

    assert caught.value.overdue
    assert len(asked) == 1  # it is not sent again
    assert_silent(caught.value)


def test_what_came_in_time_is_not_cut_off_later(server: Server, waits: list[float]) -> None:
    client = REDCapClient(server.url, TOKEN, total_timeout=0.2)
    client.export_metadata()
    server.say("project", json_reply({"project_id": 1}))

    assert not threading.Event().wait(0.3)
    assert client.export_project_info()["project_id"] == 1
    assert waits == []


def test_a_text_without_an_end_is_given_up() -> None:
    endless = cycle([b" " * (1 << 16)])
    answer = Response("metadata export", "https://a/", 200, {}, endless, print)

    with pytest.raises(MalformedResponseError, match="longer than 1 MiB"):
        read_body(answer, 1 << 20)
    with pytest.raises(MalformedResponseError, match="header is longer than 16 MiB"):
        open_csv(answer, "id")


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


# -- keys for hashes ------------------------------------------------------------------------------


def test_a_digest_key_is_of_the_token_and_does_not_tell_it() -> None:
    here = "https://redcap.example.edu/api/"
    key = REDCapClient(here, TOKEN).digest_key

    assert key == REDCapClient("https://other.example.edu/api/", f" {TOKEN}").digest_key
    assert key != REDCapClient(here, TOKEN[::-1]).digest_key
    assert len(key) == 32
    assert TOKEN.encode() not in key
    assert bytes.fromhex(TOKEN) not in key
