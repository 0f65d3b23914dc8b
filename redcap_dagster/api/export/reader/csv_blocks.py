"""The body of a CSV cut into blocks of complete rows, checked to be as REDCap writes them.

Quotes surround entire cells and are in pairs. Every row ends in a newline, also the last one (so in
each recorded response). A carriage return stands only inside quotes (a guess: PHP writes CSV so).
Arrow would end the row at any other one, and would misread rows with stray quotes.
"""

import re
from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from redcap_dagster.api.http.response import Response, malformed_error, page_error, read_start

# Bytes. What Arrow parses of a block of this size stays in the processor's cache; blocks of 16 MiB
# take twice the time.
_BLOCK = 1 << 20

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


def split_rows(response: Response, delimiter: str, chunks: Iterator[bytes]) -> Iterator[memoryview]:
    """Yield a CSV without its header as blocks of complete rows, each between newlines.

    Raises:
        REDCapError: The CSV breaks off within a row, or REDCap would not write it so.
    """
    rest, pieces = b"\n", _collect_pieces(chunks)
    piece = next(pieces)
    for following in pieces:
        text = b"".join((rest, *piece))
        quotes = _find_and_check_quotes(response, text, delimiter, chain(following, chunks))
        end = _find_end_of_rows(text, quotes)
        if end:
            yield memoryview(text)[: end + 1]
        rest, piece = text[end:], following
        if len(rest) > _LONGEST_ROW:
            raise malformed_error(response, f"a row is longer than {_LONGEST_ROW >> 20} MiB")
    # The last piece is complete: a small response is one block.
    text = b"".join((rest, *piece))
    quotes = _find_and_check_quotes(response, text, delimiter, chunks)
    if text[-1:] != b"\n" or len(quotes) % 2:
        raise malformed_error(response, "it breaks off within a row", broke_off=True)
    if len(text) > 1:
        yield memoryview(text)


def _find_and_check_quotes(
    response: Response, text: bytes, delimiter: str, chunks: Iterator[bytes]
) -> _Positions:
    """Return where quotes stand in some rows, after checking that REDCap would write them so."""
    if b"\0" in text:
        raise malformed_error(response, "a cell holds a NUL")
    quotes = _find(text, b'"')
    _check_outside(response, text, quotes, chunks)
    _check_quotes(response, text, quotes, delimiter)
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


def _check_quotes(response: Response, text: bytes, quotes: _Positions, delimiter: str) -> None:
    """Raise if a quote stands within a cell and is not doubled."""
    codes = np.frombuffer(text, np.uint8)
    last = quotes[1::2]
    if len(last) and last[-1] + 1 == len(text):  # the piece ends after it
        last = last[:-1]
    ends_cell = np.zeros(256, np.bool_)
    ends_cell[list(f'{delimiter}\n"'.encode())] = True
    for beside in (quotes[0::2] - 1, last + 1):
        if not ends_cell[codes[beside]].all():
            raise malformed_error(response, "a quote stands within a cell and is not doubled")
