"""The body of a request is the form that any server reads; that of a response may be zipped."""

import gzip
import zlib
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api import (
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    REDCapClient,
)
from redcap_dagster.api.http.body import encode_form
from tests.fake_server import RECORDS, Reply, Server

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["A-1_2.3~", "1\n", ""])


@given(st.dictionaries(TEXT, TEXT))
def test_a_form_is_what_urlencode_writes(parameters: dict[str, str]) -> None:
    assert encode_form(parameters) == urlencode(parameters).encode()


ZIPPED = gzip.compress(RECORDS)


def _zip(body: bytes, encoding: str = "gzip") -> Reply:
    return Reply(body, headers={"Content-Encoding": encoding})


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(RECORDS[:9]) + gzip.compress(RECORDS[9:]),
        ZIPPED + gzip.compress(b""),
        ZIPPED + b"\r\n",
        ZIPPED + bytes(8),
    ],
    ids=["two members", "a blank member", "a newline", "zeros"],
)
def test_a_gzip_stream_may_have_several_members_and_padding(
    server: Server, client: REDCapClient, body: bytes
) -> None:
    server.say("record", _zip(body))
    assert len(client.export_records()) == 2


@pytest.mark.parametrize(
    "more", [ZIPPED[:20], b"<br />Fatal error"], ids=["half a member", "a message"]
)
def test_what_follows_a_gzip_stream_is_not_left_out(
    server: Server, client: REDCapClient, more: bytes
) -> None:
    server.say("record", _zip(ZIPPED + more))
    with pytest.raises(NetworkError, match="broke off"):
        client.export_records()


RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)
DEFLATED = RAW.compress(RECORDS) + RAW.flush()
FILE = bytes(range(256)) * 999


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (zlib.compress(RECORDS), "deflate"),
        (zlib.compress(RECORDS) + b"\n", "Deflate"),
        (DEFLATED, "deflate"),
        (ZIPPED, "X-GZip"),
        (gzip.compress(ZIPPED), "gzip, gzip"),
        (gzip.compress(zlib.compress(RECORDS)), "deflate,gzip"),
        (RECORDS, "identity"),
        (RECORDS, "none"),
        (RECORDS, "UTF-8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_records_are_read_in_every_encoding_that_servers_send(
    server: Server, client: REDCapClient, body: bytes, encoding: str
) -> None:
    server.say("record", _zip(body, encoding))
    assert len(client.export_records()) == 2


@pytest.mark.parametrize("body", [zlib.compress(RECORDS), DEFLATED], ids=["zlib", "raw"])
def test_a_deflated_body_that_breaks_off_or_goes_on_is_noticed(
    server: Server, client: REDCapClient, body: bytes
) -> None:
    for damaged in (body[:-2], body + b"<br />Fatal error"):
        server.say("record", _zip(damaged, "deflate"))
        with pytest.raises(NetworkError, match="broke off"):
            client.export_records()


def test_a_file_is_saved_decompressed_or_not_at_all(
    server: Server, client: REDCapClient, tmp_path: Path
) -> None:
    headers = {"Content-Type": 'application/octet-stream; name="scan.bin"'}
    server.say(
        "file",
        Reply(zlib.compress(FILE), headers=headers | {"Content-Encoding": "deflate"}),
        Reply(FILE, headers=headers | {"Content-Encoding": "br"}),
    )
    path = client.files.save(tmp_path, "1", "scan")
    assert path.read_bytes() == FILE
    path.unlink()
    with pytest.raises(MalformedResponseError, match="compressed as br"):
        client.files.save(tmp_path, "1", "scan")
    assert not [*tmp_path.iterdir()]


def test_an_empty_body_is_empty_whatever_its_encoding(server: Server, client: REDCapClient) -> None:
    server.say("project", _zip(b""))
    with pytest.raises(EmptyResponseError):
        client.export_project_info()
