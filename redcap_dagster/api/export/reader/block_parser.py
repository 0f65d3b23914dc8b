"""Blocks of the rows of a CSV as one Arrow batch."""

from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

LONGEST_CELL = 1 << 22
"""Bytes of a cell. REDCap's database has at most 64 kB in one."""


@dataclass(frozen=True)
class BadBlock:
    """Why a block cannot be parsed.

    Attributes:
        problem: Arrow's message.
        before: What to add to the number of a row in it.
        long_column: The column of a cell that is too long, if that is the problem.
    """

    problem: str = field(default="", repr=False)
    before: int = 0
    long_column: str = ""


@lru_cache(16)
def _make_convert_options(schema: pa.Schema, check_utf8: bool) -> pa_csv.ConvertOptions:
    """Return how cells are read; the responses to the requests of a plan have the same columns."""
    return pa_csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, check_utf8=check_utf8
    )


def parse_blocks(
    schema: pa.Schema, delimiter: str, blocks: list[memoryview]
) -> pa.RecordBatch | BadBlock:
    """Return blocks of rows as one batch, or why one of them cannot be parsed.

    Args:
        schema: The columns with their types.
        delimiter: The delimiter between two cells.
        blocks: The bytes of whole rows, with the newline before them.
    """
    tables: list[pa.Table] = []
    for rows in blocks:
        # The newline before the rows is skipped. Without it, Arrow would remove a byte order mark
        # from the first cell.
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(rows),
                # One thread for a block: with more, errors do not name the row.
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
                convert_options=_make_convert_options(schema, not bytes(rows).isascii()),
            )
        except pa.ArrowException as error:
            return BadBlock(str(error), sum(map(len, tables)) - 1)
        if len(rows) > LONGEST_CELL and (column := _find_long_cell(table)):
            return BadBlock(long_column=column)
        tables.append(table)
    return _share_offsets(pa.concat_tables(tables).combine_chunks().to_batches()[0])


def _share_offsets(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows in which all columns with one byte in each cell have the same offsets.

    Such columns, as those of checkboxes, are common, and their offsets take more memory than cells.
    """
    shared: dict[pa.DataType, pa.Buffer] = {}
    columns, number = rows.columns, rows.num_rows
    for place, cells in enumerate(columns):
        if cells.null_count or cells.offset:  # a blank cell is null
            continue
        _, offsets, text = cells.buffers()
        if text.size == number:
            buffers = [None, shared.setdefault(cells.type, offsets), text]
            columns[place] = pa.Array.from_buffers(cells.type, number, buffers, 0)
    return pa.record_batch(columns, schema=rows.schema)


def _find_long_cell(rows: pa.Table) -> str:
    """Return the first column with a cell that is too long, or a blank."""
    longest = ((name, pc.max(pc.binary_length(rows[name])).as_py()) for name in rows.column_names)
    return next((name for name, length in longest if (length or 0) > LONGEST_CELL), "")
