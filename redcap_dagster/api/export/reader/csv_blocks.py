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

# Blocks after which they are as large. Before, half is better: several are in memory, which counts
# beside a small table, and less is done in one thread at the beginning and at the end.
_HALF_BLOCKS = 64

# Bytes; the longest row that was seen is well below.
_LONGEST_ROW = 1 << 24

# What PHP writes into a response when it warns or fails; REDCap would have quoted the blanks.
_PHP_MESSAGE = re.compile(
    rb"(?:<br />\s*)?(?:<b>)?(?:PHP )?"
    rb"(?:Fatal error|Parse error|Warning|Notice|Deprecated)(?:</b>)?:\s"
)

# The first two bytes of such a message, as numbers.
_PHP_STARTS = np.frombuffer(b"<bPHFaPaWaNoDe", ">u2").astype(np.intp)

# Bytes. The start of PHP's message is shorter, so it is never cut in two.
_OVERLAP = 64

# Bytes of which marks are found at once. What this takes stays in the processor's cache.
_AT_ONCE = 1 << 17

# Bytes of PHP's message that are read.
_LONGEST_MESSAGE = 2048


_Positions = npt.NDArray[np.intp]

# One bit for each byte of a text, 64 to a number: to combine them takes an eighth of the time.
_Bits = npt.NDArray[np.uint64]

_ONE, _TOP = np.uint64(1), np.uint64(63)


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
                _check_rows(response, settled.rows, form, others)
                yield memoryview(settled.rows)
            text, state, doubling = settled.rest, settled.state, settled.doubling
        end = 0
        if state == "broke off":
            _check_outside(response, text, _find_inside(text), others)
            raise _broke_off_error(response)
        if state != "incomplete":
            ends = _check_rows(response, text, form, others)
            if state == "unreadable" and doubling is False:
                raise _quote_error(response, text, len(text), form)
            if last and ends[-1] + 1 < len(text):
                raise _broke_off_error(response)
            # The start of a message of PHP is left for later.
            before = len(ends) if last else int(np.searchsorted(ends, len(text) - _OVERLAP))
            end = int(ends[before - 1]) if before else 0
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


def _check_rows(response: Response, text: bytes, form: Form, chunks: Iterator[bytes]) -> _Positions:
    """Return the newlines that end a row, after checking that REDCap would write the rows so."""
    if b"\0" in text:
        raise malformed_error(response, "a cell holds a NUL")
    inside = _find_inside(text)
    ends = _check_outside(response, text, inside, chunks)
    _check_quotes(response, text, inside, form)
    return ends


def _collect_pieces(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield chunks in pieces of the size of a block."""
    size, piece, left = 0, list[bytes](), _HALF_BLOCKS
    for chunk in chunks:
        piece.append(chunk)
        size += len(chunk)
        if size >= (_BLOCK // 2 if left else _BLOCK):
            yield piece
            size, piece, left = 0, [], max(left - 1, 0)
    yield piece


def _find(text: bytes, byte: bytes) -> _Positions:
    return np.flatnonzero(np.frombuffer(text, np.uint8) == ord(byte))


def _mark(text: bytes, *marks: str) -> _Bits:
    """Return which bytes of a text are one of some; the first is the lowest bit of a number."""
    codes = np.frombuffer(text, np.uint8)
    bits = np.zeros(-(-len(codes) // 64), "<u8")
    packed = bits.view(np.uint8)
    for start in range(0, len(codes), _AT_ONCE):
        some = codes[start : start + _AT_ONCE]
        found = some == ord(marks[0])
        for mark in marks[1:]:
            found |= some == ord(mark)
        eighth = np.packbits(found, bitorder="little")
        packed[start // 8 : start // 8 + len(eighth)] = eighth
    return bits


def _list_positions(bits: _Bits) -> _Positions:
    some = np.flatnonzero(bits)  # most are 0, and to unpack takes time
    unpacked = np.unpackbits(bits.take(some).view(np.uint8), bitorder="little")
    found = np.flatnonzero(unpacked.view(np.bool_))
    return (some.take(found >> 6) << 6) + (found & 63)


def _move_up(bits: _Bits) -> _Bits:
    """Return for each byte the bit of the one before it."""
    moved = bits << _ONE
    moved[1:] |= bits[:-1] >> _TOP
    return moved


def _move_down(bits: _Bits) -> _Bits:
    """Return for each byte the bit of the one after it."""
    moved = bits >> _ONE
    moved[:-1] |= bits[1:] << _TOP
    return moved


def _find_inside(text: bytes) -> _Bits:
    """Return the bytes inside quotes, with the first quote: an odd number of quotes up to them."""
    inside = _mark(text, '"')
    moved = np.empty_like(inside)
    for step in (1, 2, 4, 8, 16, 32):
        inside ^= np.left_shift(inside, np.uint64(step), out=moved)
    is_odd = inside >> _TOP  # the number of quotes in each 64 bytes
    is_odd_before = np.bitwise_xor.accumulate(is_odd) ^ is_odd
    return inside ^ np.where(is_odd_before, ~np.uint64(0), np.uint64(0))


def _find_outside(text: bytes, mark: str, inside: _Bits) -> _Positions:
    return _list_positions(_mark(text, mark) & ~inside)


def _check_outside(
    response: Response, text: bytes, inside: _Bits, chunks: Iterator[bytes]
) -> _Positions:
    """Return the newlines outside quotes; no carriage return and message of PHP stands there.

    Raises:
        REDCapError: One does. The type says which.
    """
    ends = _find_outside(text, "\n", inside)
    codes = np.frombuffer(text, np.uint8)
    first, second = (codes.take(ends + place, mode="clip").astype(np.intp) for place in (1, 2))
    for end in ends[np.isin((first << 8) + second, _PHP_STARTS)].tolist():
        if _PHP_MESSAGE.match(text, end + 1):
            page = text[end:] + read_start(chunks)
            raise page_error(response, page[:_LONGEST_MESSAGE].decode("utf-8", "replace"))
    if b"\r" in text and len(_find_outside(text, "\r", inside)):
        raise malformed_error(response, "a carriage return stands outside quotes")
    return ends


def _check_quotes(response: Response, text: bytes, inside: _Bits, form: Form) -> None:
    """Raise if a quote stands within a cell and is not doubled."""
    before = _move_up(inside)
    first, last = inside & ~before, before & ~inside
    ends_cell = _mark(text, form.delimiter, "\n") | first | last
    may_follow = _move_down(ends_cell)
    may_follow[-1] |= np.uint64(1 << (len(text) - 1) % 64)  # the piece ends after it
    wrong = _list_positions(first & ~_move_up(ends_cell) | last & ~may_follow)
    if len(wrong):
        raise _quote_error(response, text, int(wrong[0]), form)


def _quote_error(
    response: Response, text: bytes, position: int, form: Form
) -> MalformedResponseError:
    """Return the error for a quote within a cell, with the record and the field."""
    quotes = _find(text, b'"')
    start = text.rfind(b"\n", 0, position)
    while (count := int(np.searchsorted(quotes, start))) % 2:
        start = text.rfind(b"\n", 0, int(quotes[count - 1]))
    row = text[start + 1 : position]
    ends = _find_outside(row, form.delimiter, _find_inside(row)).tolist()
    fields = form.columns[len(ends) : len(ends) + 1]
    where = f", in the field {fields[0]}" if fields else ""
    error = malformed_error(response, f"a quote stands within a cell and is not doubled{where}")
    error.fields = fields
    number = form.columns.index(form.id_column) if form.id_column in form.columns else len(ends)
    if number < len(ends):
        cell = row[ends[number - 1] + 1 if number else 0 : ends[number]]
        error.records = (cell.decode("utf-8", "replace").strip('"').replace('""', '"'),)
    return error
