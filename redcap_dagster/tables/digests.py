"""Digests of columns: of their values alone, whichever way Arrow holds these in memory."""

import hashlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from hashlib import _Hash

_ROWS = 1 << 15
"""How many rows are hashed at once. Even with the longest notes, 2 GiB are enough for them."""


def digest_column(column: pa.ChunkedArray) -> bytes:
    """Return a digest of the values of a column, in their order.

    Chunks, offsets, bytes under nulls, padding, and the order of a dictionary do not matter. Blank
    and null differ. The type is not part of the digest.

    The digest does not have a key: people who have it can test a guess about the values.

    Args:
        column: A column of text, numbers, dates, times, booleans, choices, or lists of these.

    Example:
        >>> column = pa.chunked_array([["a", None], ["b"]])
        >>> digest_column(column) == digest_column(pa.chunked_array([["a"], [None, "b"]]))
        True
    """
    if pa.types.is_dictionary(column.type):
        column = _replace_choices(column)
    digest = hashlib.sha256()
    for start in range(0, len(column), _ROWS):
        rows = column.slice(start, _ROWS)
        _add(digest, rows.chunk(0) if rows.num_chunks == 1 else rows.combine_chunks())
    return digest.digest()


def _replace_choices(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a dictionary column with a number for each text, which depends on the text alone."""
    chunks: list[pa.Array] = []
    dictionary = numbers = pa.array([], column.type.value_type)
    for chunk in column.chunks:
        if not (chunks and chunk.dictionary.equals(dictionary)):
            dictionary = chunk.dictionary
            numbers = pa.array(map(_hash_text, dictionary.to_pylist()), pa.uint64())
        chunks.append(numbers.take(chunk.indices))
    return pa.chunked_array(chunks, pa.uint64())


def _hash_text(text: str | None) -> int | None:
    return None if text is None else int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _add(digest: "_Hash", array: pa.Array) -> None:
    """Add to a digest which rows have a value, and the values.

    Each part follows from those before it in length, so that no two arrays add the same bytes.
    """
    digest.update(f"{len(array)},{array.null_count};".encode())
    if array.null_count:
        digest.update(_read_fixed(array.is_valid().cast(pa.uint8())))
        array = array.drop_null()
    if not len(array):
        return
    kind = array.type
    if pa.types.is_list(kind):
        digest.update(_read_fixed(array.value_lengths()))
        _add(digest, array.flatten())
    elif pa.types.is_string(kind):
        _, offsets, text = array.buffers()
        ends = pa.Array.from_buffers(pa.int32(), len(array) + 1, [None, offsets], 0, array.offset)
        first, last = ends[0].as_py(), ends[-1].as_py()
        digest.update(_read_fixed(pc.subtract(ends, ends[0]) if first else ends))
        digest.update(memoryview(text or b"")[first:last])
    else:
        digest.update(_read_fixed(array.cast(pa.uint8()) if pa.types.is_boolean(kind) else array))


def _read_fixed(array: pa.Array) -> memoryview:
    """Return the bytes of values that all have the same width, none of them null."""
    width, end = array.type.bit_width // 8, array.offset + len(array)
    return memoryview(array.buffers()[1])[array.offset * width : end * width]
