"""The CSV of a record export -> Arrow, as it comes: every cell is text, a blank one is null.

What Arrow says about bad data quotes the row, so only rows, columns and counts are passed on.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv as pa_csv

from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.reader.csv_blocks import split_rows
from redcap_dagster.api.http.response import (
    Response,
    check_data,
    malformed_error,
    not_utf8_error,
    read_start,
)

T = TypeVar("T")

# A batch is worth the work on it.
_BLOCKS_OF_A_BATCH = 4

# Bytes; 40,000 fields were seen.
_LONGEST_HEADER = 1 << 24

# Batches that may be parsed before they are wanted.
_AHEAD = 2


@dataclass(frozen=True)
class CSVResponse:
    """A CSV whose header has come: its columns, and its rows in at least one batch."""

    columns: tuple[str, ...]
    batches: Iterator[pa.RecordBatch] = field(repr=False)

    def read_all(self) -> pa.Table:
        """Read the rows into one table."""
        return pa.Table.from_batches(self.batches)


def empty_batch(columns: tuple[str, ...]) -> pa.RecordBatch:
    """Make a batch that has columns of text and no rows."""
    return pa.record_batch([pa.nulls(0, pa.string())] * len(columns), names=columns)


def open_csv(response: Response, must_have: str | None, delimiter: str = ",") -> CSVResponse:
    """Read the header of a record export, and make its rows ready to be read as they come.

    Args:
        response: A response with status 200.
        must_have: A column without which the rows are of no use, the record id; None for a report,
            which may have any.
        delimiter: What stands between two cells.

    Raises:
        REDCapError: It is something else; the type says what. The iterator over the rows raises
            too, where the answer breaks further down.
    """
    start = b""
    for chunk in response.chunks:
        start += chunk
        if b"\n" in chunk:
            break
        if len(start) > _LONGEST_HEADER:
            raise malformed_error(
                response, f"its header is longer than {_LONGEST_HEADER >> 20} MiB"
            )
    if start.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"<", b"{"):  # no header: see more of it
        start += read_start(response.chunks)
    check_data(response, start)
    line, newline, rows = start.partition(b"\n")
    columns = _header(response, line, must_have, delimiter)
    if not newline:
        raise malformed_error(response, "it ends within its header", broke_off=True)
    return CSVResponse(
        columns, _batches(response, columns, delimiter, chain((rows,), response.chunks))
    )


def _header(
    response: Response, line: bytes, must_have: str | None, delimiter: str
) -> tuple[str, ...]:
    text = line.decode("utf-8-sig", "replace")
    if "\ufffd" in text:
        raise not_utf8_error(response, "the header of the answer")
    columns = tuple(next(csv.reader([text], delimiter=delimiter)))
    if must_have is not None and must_have not in columns:
        other = next((mark for mark in ",;\t|^" if must_have in text.split(mark)), None)
        hint = f"; its columns are separated by {other!r}" if other else ""
        raise malformed_error(response, f"its header lacks the record id, {must_have}{hint}")
    if len(set(columns)) < len(columns):
        raise malformed_error(response, "its header names a column twice")
    return columns


def _batches(
    response: Response, columns: tuple[str, ...], delimiter: str, chunks: Iterator[bytes]
) -> Iterator[pa.RecordBatch]:
    """Put the rows of several blocks into a batch; there is at least one."""
    parse = partial(_parse, empty_batch(columns).schema, delimiter)
    before = 0
    for parsed in _ahead(parse, _several(split_rows(response, delimiter, chunks))):
        if isinstance(parsed, _Broken):
            raise _arrow_error(response, columns, parsed.problem, before + parsed.before)
        before += parsed.num_rows
        yield from parsed.to_batches()
    if not before:
        yield empty_batch(columns)


def _several(blocks: Iterator[memoryview]) -> Iterator[list[memoryview]]:
    while some := list(islice(blocks, _BLOCKS_OF_A_BATCH)):
        yield some


def _ahead(parse: Callable[[list[memoryview]], T], work: Iterator[list[memoryview]]) -> Iterator[T]:
    """Parse blocks in threads, which Arrow lets work, while others are on their way.

    The last ones are parsed here: a small answer needs no thread.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        last = next(work, [])
        for blocks in work:
            waiting.append(threads.submit(parse, last))
            last = blocks
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        parsed = [parse(last)] if last else []
        while waiting:
            yield waiting.popleft().result()
        yield from parsed


@dataclass(frozen=True)
class _Broken:
    """What Arrow says is wrong with a block, and how many rows of the same batch are before it."""

    problem: str = field(repr=False)
    before: int


def _parse(schema: pa.Schema, delimiter: str, blocks: list[memoryview]) -> pa.Table | _Broken:
    """Parse blocks of rows, each by itself, into columns of one piece."""
    tables: list[pa.Table] = []
    for rows in blocks:
        # The blank line before the rows is none. Without it, Arrow would take a byte order mark
        # off the first cell.
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(rows),
                # One thread for a block: with more, errors name no row.
                read_options=pa_csv.ReadOptions(
                    column_names=schema.names, block_size=len(rows) + 1, use_threads=False
                ),
                parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=schema, null_values=[""], strings_can_be_null=True
                ),
            )
        except pa.ArrowException as error:
            return _Broken(str(error), sum(map(len, tables)))
        tables.append(table)
    return pa.concat_tables(tables).combine_chunks()


def _arrow_error(
    response: Response, columns: tuple[str, ...], problem: str, before: int
) -> REDCapError:
    """Say what Arrow found, without the row that it quotes."""
    row = re.search(r"Row #(\d+): ", problem)
    where = f"row {before + int(row.group(1))}" if row else "a row"
    column = re.match(r"In CSV column #(\d+): ", problem)
    if column and "invalid UTF8" in problem:
        return not_utf8_error(response, f"{where}, column {columns[int(column.group(1))]}")
    cells = re.search(r"Expected (\d+) columns, got (\d+)", problem)
    if cells:
        return malformed_error(response, f"{where} has {cells.group(2)} cells of {cells.group(1)}")
    return malformed_error(response, "its rows cannot be told apart")
