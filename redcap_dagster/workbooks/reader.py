"""What data managers send back in a workbook: the queries that they confirmed."""

from collections.abc import Mapping

import pyarrow as pa
from upath import UPath

from redcap_dagster.tables.queries.confirmations import (
    ConfirmationError,
    Confirmations,
    collect_confirmations,
    list_filled_in,
)
from redcap_dagster.workbooks.layout import (
    QUERIES_SHEET,
    WorkbookError,
    is_as_written,
    list_workbooks,
    read_sheet,
)


def read_workbook(path: UPath, queries: pa.Table | None) -> Confirmations:
    """Return the confirmations in a workbook, with the rows that are refused.

    A row confirms a query if ``who`` and ``why`` are filled in. If its ``query_id`` is that of a
    query of another record, event, instance, instrument, field or rule, the row is refused: the id
    was edited, or a column was sorted alone.

    Args:
        path: A workbook that `write_workbooks` wrote and a data manager filled in.
        queries: The stored history of the queries; None before the first run.

    Raises:
        WorkbookError: The file cannot be read, or lacks the sheet or a column.
    """
    try:
        return collect_confirmations(read_sheet(path), queries, _name_sheet(path))
    except ConfirmationError as error:
        raise WorkbookError(f"{error}") from None


def read_filled_in(folder: UPath, name: str, queries: pa.Table) -> Mapping[str, tuple[str, str]]:
    """Return ``who`` and ``why`` of the workbooks in a folder, by query id.

    So nothing is lost that a data manager has not finished, or has not returned.

    Args:
        folder: Folder of the workbooks.
        name: Name of the project.
        queries: The open list, of which a row must be. Rows of other queries are left out.
    """
    found: dict[str, tuple[str, str]] = {}
    for path in list_workbooks(folder, name):
        if is_as_written(path):
            continue
        try:
            found |= list_filled_in(read_sheet(path), queries, _name_sheet(path))
        except (ConfirmationError, WorkbookError):  # there is no such row
            continue
    return found


def _name_sheet(path: UPath) -> str:
    return f"The sheet {QUERIES_SHEET} of {path.name}"
