"""A block of the rows of a CSV as an Arrow batch."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

_OFFSETS = {pa.string(): np.int32, pa.large_string(): np.int64}

LONGEST_CELL = 1 << 22
"""Bytes of a cell. REDCap's database has at most 64 kB in one."""


@dataclass(frozen=True)
class BadBlock:
    """Why a block cannot be parsed.

    Attributes:
        problem: Arrow's message.
        long_column: The column of a cell that is too long, if that is the problem.
    """

    problem: str = field(default="", repr=False)
    long_column: str = ""


@lru_cache(16)
def _make_convert_options(schema: pa.Schema, check_utf8: bool) -> pa_csv.ConvertOptions:
    """Return how cells are read; the responses to the requests of a plan have the same columns."""
    return pa_csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, check_utf8=check_utf8
    )


def parse_block(schema: pa.Schema, delimiter: str, rows: memoryview) -> pa.RecordBatch | BadBlock:
    """Return a block of rows as a batch, or why it cannot be parsed.

    Args:
        schema: The columns with their types.
        delimiter: The delimiter between two cells.
        rows: The bytes of whole rows, with the newline before them.
    """
    # The newline before the rows is skipped. Without it, Arrow would remove a byte order mark from
    # the first cell.
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(rows),
            # One thread for a block: with more, errors do not name the row, and columns are
            # converted far from the cache that they were parsed in.
            read_options=pa_csv.ReadOptions(
                column_names=schema.names,
                skip_rows=1,
                block_size=len(rows) + 1,
                use_threads=False,
            ),
            # A blank line in a response of one column stands for a row.
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False
            ),
            # To look at all bytes at once is quicker than to check each cell.
            convert_options=_make_convert_options(schema, not _is_ascii(rows)),
        )
    except pa.ArrowException as error:
        return BadBlock(str(error))
    if len(rows) > LONGEST_CELL and (column := _find_long_cell(table)):
        return BadBlock(long_column=column)
    return _share_offsets(table.combine_chunks().to_batches()[0], schema)


def _is_ascii(text: memoryview) -> bool:
    return not text or bool(np.frombuffer(text, np.uint8).max() < 0x80)


def _share_offsets(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows in which all columns of single bytes, or blank, have the same offsets.

    Such columns, as those of choices, are common, and their offsets take more memory than cells.
    """
    shared: dict[pa.DataType, pa.Buffer] = {}
    columns, number = rows.columns, rows.num_rows
    for place, cells in enumerate(columns):
        validity, offsets, text = cells.buffers()
        if cells.offset or text.size != number - cells.null_count:  # a blank cell is null
            continue
        if cells.null_count:
            starts = np.frombuffer(offsets, _OFFSETS[cells.type], number)
            text = pa.py_buffer(_pad_nulls(text, starts))
        if cells.type not in shared:
            shared[cells.type] = pa.py_buffer(np.arange(number + 1, dtype=_OFFSETS[cells.type]))
        buffers = [validity, shared[cells.type], text]
        columns[place] = pa.Array.from_buffers(cells.type, number, buffers, cells.null_count)
    return pa.record_batch(columns, schema=schema)


def _pad_nulls(text: pa.Buffer, starts: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return single bytes with one for each null too, which may have any: that of a neighbor."""
    if not text.size:
        return np.zeros(len(starts), np.uint8)
    return np.frombuffer(text, np.uint8).take(starts, mode="clip")


def _find_long_cell(rows: pa.Table) -> str:
    """Return the first column with a cell that is too long, or a blank."""
    longest = ((name, pc.max(pc.binary_length(rows[name])).as_py()) for name in rows.column_names)
    return next((name for name, length in longest if (length or 0) > LONGEST_CELL), "")
