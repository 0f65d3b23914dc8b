"""What data managers send back: the queries that they confirmed, from a workbook or a CSV file."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from upath import UPath

from redcap_dagster.workbooks.writer import CONFIRMED_BY, QUERIES_SHEET, REASON, WorkbookError

_QUERY_ID = "query_id"
_COMPARED: Final = ("record", "redcap_event_name", "redcap_repeat_instance", "field", "rule")
_LARGEST_FILE: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A query whose value was confirmed to be right.

    Attributes:
        query_id: Id of the query.
        confirmed_by: Who confirmed it.
        reason: Why the value is right.
    """

    query_id: str
    confirmed_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that does not confirm a query: its number in the file, and why."""

    row: int
    why: str


def read_confirmations(
    path: UPath, queries: pa.Table
) -> tuple[Sequence[Confirmation], Sequence[Refusal]]:
    """Return the confirmations in a file, and the rows that are refused.

    A row confirms a query if ``confirmed_by`` or ``reason`` is filled in. It needs both, the id of
    a query, and, where the file has these columns, that query's record, event, instance, field and
    rule: a column that was sorted alone, or an id that was edited, confirms nothing.

    Args:
        path: A workbook that `write_workbooks` wrote, or a CSV file with the columns ``query_id``,
            ``confirmed_by`` and ``reason``.
        queries: The queries that can be confirmed.

    Raises:
        WorkbookError: The file cannot be read, or lacks one of the three columns.
    """
    known = {row[_QUERY_ID]: row for row in queries.to_pylist()}
    confirmed: dict[str, Confirmation] = {}
    refused: list[Refusal] = []
    for number, row in _read_rows(path):
        who, why = row.get(CONFIRMED_BY, ""), row.get(REASON, "")
        if not (who or why):
            continue
        query_id = row.get(_QUERY_ID, "")
        problem = _find_problem(row, known.get(query_id), who, why)
        if not problem and query_id in confirmed:
            problem = "another row confirms the same query"
        if problem:
            refused.append(Refusal(number, problem))
        else:
            confirmed[query_id] = Confirmation(query_id, who, why)
    return list(confirmed.values()), refused


def _find_problem(
    row: Mapping[str, str], query: Mapping[str, object] | None, who: str, why: str
) -> str | None:
    """Return why a row does not confirm a query; None if it does."""
    if query is None:
        return "no open query has its query_id"
    if not who or not why:
        return f"{CONFIRMED_BY if not who else REASON} is blank"
    # Records are left out of a workbook where they are identifiers.
    changed = [
        name
        for name in _COMPARED
        if name in row and name in query and row[name] not in ("", _to_text(query[name]))
    ]
    if changed:
        return f"its query_id belongs to another {' and '.join(changed)}"
    return None


def _to_text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():  # as a spreadsheet saves an instance
        value = int(value)
    return "" if value is None else f"{value}".strip()


def _read_rows(path: UPath) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a file by column, with their numbers."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise WorkbookError(f"{path} has more than {_LARGEST_FILE} bytes.")
        rows = _read_csv(path) if path.suffix.lower() == ".csv" else _read_workbook(path)
    except WorkbookError:
        raise
    except Exception:  # noqa: BLE001 a damaged file can fail anywhere; errors may hold values
        raise WorkbookError(
            f"{path} cannot be read as a workbook of queries or as a CSV file (UTF-8). It is "
            "missing, damaged, or protected by a password. Save it again as XLSX or CSV."
        ) from None
    head = next(iter(rows), [])
    lacking = [name for name in (_QUERY_ID, CONFIRMED_BY, REASON) if name not in head]
    if lacking:
        raise WorkbookError(f"{path} lacks the columns {', '.join(lacking)} in its first row.")
    for number, cells in enumerate(rows[1:], 2):
        yield number, dict(zip(head, cells, strict=False))


def _read_csv(path: UPath) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        sample = file.readline()
        file.seek(0)
        # Spreadsheet programs in several countries write semicolons.
        delimiter = ";" if sample.count(";") > sample.count(",") else ","
        return [[cell.strip() for cell in row] for row in csv.reader(file, delimiter=delimiter)]


def _read_workbook(path: UPath) -> list[list[str]]:
    from openpyxl import load_workbook

    with path.open("rb") as file:
        book = load_workbook(file, read_only=True, data_only=True)
        if QUERIES_SHEET not in book.sheetnames:
            raise WorkbookError(f"{path} lacks the sheet {QUERIES_SHEET}.")
        rows = book[QUERIES_SHEET].iter_rows(values_only=True)
        return [[_to_text(cell) for cell in row] for row in rows]
