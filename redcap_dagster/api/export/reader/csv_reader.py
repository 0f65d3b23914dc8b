"""The CSV of a record export as Arrow batches: every cell is text, a blank one is null.

Arrow's messages about bad data quote the row, so errors have only row numbers, columns and counts.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain, islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.reader.backslash_quotes import settle_quotes
from redcap_dagster.api.export.reader.block_parser import LONGEST_CELL, BadBlock, parse_block
from redcap_dagster.api.export.reader.csv_blocks import Form, split_rows
from redcap_dagster.api.http.response import (
    Response,
    check_data,
    check_text,
    malformed_error,
    not_utf8_error,
    read_start,
)
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_COLUMNS,
    SURVEY_IDENTIFIER,
)

T = TypeVar("T")

_KEY_TYPE = pa.string()

# Bytes. A header of 40,000 fields has been seen.
_LONGEST_HEADER = 1 << 24

# Characters of the name or label of a column.
_LONGEST_NAME = 1 << 17

# Bytes. REDCap builds a response in PHP's memory, where half of it rarely fits. With offsets of 64
# bits, a table is at most twice as large as with those of 32 bits.
_LARGEST_TABLE = 1 << 31

# Batches that are parsed ahead of the reader. With fewer, a processor sometimes has nothing to do;
# what is received and checked meanwhile keeps no more than three busy.
_AHEAD = 3

_AROUND_NAMES = "\ufeff\xa0 \t\r\n"
"""What may stand around a name of a second header: a byte order mark, and blanks."""


@dataclass(frozen=True)
class CSVResponse:
    """A CSV whose header was received.

    Attributes:
        columns: The column names.
        batches: The rows in batches as they are received; at least one.
        response: The response.
    """

    columns: tuple[str, ...]
    batches: Iterator[pa.RecordBatch] = field(repr=False)
    response: Response = field(repr=False)

    def read_all(self) -> pa.Table:
        """Return the rows as one table."""
        return collect_batches(self.response, self.batches)


def collect_batches(response: Response, batches: Iterator[pa.RecordBatch]) -> pa.Table:
    """Return batches as one table.

    Raises:
        REDCapError: The response is malformed, or too large for the memory of this machine.
    """
    kept, size = list[pa.RecordBatch](), 0
    for batch in batches:
        size += batch.get_total_buffer_size()
        if size > _LARGEST_TABLE:
            problem = f"it has more than {_LARGEST_TABLE >> 20} MiB"
            raise malformed_error(response, problem, request_less=True)
        kept.append(batch)
    return pa.Table.from_batches(kept)


def empty_batch(columns: tuple[str, ...]) -> pa.RecordBatch:
    """Return a batch that has columns of text and no rows."""
    return pa.record_batch([pa.nulls(0, _KEY_TYPE)] * len(columns), names=columns)


def open_csv(
    response: Response,
    must_have: str | None,
    delimiter: str = ",",
    text: pa.DataType = _KEY_TYPE,
) -> CSVResponse:
    """Return the header of a CSV and its rows, which are read as they are received.

    Args:
        response: A response with status 200.
        must_have: A required column, the record id. None for a report, which may have any columns.
        delimiter: The delimiter between two cells. Defaults to a comma.
        text: The type of the cells, except those of keys, which are always `pyarrow.string`.
            Defaults to the same.

    Raises:
        REDCapError: The response is not a CSV with that column. The type says what it is. The
            iterator over the rows raises too, where the response is malformed further down.
    """
    pieces, size = list[bytes](), 0
    for chunk in response.chunks:
        pieces.append(chunk)
        size += len(chunk)
        if b"\n" in chunk:
            break
        if size > _LONGEST_HEADER:
            raise malformed_error(
                response, f"its header is longer than {_LONGEST_HEADER >> 20} MiB"
            )
    start = b"".join(pieces)
    if start.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"<", b"{", b"["):  # not a header
        start += read_start(response.chunks)
    check_text(response, start)
    check_data(response, start)
    line, newline, rows = start.partition(b"\n")
    columns = _read_header(response, line, must_have, delimiter)
    if not newline:
        raise malformed_error(response, "it ends within its header", request_less=True)
    form = Form(columns, must_have, delimiter)
    schema = _make_schema(columns, must_have, text)
    batches = _batches(response, form, schema, chain((rows,), response.chunks))
    return CSVResponse(columns, batches, response)


@lru_cache(16)
def _make_schema(columns: tuple[str, ...], id_column: str | None, text: pa.DataType) -> pa.Schema:
    """Return the types of columns; the responses to the requests of a plan have the same ones."""
    keys = {id_column, EVENT_NAME, *REPEAT_COLUMNS, ACCESS_GROUP, SURVEY_IDENTIFIER}
    return pa.schema([(name, _KEY_TYPE if name in keys else text) for name in columns])


def _read_header(
    response: Response, line: bytes, must_have: str | None, delimiter: str
) -> tuple[str, ...]:
    text = line.decode("utf-8-sig", "replace")
    if "\ufffd" in text:
        raise not_utf8_error(response, "the header of the response")
    if "\0" in text:
        raise malformed_error(response, "its header holds a NUL")
    if "\r" in text:
        raise malformed_error(response, "a carriage return stands in its header")
    columns = tuple(parse_first_row(response, text, delimiter))
    if must_have is not None and must_have not in columns:
        other = next((each for each in ",;\t|^" if must_have in text.split(each)), None)
        hint = f"; its columns are separated by {other!r}" if other else ""
        raise malformed_error(response, f"its header lacks the record id, {must_have}{hint}")
    return columns


def parse_first_row(response: Response, text: str, delimiter: str) -> list[str]:
    """Return the cells of the first row of a text, which may be longer than a line.

    Raises:
        MalformedResponseError: REDCap would not write it so, or a cell has more than 128 kB.
    """
    body = f"\n{text}".encode()
    settled = settle_quotes(body, delimiter, None, last=True)
    rows = io.StringIO((settled.rows[:-1] + settled.rest)[1:].decode(), newline="")
    with suppress(csv.Error):  # its text may quote a cell
        cells = next(csv.reader(rows, delimiter=delimiter, strict=True), [])
        # The limit of the module itself is one for the whole process, and others may change it.
        if all(len(cell) <= _LONGEST_NAME for cell in cells):
            return cells
    raise malformed_error(response, "its header cannot be read as a row of a CSV")


def _batches(
    response: Response, form: Form, schema: pa.Schema, chunks: Iterator[bytes]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each block as a batch; at least one batch.

    Raises:
        REDCapError: The response is malformed, or its header names a column twice.
    """
    if len(set(form.columns)) < len(form.columns):
        raise malformed_error(
            response,
            "its header names a column twice, as it does where two fields have the same column",
        )
    parse = partial(parse_block, schema, form.delimiter)
    before = 0
    for parsed in _parse_ahead(parse, split_rows(response, form, chunks)):
        if isinstance(parsed, BadBlock):
            if parsed.long_column:
                raise malformed_error(
                    response,
                    f"a cell of {parsed.long_column} is longer than {LONGEST_CELL >> 20} MiB",
                )
            raise _arrow_error(response, form.columns, parsed.problem, before - 1)
        # The cells of a report's only column may be called like the column.
        if (form.id_column or len(form.columns) > 1) and _repeats_header(parsed):
            raise malformed_error(
                response, "a row is the header again, so that it may be two responses in one"
            )
        before += parsed.num_rows
        yield parsed
    if not before:
        yield pa.RecordBatch.from_pylist([], schema)


def _parse_ahead(parse: Callable[[memoryview], T], work: Iterator[memoryview]) -> Iterator[T]:
    """Yield parsed blocks, parsed in threads while others are being received.

    The last one is parsed here: a small response needs no thread.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        last = [*islice(work, 1)]
        for block in work:
            waiting.append(threads.submit(parse, last.pop()))
            last.append(block)
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        parsed = [*map(parse, last)]
        while waiting:
            yield waiting.popleft().result()
        yield from parsed


def _repeats_header(rows: pa.RecordBatch) -> bool:
    """Return whether the cells of a row are the names of their columns; see `list_rows_named`."""
    alike = list_rows_named(rows, rows.schema.names[0])
    return bool(alike) and [fold_name(name) for name in rows.schema.names] in alike


def list_rows_named(rows: pa.Table | pa.RecordBatch, column: str) -> list[list[str | None]]:
    """Return the cells of rows that have a column's name in it; names as `fold_name` returns.

    Capitals do not matter, except where it is the only column: a record may be called `ID`.
    """
    longest = pc.max(pc.binary_length(rows[column])).as_py() or 0
    if column.isascii() and longest < len(column.strip(_AROUND_NAMES)):  # the usual case
        return []
    cells, name = pc.utf8_trim(rows[column], _AROUND_NAMES), column
    if rows.num_columns > 1:
        cells, name = pc.utf8_lower(cells), fold_name(column)
    alike = pc.equal(cells, name)
    if not pc.any(alike).as_py():  # the usual case; to filter all columns takes longer
        return []
    return [
        [cell if cell is None else fold_name(cell) for cell in row.values()]
        for row in rows.filter(alike).to_pylist()
    ]


def fold_name(name: str) -> str:
    """Return the name of a column without capitals, blanks around it and a byte order mark.

    Example:
        >>> fold_name(" Record_ID ")
        'record_id'
    """
    return name.strip(_AROUND_NAMES).lower()


def _arrow_error(
    response: Response, columns: tuple[str, ...], problem: str, before: int
) -> REDCapError:
    """Return the error for a message of Arrow, without the row that it quotes."""
    row = re.search(r"Row #(\d+): ", problem)
    where = f"row {before + int(row.group(1))}" if row else "a row"
    column = re.match(r"In CSV column #(\d+): ", problem)
    if column and "invalid UTF8" in problem:
        return not_utf8_error(response, f"{where}, column {columns[int(column.group(1))]}")
    cells = re.search(r"Expected (\d+) columns, got (\d+)", problem)
    if cells:
        return malformed_error(response, f"{where} has {cells.group(2)} cells of {cells.group(1)}")
    return malformed_error(response, "its rows cannot be parsed")
