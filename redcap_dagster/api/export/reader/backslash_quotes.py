r"""Quotes after a backslash, which servers write in two ways, are read in the way that fits.

A quote inside a cell is doubled. PHP's ``fputcsv`` does not double it after a backslash, unless its
escape character is turned off: then a quote after a backslash is a part of the cell, or ends it.

At most one reading fits a whole CSV. Where two readings part, one of them is inside a cell and the
other one is not, and each quote that follows changes both or none. They never meet again: after
the next backslash, a quote cannot begin a cell, and at the end one of them is still inside.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

BACKSLASH_QUOTE: Final = b'\\"'

State = Literal["plain", "incomplete", "broke off", "unreadable"]

_LONGEST_CELL: Final = 1 << 18
"""Bytes of a cell with such a quote. REDCap's database has at most 64 kB in a cell."""

_Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Settled:
    """A text in which quotes after a backslash were read.

    Attributes:
        rows: The complete rows that were read, from the newline before to the one after them. All
            quotes inside of cells are doubled.
        rest: The text after them, from the newline before a row.
        state: Why the rest was not read: it has no such quote (``plain``), it can be read only with
            more text (``incomplete``), it ends within a row (``broke off``), or no reading fits
            (``unreadable``).
        doubling: Whether the server doubles quotes after a backslash. None if it is not known.
    """

    rows: bytes = field(repr=False)
    rest: bytes = field(repr=False)
    state: State
    doubling: bool | None


_Added = tuple[int, "_Added"] | None


class _Reading(NamedTuple):
    """One reading of a text up to some quote.

    Attributes:
        doubling: Whether quotes after a backslash are doubled.
        row: The newline before the current row.
        inside: Whether the quotes around a cell are open.
        since: The quote that opened them. Otherwise the last one that closed them, or the row.
        added: The last quote to double, and those before it in the same form. Defaults to none.
    """

    doubling: bool
    row: int
    inside: bool
    since: int
    added: _Added = None


def settle_quotes(text: bytes, delimiter: str, doubling: bool | None, *, last: bool) -> Settled:
    r"""Return a text with all quotes inside of cells doubled, as far as they can be told.

    Args:
        text: A newline, and rows.
        delimiter: The delimiter between two cells.
        doubling: Whether the server doubles quotes after a backslash. None if it is not known.
        last: Whether the text is complete.

    Example:
        >>> settled = settle_quotes(b'\n1,"a \\" b"\n2,c\n', ",", None, last=True)
        >>> settled.rows, settled.rest, settled.doubling
        (b'\n1,"a \\"" b"\n2,c\n', b'\n', False)
    """
    mark = delimiter.encode()
    quotes = np.flatnonzero(np.frombuffer(text, np.uint8) == ord('"'))
    rows: list[bytes] = []
    position = 0
    state: State = "plain"
    while doubling is not True and (found := text.find(BACKSLASH_QUOTE, position)) >= 0:
        row = _find_row(text, quotes, position, found)
        rows.append(text[position:row])
        position = row
        ways = (True, False) if doubling is None else (doubling,)
        end, readings = _read_rows(text, quotes, row, mark, ways, last=last)
        if not end:
            broke_off = last and (text[-1:] != b"\n" or bool(readings))
            state = "broke off" if broke_off else "incomplete" if readings else "unreadable"
            break
        rows.append(_double_quotes(text, row, end, readings[0].added))
        position = end
        if len(left := {reading.doubling for reading in readings}) == 1:
            (doubling,) = left
    return Settled(
        b"".join((*rows, b"\n")) if position else b"\n", text[position:], state, doubling
    )


def _find_row(text: bytes, quotes: _Positions, start: int, position: int) -> int:
    """Return the newline before the row of a position; up to it, all readings are the same."""
    before = int(np.searchsorted(quotes, start))
    end = text.rfind(b"\n", start, position)
    while (count := int(np.searchsorted(quotes, end))) % 2 != before % 2:
        end = text.rfind(b"\n", start, int(quotes[count - 1]))  # before the cell that it is in
    return end


def _read_rows(
    text: bytes, quotes: _Positions, row: int, mark: bytes, ways: tuple[bool, ...], *, last: bool
) -> tuple[int, list[_Reading]]:
    """Return the newline after some rows, and what fits them: one reading, in one way or in both.

    Returns:
        0 instead of the newline, and the readings that are left, if the text has no such row.
    """
    readings, limit = [_Reading(way, row, False, row) for way in ways], len(text)
    for start, stop in _find_runs(quotes, row):
        if stop == len(text) and not last:  # more quotes may follow
            limit = start
            break
        readings = [after for one in readings for after in _read_run(one, text, start, stop, mark)]
        if not readings:
            return 0, []
        if readings[0].row > row and len({one.inside for one in readings}) == 1:
            return readings[0].row, readings
    closed = [one for one in readings if not one.inside]
    if last:
        return len(text) - 1 if closed and text[-1:] == b"\n" else 0, closed or readings
    fitting = [one for one in readings if not one.inside or limit - one.since <= _LONGEST_CELL]
    if closed and fitting == closed:
        end = text.rfind(b"\n", closed[0].since, limit)
        return end if end > row else 0, closed
    return 0, fitting


def _find_runs(quotes: _Positions, after: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of quotes after a position."""
    start = stop = -1
    for number in range(int(np.searchsorted(quotes, after)), len(quotes)):
        quote = int(quotes[number])
        if quote != stop:
            if stop >= 0:
                yield start, stop
            start = quote
        stop = quote + 1
    if stop >= 0:
        yield start, stop


def _read_run(
    reading: _Reading, text: bytes, start: int, stop: int, mark: bytes
) -> Iterator[_Reading]:
    """Yield the readings of a run of quotes: two of a single one that may end a cell or not."""
    count, escaped = stop - start, False
    if reading.inside:
        escaped = not reading.doubling and text[start - 1 : start] == b"\\"
    else:
        if text[start - 1 : start] not in (mark, b"\n"):
            return
        row = max(text.rfind(b"\n", reading.since + 1, start), reading.row)
        reading = reading._replace(row=row, inside=True, since=start)
        count -= 1
    may_end = text[stop : stop + 1] in (mark, b"\n")
    added = reading._replace(added=(start, reading.added)) if escaped else reading
    if count % 2 == escaped:
        yield added
    elif may_end:
        yield added._replace(inside=False, since=stop - 1)
    if escaped and count == 1 and may_end:
        yield reading._replace(inside=False, since=stop - 1)


def _double_quotes(text: bytes, start: int, stop: int, added: _Added) -> bytes:
    """Return a part of a text with some of its quotes doubled."""
    cuts = [stop]
    while added:
        quote, added = added
        if quote < stop:
            cuts.append(quote)
    cuts.append(start)
    return b'"'.join(text[before:after] for before, after in pairwise(reversed(cuts)))
