"""Rows come out as REDCap put them in, whatever text they hold and however the bytes arrive."""

import itertools
from collections.abc import Iterator, Sequence
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redcap_dagster.api import MalformedResponseError, REDCapError
from redcap_dagster.api.export.reader import csv_blocks as blocks
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.api.http.response import Response

Table = Sequence[tuple[str, ...]]
COLUMNS = ("record_id", "name", "race___1")

SPECIAL = [*",\t;|^", "NA", "null", "0x10", "007", "TRUE", "=1+1", '"', '""', "a\\", "\r", "\r\n"]
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
) | st.sampled_from([*SPECIAL, "\n"])
ROWS = st.lists(st.tuples(TEXT.filter(bool), TEXT, TEXT), max_size=6)


@pytest.fixture(scope="module", params=[(1 << 20, 64), (10, 5)], ids=["one", "many"], autouse=True)
def blocks_of(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run each test with rows that are of one block, and of many."""
    block, seam = request.param
    with mock.patch.multiple(blocks, _BLOCK=block, _OVERLAP=seam):
        yield


def quoted(cell: str, delimiter: str = ",") -> str:
    """Write a cell as REDCap does: in quotes where it needs them, or has a blank."""
    if any(mark in cell for mark in f'{delimiter}"\n\r\t '):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def csv_of(table: Table, delimiter: str = ",") -> bytes:
    rows = ([quoted(cell, delimiter) for cell in row] for row in table)
    return "".join(f"{delimiter.join(row)}\n" for row in (COLUMNS, *rows)).encode()


def in_chunks(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    position = 0
    for size in itertools.cycle(sizes):
        if position >= len(body):
            return
        yield body[position : position + size]
        position += size


def answer(chunks: Iterator[bytes]) -> Response:
    return Response(
        "record export", "https://redcap.example.edu/api/", 200, {}, chunks, lambda: None
    )


@given(ROWS, st.lists(st.integers(1, 40), min_size=1, max_size=5), st.sampled_from(",\t;|^"))
@example([("\ufeff1", "\ufeff", "")], [1], ",")
@example([("1", '"', "\r")], [1], ",")
@example([("1", "", "")], [1000], ",")
@example([("1", "^", "a^^b")], [1], "^")
def test_any_text_comes_out_unchanged(table: Table, sizes: list[int], delimiter: str) -> None:
    chunks = in_chunks(csv_of(table, delimiter), sizes)

    read = open_csv(answer(chunks), "record_id", delimiter).read_all()

    assert read.schema == pa.schema([(name, pa.string()) for name in COLUMNS])
    got = list(zip(*(column.to_pylist() for column in read.columns), strict=True))
    assert got == [tuple(cell or None for cell in row) for row in table]


@given(ROWS.filter(bool), st.data())
def test_a_part_of_a_row_is_never_data(table: Table, data: st.DataObject) -> None:
    body = csv_of(table)
    cut = body[: data.draw(st.integers(1, len(body) - 1))]
    ends_a_row = cut.endswith(b"\n") and cut.count(b'"') % 2 == 0

    if not ends_a_row:
        with pytest.raises(MalformedResponseError):
            open_csv(answer(iter([cut])), "record_id").read_all()


def test_rows_come_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 100)
    table = [(str(number), "x\n,y\n" * (number % 5), "z") for number in range(100)]

    batches = list(open_csv(answer(in_chunks(csv_of(table), [50])), "record_id").batches)

    assert len(batches) > 5
    assert [row["name"] or "" for batch in batches for row in batch.to_pylist()] == [
        name for _, name, _ in table
    ]


def test_a_row_that_is_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 100)
    monkeypatch.setattr(blocks, "_LONGEST_ROW", 200)

    with pytest.raises(MalformedResponseError, match="a row is longer"):
        open_csv(answer(iter([csv_of([("1", "", "x" * 1000)])])), "record_id").read_all()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"a,\xff,b\n", "row 42, column name, is not UTF-8"),
        (b"a,b\n", "row 42 has 2 cells of 3"),
        (b'a,b"c"d,\n', "a quote stands within a cell"),
        (b"a,b\r,\n", "a carriage return stands outside quotes"),
        (b"<br />\n<b>Fatal error</b>:  Out of memory\n", "a web page instead of data"),
    ],
)
def test_what_is_wrong_further_down_is_found(row: bytes, problem: str) -> None:
    table = [(str(number), "x,\n\r\n" * (number % 3), "") for number in range(41)]
    body = csv_of(table) + row + b"z,z,z\n"

    with pytest.raises(REDCapError, match=problem):
        open_csv(answer(in_chunks(body, [7])), "record_id").read_all()
