"""What reads a record export takes work in proportion to its size, and no more than a bound."""

import csv
import gzip
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redcap_dagster.api import MalformedResponseError, REDCapClient, REDCapError
from redcap_dagster.api.export.reader import csv_blocks, csv_reader
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.sandbox import Sandbox
from tests.api.export.test_csv_reader import answer
from tests.dictionary import field
from tests.fake_server import Reply, Server


class Piece(bytes):
    """A chunk of a response, which counts the bytes that are copied to append it to others."""

    copied = 0

    def __radd__(self, before: Any) -> Any:
        if isinstance(before, bytearray):  # which is not copied
            before.extend(self)
            return before
        Piece.copied += len(before)
        return before + bytes(self)


def count_work(body: bytes, size: int) -> int:
    """Return how many calls it takes to read a response in chunks, and bytes to join them / 100."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:  # noqa: ARG001
        nonlocal calls
        calls += event in ("call", "c_call")

    Piece.copied = 0
    chunks = (Piece(body[start : start + size]) for start in range(0, len(body), size))
    sys.setprofile(count)
    try:
        for _ in open_csv(answer(chunks), "record_id").batches:
            pass
    except REDCapError:
        pass
    finally:
        sys.setprofile(None)
    return calls + Piece.copied // 100


UNITS = [
    b"x",
    b"1,2,\n",
    b'1,"a ""b""",\n',
    b'1,"a \\"b\\"",\n',
    b'1,"C:\\",\n',
    b'1,"\\"",\n',
    b'1,"a\nb",\n',
    b'",',
    b'\\",',
    b'\\"x',
    b"\n",
    b"\r",
    b"\n<br />",
    b"<",
    b" ",
]
HEADS = [b"", b"record_id,", b"record_id,a,b\n", b'record_id,a,b\n1,"']


@settings(max_examples=50)
@example(head=b"", unit=b'",",",', size=16)
@example(head=b'record_id,a,b\n1,"', unit=b'1,2,\n",",', size=200)
@given(
    head=st.sampled_from(HEADS),
    unit=st.lists(st.sampled_from(UNITS), min_size=1, max_size=3).map(b"".join),
    size=st.sampled_from([16, 200]),
)
def test_work_grows_with_the_response_and_not_with_its_square(
    head: bytes, unit: bytes, size: int
) -> None:
    def work(length: int) -> int:
        return count_work(head + unit * (length // len(unit)) + b"\n", size)

    with mock.patch.multiple(csv_blocks, _BLOCK=1000, _LONGEST_ROW=1 << 20):
        work(2_000)  # compiles patterns
        # Of two lengths, as an odd number of quotes may end it early. The start is most of 2,000.
        small = max(work(4_000), work(4_000 + len(unit)))
        large = work(32_000)

    assert large < 8 * 2 * small + 2_000  # a square would be 64 times as much


# -- bounds ---------------------------------------------------------------------------------------


@pytest.fixture(params=[1 << 17, 1 << 30])
def csv_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """The limit of Python's csv module, which is one for the whole process."""
    before = csv.field_size_limit(request.param)
    yield
    csv.field_size_limit(before)


@pytest.mark.usefixtures("csv_limit")
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"record_id," + b"x" * 300_000 + b"\n1,2\n", "its header cannot be read"),
        (b'record_id,"' + b"x" * 300_000 + b'"\n1,2\n', "its header cannot be read"),
        (b'record_id,"name\n1,2\n', "its header cannot be read"),
        (b"record_id,name\r1,2\r2,3\r", "a carriage return stands in its header"),
        (b"record_id,name\r1,2\r2,3\r\n", "a carriage return stands in its header"),
        (b"record_id\r\n1\r\n2\r\n", "a carriage return stands in its header"),
    ],
    ids=["long", "long in quotes", "open quote", "CR", "CR and one LF", "CRLF"],
)
def test_a_header_that_cannot_be_read_is_a_typed_error(
    body: bytes, problem: str, server: Server, client: REDCapClient
) -> None:
    server.say("record", Reply(body))

    for read in (client.export_records, lambda: list(client.stream_records())):
        with pytest.raises(MalformedResponseError, match=problem):
            read()


def endless(start: bytes, unit: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield unit


@pytest.mark.parametrize(
    ("start", "unit", "problem"),
    [
        (b"record_id,", b"x" * 65536, "its header is longer than 16 MiB"),
        (b"record_id,note\n1,", b"x" * 65536, "a row is longer than 16 MiB"),
        (b"record_id,note\n", b"1," + b"x" * 6_000_000 + b"\n", "a cell of note is longer"),
        (b'record_id,note\n1,"C:\\', b'\\"x' * 20_000, "a quote stands within a cell"),
    ],
    ids=["header", "row", "cells", "backslashes"],
)
def test_a_response_without_end_is_a_typed_error(start: bytes, unit: bytes, problem: str) -> None:
    with pytest.raises(MalformedResponseError, match=problem):
        open_csv(answer(endless(start, unit)), "record_id").read_all()


def test_a_table_larger_than_the_memory_of_a_server_is_a_typed_error(
    monkeypatch: pytest.MonkeyPatch, server: Server, client: REDCapClient
) -> None:
    """Few bytes on the wire: a response is compressed."""
    monkeypatch.setattr(csv_reader, "_LARGEST_TABLE", 10 << 20)
    rows = b"".join(b"%d,%s\n" % (number, b"x" * 500_000) for number in range(40))
    body = gzip.compress(b"record_id,name\n" + rows)
    server.say("record", Reply(body, headers={"Content-Encoding": "gzip"}))
    assert len(body) < 200_000

    with pytest.raises(MalformedResponseError, match="it has more than 10 MiB"):
        client.export_records()
    assert sum(batch.num_rows for batch in client.stream_records()) == 40


@pytest.mark.parametrize(
    "limits",
    [
        {"csv_reader._LARGEST_TABLE": 100_000},
        {"csv_blocks._BLOCK": 4_000, "csv_blocks._LONGEST_ROW": 40_000},
    ],
    ids=["table", "row"],
)
def test_what_is_too_long_to_be_read_is_requested_in_parts(
    limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instrument of long notes has large rows, however few cells they have."""
    for name, limit in limits.items():
        monkeypatch.setattr(f"redcap_dagster.api.export.reader.{name}", limit)
    notes = [f"note_{number}" for number in range(10)]
    metadata = [field("record_id"), *(field(name, type="notes") for name in notes)]
    rows = [{"record_id": number, **dict.fromkeys(notes, "x" * 6_000)} for number in "12345678"]
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports={"metadata": metadata}, records=rows)
        exported = REDCapClient(sandbox.url, token).export_snapshot().table
    assert exported.select(["record_id", *notes]).to_pylist() == rows
