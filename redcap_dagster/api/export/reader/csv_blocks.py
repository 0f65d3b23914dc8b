"""The body of a CSV -> blocks of whole rows, seen to be as REDCap writes them.

Quotes surround whole cells and come in pairs, and every row ends in a newline, the last one too (so
in each recorded answer). A carriage return stands only inside quotes (a guess: so does PHP);
elsewhere Arrow would end the row at it, as it would make up rows of stray quotes.
"""

import re
from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from redcap_dagster.api.http.response import Response, malformed_error, page_error, read_start

# Bytes. What Arrow makes of a block of this size stays in the processor's cache: with one of 16 MiB
# it takes twice the time.
_BLOCK = 1 << 20

# Bytes; the longest row that was seen is well below.
_LONGEST_ROW = 1 << 24

# What PHP writes into an answer when it stumbles or dies. REDCap would have quoted the blanks. The
# look at the first letter makes it twice as quick.
_PHP_SAID = re.compile(
    rb"\n(?=[<PFWND])(?:<br />\s*)?(?:<b>)?(?:PHP )?"
    rb"(?:Fatal error|Parse error|Warning|Notice|Deprecated)(?:</b>)?:\s"
)

# Bytes; the start of PHP's message is shorter, so that it is never taken apart.
_SEAM = 64

# Bytes of PHP's message that are looked at.
_MESSAGE = 2048


_Positions = npt.NDArray[np.intp]


def split_rows(response: Response, delimiter: str, chunks: Iterator[bytes]) -> Iterator[memoryview]:
    """Cut a CSV without its header into blocks of whole rows, each with a newline before it.

    Raises:
        REDCapError: It breaks off within a row, or holds what REDCap does not write.
    """
    rest, pieces = b"\n", _pieces(chunks)
    piece = next(pieces)
    for following in pieces:
        text = b"".join((rest, *piece))
        quotes = _checked_quotes(response, text, delimiter, chain(following, chunks))
        end = _end_of_rows(text, quotes)
        if end:
            yield memoryview(text)[:end]
        rest, piece = text[end:], following
        if len(rest) > _LONGEST_ROW:
            raise malformed_error(response, f"a row is longer than {_LONGEST_ROW >> 20} MiB")
    # The last piece is whole: a small answer is one block.
    text = b"".join((rest, *piece))
    quotes = _checked_quotes(response, text, delimiter, chunks)
    if text[-1:] != b"\n" or len(quotes) % 2:
        raise malformed_error(response, "it breaks off within a row", broke_off=True)
    if len(text) > 1:
        yield memoryview(text)[:-1]


def _checked_quotes(
    response: Response, text: bytes, delimiter: str, chunks: Iterator[bytes]
) -> _Positions:
    """Say where quotes stand in some rows, which hold nothing that REDCap does not write."""
    quotes = _find(text, b'"')
    _check_outside(response, text, quotes, chunks)
    _check_quotes(response, text, quotes, delimiter)
    return quotes


def _pieces(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Collect chunks to pieces that are worth the work."""
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
    """Tell which bytes stand outside quotes: an even number of quotes is before them."""
    outside: npt.NDArray[np.bool_] = np.searchsorted(quotes, positions) % 2 == 0
    return outside


def _end_of_rows(text: bytes, quotes: _Positions) -> int:
    """Say where the newline of the last whole row is; what may be PHP's is left for later."""
    end = len(text) - _SEAM
    while (end := text.rfind(b"\n", 0, max(end, 0))) > 0:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            return end
        end = int(quotes[before - 1])  # where the cell starts that it stands in
    return 0


def _check_outside(
    response: Response, text: bytes, quotes: _Positions, chunks: Iterator[bytes]
) -> None:
    """Raise where something stands outside quotes that REDCap would not have put there."""
    for said in _PHP_SAID.finditer(text):
        if _are_outside(np.array([said.start()]), quotes)[0]:
            page = text[said.start() :] + read_start(chunks)
            raise page_error(response, page[:_MESSAGE].decode("utf-8", "replace"))
    if b"\r" in text and _are_outside(_find(text, b"\r"), quotes).any():
        raise malformed_error(response, "a carriage return stands outside quotes")


def _check_quotes(response: Response, text: bytes, quotes: _Positions, delimiter: str) -> None:
    """Raise where something else than the end of a cell is before a first or after a last quote."""
    bytes_of = np.frombuffer(text, np.uint8)
    last = quotes[1::2]
    if len(last) and last[-1] + 1 == len(text):  # the answer breaks off behind it
        last = last[:-1]
    may_be_there = np.zeros(256, np.bool_)
    may_be_there[list(f'{delimiter}\n"'.encode())] = True
    for beside in (quotes[0::2] - 1, last + 1):
        if not may_be_there[bytes_of[beside]].all():
            raise malformed_error(response, "a quote stands within a cell, and is not doubled")
