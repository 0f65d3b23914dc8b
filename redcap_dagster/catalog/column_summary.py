"""What the columns of an instrument's table hold: one table for people, and totals that plot."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.catalog.column_schema import INFERRED
from redcap_dagster.catalog.column_texts import ColumnTexts
from redcap_dagster.markdown import build_markdown_table
from redcap_dagster.tables import CleanTable, Contents

_LONGEST_LABEL = 120


def summary_metadata(
    texts: ColumnTexts,
    schema: dg.TableSchema,
    contents: Contents,
    cleaned: CleanTable | None,
) -> dict[str, Any]:
    """Return a summary of each column as a table in Markdown, and totals as numbers.

    The table has the columns of the instrument, without those that hold the reasons for missing
    values. Different values are counted only in columns with at least ten values.

    Args:
        texts: What the dictionary says of the columns.
        schema: Schema of the table.
        contents: The table, with the counts of its columns.
        cleaned: The same as a clean table, with its counts; None for records.
    """
    table = contents.table

    def summarize(column: dg.TableColumn) -> Iterator[object]:
        yield column.name
        yield " ".join(texts.get_label(column.name).split())[:_LONGEST_LABEL]
        if cleaned is not None:
            yield f"{column.type} (inferred)" if INFERRED in column.tags else column.type
        yield table[column.name].null_count
        if cleaned is not None:
            sources = texts.list_exported(column.name)
            yield sum(cleaned.replaced.get(source, 0) for source in sources)
            yield sum(cleaned.invalid.get(source, 0) for source in sources)
        yield contents.distinct.get(column.name)

    of_clean = ("type", "missing", "replaced", "invalid")
    head = ("column", "label", *(("missing",) if cleaned is None else of_clean), "distinct")
    shown = [column for column in schema.columns if not texts.holds_reasons(column.name)]
    summary = build_markdown_table(head, [list(summarize(column)) for column in shown])
    return {
        "redcap/columns": dg.MetadataValue.md(summary),
        **total_metadata(texts, table, cleaned),
    }


def total_metadata(
    texts: ColumnTexts,
    table: pa.Table,
    cleaned: CleanTable | None,
    rows: pa.ChunkedArray | None = None,
) -> dict[str, int]:
    """Return how many values of all fields are missing, replaced and invalid.

    Keys are not counted, and each field once: without the columns of its codes and of the reasons
    for its missing values.

    Args:
        texts: What the dictionary says of the columns.
        table: The table.
        cleaned: The same as a clean table, with its counts; None for records.
        rows: True for each row that counts. Defaults to all rows.
    """
    values = [table[name] for name in table.column_names if texts.holds_values(name)]
    totals = {"redcap/missing_values": sum(_count(column.is_null(), rows) for column in values)}
    if cleaned is not None:
        for name, found in (
            ("replaced_values", cleaned.replaced_rows),
            ("invalid_values", cleaned.invalid_rows),
        ):
            totals[f"redcap/{name}"] = sum(_count(column, rows) for column in found.values())
    return totals


def _count(found: pa.ChunkedArray, rows: pa.ChunkedArray | None) -> int:
    return int(pc.sum(found if rows is None else pc.and_(found, rows), min_count=0).as_py())
