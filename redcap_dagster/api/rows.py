"""The CSV of a record export -> Arrow, as it comes: every cell is text, a blank one is null.

What Arrow says about bad data quotes the row, so only rows, columns and counts are passed on.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from redcap_dagster.api.answers import Answer, check_data, look, malformed, not_utf8, page_error
from redcap_dagster.api.errors import REDCapError

# A row must fit into two of them; the longest seen is well below one.
_BLOCK = 1 << 24

# What PHP writes into an answer when it stumbles or dies. REDCap would have quoted the blanks.
_PHP_SAID = re.compile(
    rb"\n(?:<br />\s*)?(?:<b>)?(?:PHP )?"
    rb"(?:Fatal error|Parse error|Warning|Notice|Deprecated)(?:</b>)?:\s"
)

# By delimiter: a quote, seen from outside quotes, that has something else beside it.
_STRAY_QUOTES = {
    mark: re.compile(rb'"(?:[^%b\n"]|(?<=[^%b\n"]"))' % ((re.escape(mark.encode()),) * 2))
    for mark in ",;\t|^"
}

# Bytes; what is looked for outside quotes is shorter, so that none is lost between two chunks.
_SEAM = 64

# Bytes of PHP's message that are looked at.
_MESSAGE = 2048


@dataclass(frozen=True)
class CSVAnswer:
    """A CSV whose header has come: its columns, and its rows in at least one batch."""

    columns: tuple[str, ...]
    batches: Iterator[pa.RecordBatch] = field(repr=False)

    def read_all(self) -> pa.Table:
        """Read the rows into one table."""
        return pa.Table.from_batches(self.batches)


def no_rows(columns: tuple[str, ...]) -> pa.RecordBatch:
    """Make a batch that has columns of text and no rows."""
    return pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in columns]))


def open_csv(answer: Answer, must_have: str | None, delimiter: str = ",") -> CSVAnswer:
    """Read the header of a record export, and make its rows ready to be read as they come.

    Args:
        answer: An answer with status 200.
        must_have: A column without which the rows are of no use, the record id; None for a report,
            which may have any.
        delimiter: What stands between two cells.

    Raises:
        REDCapError: It is something else; the type says what. The iterator over the rows raises
            too, where the answer breaks further down.
    """
    start = b""
    for chunk in answer.chunks:
        start += chunk
        if b"\n" in chunk:
            break
    if start.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"<", b"{"):  # no header: see more of it
        start += look(answer.chunks)
    check_data(answer, start)
    line, newline, rows = start.partition(b"\n")
    columns = _header(answer, line, must_have, delimiter)
    if not newline:
        raise malformed(answer, "it ends within its header")
    return CSVAnswer(columns, _batches(answer, columns, delimiter, chain((rows,), answer.chunks)))


def _header(answer: Answer, line: bytes, must_have: str | None, delimiter: str) -> tuple[str, ...]:
    text = line.decode("utf-8-sig", "replace")
    if "\ufffd" in text:
        raise not_utf8(answer, "the header of the answer")
    columns = tuple(next(csv.reader([text], delimiter=delimiter)))
    if must_have is not None and must_have not in columns:
        other = next((mark for mark in ",;\t|^" if must_have in text.split(mark)), None)
        hint = f"; its columns are separated by {other!r}" if other else ""
        raise malformed(answer, f"its header lacks the record id, {must_have}{hint}")
    if len(set(columns)) < len(columns):
        raise malformed(answer, "its header names a column twice")
    return columns


def _batches(
    answer: Answer, columns: tuple[str, ...], delimiter: str, chunks: Iterator[bytes]
) -> Iterator[pa.RecordBatch]:
    empty = no_rows(columns)
    whole = _whole(answer, delimiter, chunks)
    first = next(whole, None)
    if first is None:
        yield empty  # Arrow takes no body without rows
        return
    # A blank line is no row. Without it, Arrow would take a byte order mark off the first cell.
    body = io.BufferedReader(_Body(chain((b"\n", first), whole)))
    problem = ""
    try:
        yield from pa_csv.open_csv(
            body,
            # One thread: with more, errors name no row.
            read_options=pa_csv.ReadOptions(
                column_names=columns, block_size=_BLOCK, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=empty.schema, null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowException as error:
        problem = str(error)
    if problem:
        raise _arrow_error(answer, columns, problem)


def _arrow_error(answer: Answer, columns: tuple[str, ...], problem: str) -> REDCapError:
    """Say what Arrow found, without the row that it quotes."""
    row = re.search(r"Row #(\d+): ", problem)
    where = f"row {row.group(1)}" if row else "a row"
    column = re.match(r"In CSV column #(\d+): ", problem)
    if column and "invalid UTF8" in problem:
        return not_utf8(answer, f"{where}, column {columns[int(column.group(1))]}")
    cells = re.search(r"Expected (\d+) columns, got (\d+)", problem)
    if cells:
        return malformed(answer, f"{where} has {cells.group(2)} cells of {cells.group(1)}")
    if "straddling" in problem:
        return malformed(answer, f"a row is longer than {_BLOCK >> 20} MiB")
    return malformed(answer, "its rows cannot be told apart")


def _whole(answer: Answer, delimiter: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass on the rows of a CSV, and see to it that they are all there and as REDCap writes them.

    Quotes surround whole cells and come in pairs, and every row ends in a newline, the last one too
    (so in each recorded answer). A carriage return stands only inside quotes (a guess: so does
    PHP); elsewhere Arrow would end the row at it, as it would make up rows of stray quotes.
    """
    stray_quote = _STRAY_QUOTES[delimiter]
    inside, tail, seam = False, b"\n", b"\n"
    for chunk in filter(None, chunks):
        parts = chunk.split(b'"')
        outside = seam + b'"'.join(parts[inside::2])  # what stands in quotes is left out
        inside ^= len(parts) % 2 == 0
        if inside:
            outside += b'"'
        said = _PHP_SAID.search(outside)
        if said:
            page = outside[said.start() :] + look(chunks)
            raise page_error(answer, page[:_MESSAGE].decode("utf-8", "replace"))
        if b"\r" in outside:
            raise malformed(answer, "a carriage return stands outside quotes")
        if stray_quote.search(outside):
            raise malformed(answer, "a quote stands within a cell, and is not doubled")
        tail, seam = chunk[-1:], outside[-_SEAM:]
        yield chunk
    if inside or tail != b"\n":
        raise malformed(answer, "it breaks off within a row")


class _Body(io.RawIOBase):
    """Chunks of bytes as a file, which is what Arrow reads."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
