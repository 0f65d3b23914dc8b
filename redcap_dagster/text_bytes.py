"""The bytes of a column of text: tests of ordinary values, without regular expressions.

Arrow compares and matches texts one by one. Most values of an export are short numbers, dates and
codes: their lengths and characters show what they may be, for all rows at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_ROWS: Final = 1 << 12
"""Rows of which the order is looked at together."""

Flags = npt.NDArray[np.bool_]
"""One truth value for each row."""


_RARE: Final = 32
"""Rows per occurrence of a byte from which the row of each occurrence is searched."""


@dataclass(frozen=True)
class TextBytes:
    """The bytes of a chunk of text.

    Attributes:
        data: The bytes of all values, one after the other; bytes of nulls may be among them.
        offsets: Where each value starts in `data`, and where the last one ends.
        is_valid: Whether each value is not null.
    """

    data: npt.NDArray[np.uint8] = field(repr=False)
    offsets: npt.NDArray[np.int32] = field(repr=False)
    is_valid: Flags = field(repr=False)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Number of bytes of each value; -1 for null."""
        # By arithmetic: `np.where` takes ten times as long where nulls come at random.
        return (np.diff(self.offsets) + 1) * self.is_valid - 1

    @cached_property
    def is_byte_per_row(self) -> bool:
        """Whether each row is one byte of `data`, as ticks and most codes are, and none is null."""
        if len(self.data) != len(self.is_valid):
            return False
        return bool(self.is_valid.all() and (np.diff(self.offsets) == 1).all())

    @cached_property
    def first(self) -> npt.NDArray[np.uint8]:
        """The first byte of each value; 0 if it does not have any."""
        if self.is_byte_per_row:
            return self.data
        if not len(self.data):
            return np.zeros(len(self.is_valid), np.uint8)
        return self.data.take(self.offsets[:-1], mode="clip") * (self.lengths > 0)

    def find_others(self, characters: str, lengths: range) -> Flags:
        """Return whether each value has another length or other characters; False for null.

        Args:
            characters: The lowest and the highest ASCII character.
            lengths: Lengths of the values in bytes, without gaps.
        """
        lowest, highest = characters.encode("ascii")
        others = (self.lengths < lengths.start) | (self.lengths >= lengths.stop)
        # Of the type of the offsets: to search these with another, all of them would be copied.
        wrong = np.flatnonzero((self.data < lowest) | (self.data > highest)).astype(np.int32)
        others[np.searchsorted(self.offsets, wrong, side="right") - 1] = True
        return others & self.is_valid


def view_bytes(text: pa.StringArray) -> TextBytes:
    """Return the bytes of a chunk of text, which are not copied.

    Args:
        text: Array of text.

    Example:
        >>> view_bytes(pa.array(["7", None, "12"])).lengths.tolist()
        [1, -1, 2]
    """
    count = len(text)
    if not count:
        return TextBytes(np.zeros(0, np.uint8), np.zeros(1, np.int32), np.zeros(0, np.bool_))
    bits, positions, content = text.buffers()
    offsets = np.frombuffer(positions, np.int32)[text.offset : text.offset + count + 1]
    data = np.frombuffer(content or b"", np.uint8)[offsets[0] : offsets[-1]]
    if bits is None:
        return TextBytes(data, offsets - offsets[0], np.ones(count, np.bool_))
    return TextBytes(data, offsets - offsets[0], _unpack(bits, text))


def has_blank(text: pa.ChunkedArray) -> bool:
    """Return whether a column has a value without any character.

    Args:
        text: Column of text.

    Example:
        >>> has_blank(pa.chunked_array([["1", None]])), has_blank(pa.chunked_array([["1", ""]]))
        (False, True)
    """
    return any(map(_has_blank, text.chunks))


def _has_blank(text: pa.StringArray) -> bool:
    if not len(text):
        return False
    bits, positions, _ = text.buffers()
    offsets = np.frombuffer(positions, np.int32)[text.offset : text.offset + len(text) + 1]
    is_empty = offsets[1:] == offsets[:-1]
    return bool((is_empty if bits is None else is_empty & _unpack(bits, text)).any())


def is_ascending(text: pa.ChunkedArray) -> bool:
    """Return whether each value is longer than the one before, or as long and greater.

    All values then differ, as record ids do in the order in which REDCap exports them.

    Args:
        text: Column of text.

    Example:
        >>> is_ascending(pa.chunked_array([["1", "2"], ["10"]]))
        True
        >>> is_ascending(pa.chunked_array([["1", "2"], ["2"]]))
        False
    """
    if text.null_count:
        return False
    blocks = (text.slice(start, _ROWS + 1).combine_chunks() for start in range(0, len(text), _ROWS))
    return all(map(_is_ascending, blocks))  # stops at the first block that is not


def _is_ascending(text: pa.StringArray) -> bool:
    growth = np.diff(view_bytes(text).lengths)
    if (growth < 0).any():
        return False
    is_greater = pc.greater(text[1:], text[:-1]).to_numpy(zero_copy_only=False)
    return bool(((growth > 0) | is_greater).all())


def find_texts(text: pa.ChunkedArray, known: Sequence[str]) -> pa.ChunkedArray:
    """Return whether each value is one of the known texts; False for null.

    Args:
        text: Column of text.
        known: The texts.

    Example:
        >>> find_texts(pa.chunked_array([["1", None, "12"]]), ["1", "x"]).to_pylist()
        [True, False, False]
    """
    flags = [pack_flags(_find_texts(chunk, known)) for chunk in text.chunks]
    return pa.chunked_array(flags, pa.bool_())


def _find_texts(text: pa.StringArray, known: Sequence[str]) -> Flags:
    if len(known) == 1 and len(byte := known[0].encode()) == 1:
        seen = view_bytes(text)
        places = np.flatnonzero(seen.data == byte[0]).astype(np.int32)
        if len(places) * _RARE < len(text):
            rows = np.searchsorted(seen.offsets, places, side="right") - 1
            found = np.zeros(len(text), np.bool_)
            found[rows] = (np.diff(seen.offsets)[rows] == 1) & seen.is_valid[rows]
            return found
    return index_texts(text, known) >= 0


def index_texts(text: pa.StringArray, known: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return the position of each value among the known texts; -1 if it is not one of them.

    Args:
        text: Array of text.
        known: The texts; of equal ones, the first counts.

    Example:
        >>> index_texts(pa.array(["b", None, "c", "long"]), ["a", "b", "long"]).tolist()
        [1, -1, -1, 2]
    """
    seen = view_bytes(text)
    encoded = [each.encode() for each in known]
    if seen.is_byte_per_row:
        return _index_bytes(encoded).take(seen.data)
    sizes = np.diff(seen.offsets)
    found = np.full(len(text), -1, np.int32)
    for size in {len(each) for each in encoded}:  # only values of the same length are compared
        rows = np.flatnonzero((sizes == size) & seen.is_valid)
        if size == 1:
            found[rows] = _index_bytes(encoded).take(seen.data.take(seen.offsets.take(rows)))
        elif len(rows):
            positions = pc.index_in(text.take(pa.array(rows)), pa.array(known, pa.string()))
            found[rows] = pc.fill_null(positions, -1).to_numpy(zero_copy_only=False)
    return found


def _index_bytes(known: Sequence[bytes]) -> npt.NDArray[np.int32]:
    """Return the position of each byte among the known texts, of those with one byte; else -1."""
    position_of_byte = np.full(256, -1, np.int32)
    for position, each in reversed(list(enumerate(known))):
        if len(each) == 1:
            position_of_byte[each[0]] = position
    return position_of_byte


def pack_flags(flags: Flags, is_valid: Flags | None = None) -> pa.BooleanArray:
    """Return booleans of Arrow; much faster than `pyarrow.array`.

    Args:
        flags: The truth value of each row.
        is_valid: Whether each row is not null. Defaults to None: all rows.

    Example:
        >>> pack_flags(np.array([True, False])).to_pylist()
        [True, False]
    """
    return pa.Array.from_buffers(
        pa.bool_(), len(flags), [None if is_valid is None else _pack(is_valid), _pack(flags)]
    )


def pack_positions(positions: npt.NDArray[np.int32]) -> pa.Int32Array:
    """Return positions as numbers of Arrow; a negative one is null.

    Args:
        positions: The position of each row.

    Example:
        >>> pack_positions(np.array([0, -1], np.int32)).to_pylist()
        [0, None]
    """
    buffers = [_pack(positions >= 0), pa.py_buffer(np.maximum(positions, 0))]
    return pa.Array.from_buffers(pa.int32(), len(positions), buffers)


def _unpack(bits: pa.Buffer, array: pa.Array) -> Flags:
    """Return the bits of an array's rows."""
    byte, bit = divmod(array.offset, 8)
    flags = np.unpackbits(
        np.frombuffer(bits, np.uint8)[byte:], count=bit + len(array), bitorder="little"
    )
    return flags[bit:].view(np.bool_)


def _pack(flags: Flags) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
