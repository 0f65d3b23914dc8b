"""Confirmations: which queries a data manager looked at and left as they are, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa

from redcap_dagster.frames import Rows
from redcap_dagster.tables.instruments import read_text

_COLUMNS = ("query_id", "who", "why")


class ConfirmationError(ValueError):
    """Confirmations that cannot be read; the message names rows by their number, and columns."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One confirmation.

    Attributes:
        query_id: Id of the query.
        who: Who confirmed it.
        why: The reason.
        row: Number of its row, in which the first row below the header is 2, after the name of its
            file if there are several. Defaults to blank.
    """

    query_id: str
    who: str
    why: str
    row: str = ""


@dataclass(frozen=True)
class Confirmations:
    """The confirmations of a table or a file.

    Attributes:
        by_query: The last confirmation of each query, by its id. Defaults to none.
        refused: Why a row was refused, by its number. Defaults to none.
    """

    by_query: Mapping[str, Confirmation] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def read_confirmations(given: Rows | Path | str) -> Confirmations:
    """Return the confirmations of a table, or of a CSV file in UTF-8.

    Args:
        given: Rows with the columns ``query_id``, ``who`` and ``why``, all text; other columns are
            ignored. A DataFrame, an Arrow table, or the path of a CSV file.

    Raises:
        ConfirmationError: The file cannot be read, or columns are missing.

    Example:
        >>> rows = pa.table({"query_id": ["QABCDEFGHIJKL", ""], "who": ["Ada", "Ada"],
        ...                  "why": ["as in the source", "also"]})
        >>> read_confirmations(rows).refused
        {'3': 'it does not have a query id'}
    """
    table = _read_csv(Path(given)) if isinstance(given, str | Path) else read_text(given)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise ConfirmationError(
            f"The confirmations do not have the columns {missing}. Give a table or CSV with the "
            f"columns {', '.join(_COLUMNS)}."
        )
    return collect_confirmations(
        [
            Confirmation(**{name: (row[name] or "").strip() for name in _COLUMNS}, row=f"{number}")
            for number, row in enumerate(table.select(_COLUMNS).to_pylist(), start=2)
        ]
    )


def collect_confirmations(rows: Sequence[Confirmation]) -> Confirmations:
    """Return confirmations by query, without those that do not say which query, who and why.

    Args:
        rows: The confirmations, in their order. Rows that are blank are left out.
    """
    by_query: dict[str, Confirmation] = {}
    refused: dict[str, str] = {}
    for row in rows:
        if not (row.query_id or row.who or row.why):
            continue
        if not row.query_id:
            refused[row.row] = "it does not have a query id"
        elif not (row.who and row.why):
            refused[row.row] = "it does not say who confirmed the query and why"
        else:
            by_query[row.query_id] = row
    return Confirmations(by_query, refused)


def _read_csv(path: Path) -> pa.Table:
    """Return a CSV file as text.

    Raises:
        ConfirmationError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        separator = ";" if head.count(";") > head.count(",") else ","  # as Excel writes it
        frame = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:
        raise ConfirmationError(
            f"The file of the confirmations cannot be read ({type(error).__name__}). Save it as "
            f"CSV in UTF-8, with the columns {', '.join(_COLUMNS)}: {path}"
        ) from None
    return read_text(frame)
