"""The body of a request is the form that any server reads; that of a response may be zipped."""

import gzip
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api import EmptyResponseError, NetworkError, REDCapClient
from redcap_dagster.api.http.body import encode_form
from tests.fake_server import RECORDS, Reply, Server

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["A-1_2.3~", "1\n", ""])


@given(st.dictionaries(TEXT, TEXT))
def test_a_form_is_what_urlencode_writes(parameters: dict[str, str]) -> None:
    assert encode_form(parameters) == urlencode(parameters).encode()


ZIPPED = gzip.compress(RECORDS)


def _zip(body: bytes) -> Reply:
    return Reply(body, headers={"Content-Encoding": "gzip"})


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


def test_an_empty_body_is_empty_whatever_its_encoding(server: Server, client: REDCapClient) -> None:
    server.say("project", _zip(b""))
    with pytest.raises(EmptyResponseError):
        client.export_project_info()
