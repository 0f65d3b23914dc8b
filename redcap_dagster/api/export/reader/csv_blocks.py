"""The body of a CSV cut into blocks of complete rows, checked to be as REDCap writes them.

Quotes surround entire cells and are in pairs; those after a backslash are doubled where the server
did not. Every row ends in a newline, also the last one (so in each recorded response). A carriage
return stands only inside quotes (a guess: PHP writes CSV so). Arrow would end the row at any other
one, and would misread rows with stray quotes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from redcap_dagster.api.errors import MalformedResponseError
from redcap_dagster.api.export.reader.backslash_quotes import (
    BACKSLASH_QUOTE,
    State,
    settle_quotes,
)
from redcap_dagster.api.http.response import Response, malformed_error, page_error, read_start

# Bytes. What Arrow parses of a block of this size stays in the processor's cache; blocks of 16 MiB
# take twice the time.
_BLOCK = 1 << 21

# Bytes; the longest row that was seen is well below.
_LONGEST_ROW = 1 << 24

# What PHP writes into a response when it warns or fails; REDCap would have quoted the blanks. The
# look-ahead at the first letter halves the time.
_PHP_MESSAGE = re.compile(
    rb"\n(?=[<PFWND])(?:<br />\s*)?(?:<b>)?(?:PHP )?"
    rb"(?:Fatal error|Parse error|Warning|Notice|Deprecated)(?:</b>)?:\s"
)

# Bytes. The start of PHP's message is shorter, so it is never cut in two.
_OVERLAP = 64

# Bytes of PHP's message that are read.
_LONGEST_MESSAGE = 2048


_Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Form:
    """How a CSV is written: its columns, the record id among them, and its delimiter.

    Attributes:
        columns: The column names.
        id_column: The column of the record id. None for a report.
        delimiter: The delimiter between two cells.
    """

    columns: tuple[str, ...]
    id_column: str | None
    delimiter: str


def split_rows(response: Response, form: Form, chunks: Iterator[bytes]) -> Iterator[memoryview]:
    """Yield a CSV without its header as blocks of complete rows, each between newlines.

    Raises:
        REDCapError: The CSV breaks off within a row, or REDCap would not write it so.
    """
    doubling: bool | None = None
    rest, pieces = b"\n", _collect_pieces(chunks)
    piece = next(pieces)
    size = sum(map(len, piece))
    for following in chain(pieces, (None,)):
        if following and _BLOCK < len(rest) > size:  # else a long row is read again and again
            piece += following
            size += sum(map(len, following))
            continue
        last = following is None
        text = b"".join((rest, *piece))
        others = chain(following or (), chunks)
        state: State = "plain"
        if b"\\" in text and BACKSLASH_QUOTE in text:  # to look for one byte takes no time
            settled = settle_quotes(text, form.delimiter, doubling, last=last)
            if len(settled.rows) > 1:
                _find_and_check_quotes(response, settled.rows, form, others)
                yield memoryview(settled.rows)
            text, state, doubling = settled.rest, settled.state, settled.doubling
        end = 0
        if state == "broke off":
            _check_outside(response, text, _find(text, b'"'), others)
            raise _broke_off_error(response)
        if state != "incomplete":
            quotes = _find_and_check_quotes(response, text, form, others)
            if state == "unreadable" and doubling is False:
                raise _quote_error(response, text, quotes, len(text), form)
            if last and (text[-1:] != b"\n" or len(quotes) % 2):
                raise _broke_off_error(response)
            end = len(text) - 1 if last else _find_end_of_rows(text, quotes)
        if end:
            yield memoryview(text)[: end + 1]
        rest, piece = text[end:], following or []
        size = sum(map(len, piece))
        if len(rest) > _LONGEST_ROW:
            raise malformed_error(
                response, f"a row is longer than {_LONGEST_ROW >> 20} MiB", request_less=True
            )


def _broke_off_error(response: Response) -> MalformedResponseError:
    return malformed_error(response, "it breaks off within a row", request_less=True)


def _find_and_check_quotes(
    response: Response, text: bytes, form: Form, chunks: Iterator[bytes]
) -> _Positions:
    """Return where quotes stand in some rows, after checking that REDCap would write them so."""
    if b"\0" in text:
        raise malformed_error(response, "a cell holds a NUL")
    quotes = _find(text, b'"')
    _check_outside(response, text, quotes, chunks)
    _check_quotes(response, text, quotes, form)
    return quotes


def _collect_pieces(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield chunks in pieces of the size of a block."""
    size, piece = 0, list[bytes]()
    for chunk in chunks:
        piece.append(chunk)
        size += len(chunk)
        if size >= _BLOCK:
            yield piece
            size, piece = 0, []
    yield piece


def _find(text: bytes, byte: bytes) -> _Positions:
    return np.flatnonzero(np.frombuffer(text, np.uint8) == ord(byte))


def _are_outside(positions: _Positions, quotes: _Positions) -> npt.NDArray[np.bool_]:
    """Return which bytes stand outside quotes: those with an even number of quotes before them."""
    outside: npt.NDArray[np.bool_] = np.searchsorted(quotes, positions) % 2 == 0
    return outside


def _find_end_of_rows(text: bytes, quotes: _Positions) -> int:
    """Return where the last complete row ends; the start of a message of PHP is left for later."""
    end = len(text) - _OVERLAP
    while (end := text.rfind(b"\n", 0, max(end, 0))) > 0:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            return end
        end = int(quotes[before - 1])  # where the cell starts that it stands in
    return 0


def _check_outside(
    response: Response, text: bytes, quotes: _Positions, chunks: Iterator[bytes]
) -> None:
    """Raise if a message of PHP or a carriage return stands outside quotes."""
    for message in _PHP_MESSAGE.finditer(text):
        if _are_outside(np.array([message.start()]), quotes)[0]:
            page = text[message.start() :] + read_start(chunks)
            raise page_error(response, page[:_LONGEST_MESSAGE].decode("utf-8", "replace"))
    if b"\r" in text and _are_outside(_find(text, b"\r"), quotes).any():
        raise malformed_error(response, "a carriage return stands outside quotes")


def _check_quotes(response: Response, text: bytes, quotes: _Positions, form: Form) -> None:
    """Raise if a quote stands within a cell and is not doubled."""
    codes = np.frombuffer(text, np.uint8)
    last = quotes[1::2]
    if len(last) and last[-1] + 1 == len(text):  # the piece ends after it
        last = last[:-1]
    ends_cell = np.zeros(256, np.bool_)
    ends_cell[list(f'{form.delimiter}\n"'.encode())] = True
    wrong: list[int] = []
    for beside in (quotes[0::2] - 1, last + 1):
        right = ends_cell.take(codes.take(beside))
        if not right.all():
            wrong.append(int(beside[~right].min()))
    if wrong:
        raise _quote_error(response, text, quotes, min(wrong), form)


def _quote_error(
    response: Response, text: bytes, quotes: _Positions, position: int, form: Form
) -> MalformedResponseError:
    """Return the error for a quote within a cell, with the record and the field."""
    start = text.rfind(b"\n", 0, position)
    while (count := int(np.searchsorted(quotes, start))) % 2:
        start = text.rfind(b"\n", 0, int(quotes[count - 1]))
    row = text[start + 1 : position]
    delimiters = _find(row, form.delimiter.encode())
    ends = delimiters[_are_outside(delimiters, _find(row, b'"'))].tolist()
    fields = form.columns[len(ends) : len(ends) + 1]
    where = f", in the field {fields[0]}" if fields else ""
    error = malformed_error(response, f"a quote stands within a cell and is not doubled{where}")
    error.fields = fields
    number = form.columns.index(form.id_column) if form.id_column in form.columns else len(ends)
    if number < len(ends):
        cell = row[ends[number - 1] + 1 if number else 0 : ends[number]]
        error.records = (cell.decode("utf-8", "replace").strip('"').replace('""', '"'),)
    return error
