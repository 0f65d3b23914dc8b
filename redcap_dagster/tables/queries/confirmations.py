"""Confirmations: which queries a data manager looked at and left as they are, and why."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from redcap_dagster.frames import Rows
from redcap_dagster.project import StructureError
from redcap_dagster.tables.text_columns import read_text

TO_FILL_IN: Final = ("who", "why")
"""Columns that a data manager fills in to confirm a query."""

_COLUMNS: Final = ("query_id", *TO_FILL_IN)
_LIST: Final = ", ".join(_COLUMNS)
_COMPARED: Final = ("record", "event", "instance", "instrument", "field", "rule")
_MOST_ROWS_ABOVE: Final = 20


class ConfirmationError(StructureError):
    """Confirmations that cannot be read; the message names rows by their number, and columns."""


class MissingHeaderError(ConfirmationError):
    """A sheet without a row that has the names of the columns."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One confirmation.

    Attributes:
        query_id: Id of the query.
        who: Who confirmed it.
        why: The reason.
        row: Number of its row, in which the first row of the file is 1, after the name of its
            file if there are several. Defaults to blank.
    """

    query_id: str
    who: str
    why: str
    row: str = ""


@dataclass(frozen=True)
class Confirmations:
    """The confirmations of tables and files.

    Attributes:
        given: The confirmations, in their order; a query may have several. Defaults to none.
        refused: Why a row was refused, by its number. Defaults to none.
    """

    given: Sequence[Confirmation] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_query(self) -> Mapping[str, Sequence[Confirmation]]:
        """The confirmations of each query, by its id."""
        found: dict[str, list[Confirmation]] = {}
        for one in self.given:
            found.setdefault(one.query_id, []).append(one)
        return found


def read_confirmations(given: Rows | Path | str, queries: pa.Table | None = None) -> Confirmations:
    """Return the confirmations of a table, or of a CSV file in UTF-8.

    Args:
        given: Rows with the columns ``query_id``, ``who`` and ``why``, all text. A DataFrame, an
            Arrow table, or the path of a CSV file, whose separator is a comma, a semicolon or a
            tab.
        queries: The open list or the history of the queries. With it, a row whose record, event,
            instance, instrument, field or rule is not the one of its query is refused. Defaults
            to None.

    Raises:
        ConfirmationError: The file cannot be read, or columns are missing.

    Example:
        >>> rows = pa.table({"query_id": ["QABCDEFGHIJKL", ""], "who": ["Ada", "Ada"],
        ...                  "why": ["as in the source", "also"]})
        >>> read_confirmations(rows).refused
        {'3': 'it does not have a query id'}
    """
    if isinstance(given, str | Path):
        path = Path(given)
        return collect_confirmations(_read_csv(path), queries, f"The file {path.name}")
    table = read_text(given)
    columns = [[text or "" for text in column.to_pylist()] for column in table.columns]
    return collect_confirmations(
        [table.column_names, *zip(*columns, strict=True)], queries, "The table of confirmations"
    )


def collect_confirmations(
    rows: Iterable[Sequence[str]], queries: pa.Table | None, source: str
) -> Confirmations:
    """Return the confirmations of a sheet; rows without ``who`` and ``why`` are left out.

    Args:
        rows: The cells of each row as text. The first row that has the names of the columns is the
            header.
        queries: The open list or the history, to compare rows with; None before the first run.
        source: The sheet, as an error calls it.

    Raises:
        MissingHeaderError: The header is missing.
        ConfirmationError: The header has a column twice.
    """
    given: list[Confirmation] = []
    refused: dict[str, str] = {}
    known = {} if queries is None else _read_keys(queries)
    for number, row in _list_rows(rows, source):
        one = Confirmation(row["query_id"], row["who"], row["why"], row=f"{number}")
        if not (one.who or one.why):
            continue
        others = _find_differences(row, known.get(one.query_id, {}))
        if None in row:
            refused[one.row] = "it has more cells than the header; put quotes around its texts"
        elif not one.query_id:
            refused[one.row] = "it does not have a query id"
        elif not (one.who and one.why):
            refused[one.row] = "it does not say who confirmed the query and why"
        elif others:
            refused[one.row] = f"its query id belongs to another {' and '.join(others)}"
        else:
            given.append(one)
    return Confirmations(tuple(given), refused)


def list_filled_in(
    rows: Iterable[Sequence[str]], queries: pa.Table, source: str
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what is filled in for each query, also where only one of the cells is.

    Args:
        rows: As for `collect_confirmations`.
        queries: The open list, of which a row must be.
        source: The sheet, as an error calls it.

    Raises:
        ConfirmationError: The header is missing, or has a column twice.
    """
    known = _read_keys(queries)
    for _, row in _list_rows(rows, source):
        query = known.get(row["query_id"])
        if query is not None and (row["who"] or row["why"]) and not _find_differences(row, query):
            yield row["query_id"], (row["who"], row["why"])


def _list_rows(
    rows: Iterable[Sequence[str]], source: str
) -> Iterator[tuple[int, Mapping[str | None, str]]]:
    """Yield the rows below the header by column, with their numbers.

    Cells beyond the header have the key None.

    Raises:
        ConfirmationError: The header is missing, or has a column twice.
    """
    numbered = enumerate(([cell.strip() for cell in row] for row in rows), 1)
    heads = ([name.lower() for name in row] for _, row in islice(numbered, _MOST_ROWS_ABOVE))
    head = next((names for names in heads if set(_COLUMNS) <= set(names)), None)
    if head is None:
        raise MissingHeaderError(
            f"{source} does not have a row with the names of the columns {_LIST}. "
            "Write these above the confirmations."
        )
    twice = [name for name in (*_COLUMNS, *_COMPARED) if head.count(name) > 1]
    if twice:
        raise ConfirmationError(
            f"{source} has columns twice: {', '.join(twice)}. Rename or remove the others."
        )
    for number, cells in numbered:
        if not any(cells):
            continue
        row: dict[str | None, str] = dict.fromkeys(_COLUMNS, "")
        row.update(zip(head, cells, strict=False))
        row["query_id"] = row["query_id"].upper()
        if any(cells[len(head) :]):
            row[None] = ""
        yield number, row


def _read_keys(queries: pa.Table) -> Mapping[str, Mapping[str, str]]:
    """Return the key, the field and the rule of each query, by its id."""
    return {
        row["query_id"]: {
            name: "" if row[name] is None else f"{row[name]}".strip() for name in _COMPARED
        }
        for row in queries.select(["query_id", *_COMPARED]).to_pylist()
    }


def _find_differences(row: Mapping[str | None, str], query: Mapping[str, str]) -> Sequence[str]:
    """Return the columns in which a row differs from its query.

    A blank cell does not differ: records that are identifiers are not in workbooks.
    """
    return [
        name
        for name, text in query.items()
        if (cell := row.get(name)) and cell != text and not _is_same_number(cell, text)
    ]


def _is_same_number(cell: str, text: str) -> bool:
    """Whether texts differ by leading zeros alone, which a spreadsheet removes from a CSV file."""
    return cell.isdecimal() and text.isdecimal() and cell.lstrip("0") == text.lstrip("0")


def _read_csv(path: Path) -> Sequence[Sequence[str]]:
    """Return the cells of a CSV file, whichever of its separators a spreadsheet uses.

    Raises:
        ConfirmationError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = list(islice(file, _MOST_ROWS_ABOVE))  # a title may stand above the header
            head = next((line for line in first if "query_id" in line.lower()), "")
            file.seek(0)
            separator = max(",;\t", key=head.count)
            return list(csv.reader(file, delimiter=separator, strict=True))
    except UnicodeDecodeError:
        why = "the file is not in UTF-8. In Excel, save it as CSV UTF-8, or as XLSX"
    except (csv.Error, ValueError):
        why = "the quotes of the file do not match. Save it as CSV UTF-8, or as XLSX"
    except FileNotFoundError:
        why = f"there is no such file or folder. Make it; a CSV has the columns {_LIST}"
    except OSError as error:
        why = f"the system refuses the file ({type(error).__name__}). Allow this user to read it"
    raise ConfirmationError(f"The confirmations cannot be read: {why}: {path}")
