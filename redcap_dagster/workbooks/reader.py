"""What data managers send back in a workbook: the queries that they confirmed."""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
from upath import UPath

from redcap_dagster.tables.queries.confirmations import (
    Confirmation,
    Confirmations,
    collect_confirmations,
)
from redcap_dagster.workbooks.writer import QUERIES_SHEET, TO_FILL_IN, WorkbookError

_COMPARED: Final = ("record", "event", "instance", "instrument", "field", "rule")
_LARGEST_FILE: Final = 50_000_000


def read_workbook(path: UPath, history: pa.Table | None) -> Confirmations:
    """Return the confirmations in a workbook, with the rows that are refused.

    A row confirms a query if ``who`` and ``why`` are filled in. If its ``query_id`` is that of a
    query of another record, event, instance, field or rule, the row is refused: the id was
    edited, or a column was sorted alone.

    Args:
        path: A workbook that `write_workbooks` wrote and a data manager filled in.
        history: The stored history of the queries; None if there is none.

    Raises:
        WorkbookError: The file cannot be read, or lacks the sheet or a column.
    """
    known = {} if history is None else _read_keys(history)
    rows = _read_sheet(path)
    head = rows[0] if rows else []
    lacking = [name for name in ("query_id", *TO_FILL_IN) if name not in head]
    if lacking:
        raise WorkbookError(
            f"The sheet {QUERIES_SHEET} of {path.name} lacks the columns {', '.join(lacking)} in "
            "its first row. Fill in the workbook that was written, without removing columns."
        )
    given: list[Confirmation] = []
    changed: dict[str, str] = {}
    for number, cells in enumerate(rows[1:], start=2):
        row = dict(zip(head, cells, strict=False))
        if not any(row[name] for name in TO_FILL_IN):
            continue
        others = _find_differences(row, known.get(row["query_id"], {}))
        if others:
            changed[f"{number}"] = f"its query id belongs to another {' and '.join(others)}"
            continue
        given.append(Confirmation(row["query_id"], row["who"], row["why"], row=f"{number}"))
    found = collect_confirmations(given)
    return Confirmations(found.by_query, {**found.refused, **changed})


def _read_keys(history: pa.Table) -> Mapping[str, Mapping[str, str]]:
    """Return the key, the field and the rule of each query, by its id."""
    keys = history.select(["query_id", *_COMPARED])
    return {
        row["query_id"]: {name: _to_text(row[name]) for name in _COMPARED}
        for row in keys.to_pylist()
    }


def _find_differences(row: Mapping[str, str], query: Mapping[str, str]) -> Sequence[str]:
    """Return the columns in which a row differs from its query.

    A blank cell does not differ: records that are identifiers are not in workbooks.
    """
    return [name for name, text in query.items() if row.get(name) and row[name] != text]


def _read_sheet(path: UPath) -> Sequence[Sequence[str]]:
    """Return the rows of the sheet of queries as texts.

    Raises:
        WorkbookError: The file cannot be read, or lacks the sheet.
    """
    from openpyxl import load_workbook

    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise WorkbookError(f"{path.name} is too large: {size} of {_LARGEST_FILE} bytes.")
        with path.open("rb") as file:
            book = load_workbook(file, read_only=True, data_only=True)
            if QUERIES_SHEET not in book.sheetnames:
                raise WorkbookError(
                    f"{path.name} lacks the sheet {QUERIES_SHEET}. Send back the workbook that "
                    "was written."
                )
            rows = book[QUERIES_SHEET].iter_rows(values_only=True)
            return [[_to_text(cell) for cell in row] for row in rows]
    except WorkbookError:
        raise
    except Exception:  # noqa: BLE001 a damaged file can fail anywhere, in words that hold cells
        raise WorkbookError(
            f"{path.name} cannot be read as a workbook: it is missing, damaged or protected by a "
            "password. Save it again as XLSX, without a password."
        ) from None


def _to_text(value: object) -> str:
    """Return a cell as text; a spreadsheet may have saved an instance as a number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else f"{value}".strip()
