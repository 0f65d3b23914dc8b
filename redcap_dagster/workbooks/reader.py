"""What data managers send back in a workbook: the queries that they confirmed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa
from upath import UPath

from redcap_dagster.tables.queries.confirmations import (
    Confirmation,
    ConfirmationError,
    Confirmations,
    MissingHeaderError,
    collect_confirmations,
    list_filled_in,
)
from redcap_dagster.workbooks.layout import (
    QUERIES_SHEET,
    WorkbookError,
    is_as_written,
    list_workbooks,
    read_sheets,
)


def read_workbook(path: UPath, queries: pa.Table | None) -> Confirmations:
    """Return the confirmations in a workbook, with the rows that are refused.

    A row confirms a query if ``who`` and ``why`` are filled in. If its ``query_id`` is that of a
    query of another record, event, instance, instrument, field or rule, the row is refused: the id
    was edited, or a column was sorted alone. Every sheet that has these columns is read, as people
    rename and copy sheets.

    Args:
        path: A workbook that `write_workbooks` wrote and a data manager filled in.
        queries: The stored history of the queries; None before the first run.

    Raises:
        WorkbookError: The file cannot be read, or no sheet has the columns.
    """
    found: dict[str, Confirmations] = {}
    for number, (sheet, rows) in enumerate(read_sheets(path), 1):
        # A person's name for a sheet may be a record id, so it is in no message.
        prefix = "" if sheet == QUERIES_SHEET else f"sheet {number} row "
        try:
            found[prefix] = collect_confirmations(rows, queries, f"Sheet {number} of {path.name}")
        except MissingHeaderError:  # such as the sheet that explains the rules
            continue
        except ConfirmationError as error:
            raise WorkbookError(f"{error}") from None
    if not found:
        raise WorkbookError(
            f"No sheet of {path.name} has a row with the names of the columns query_id, who, why. "
            "Return the workbook that was written, with these columns."
        )
    given: list[Confirmation] = []
    refused: dict[str, str] = {}
    for prefix, one in found.items():
        given += [replace(each, row=f"{prefix}{each.row}") for each in one.given]
        refused |= {f"{prefix}{row}": why for row, why in one.refused.items()}
    return Confirmations(given, refused)


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
            for _, rows in read_sheets(path):
                with suppress(ConfirmationError):  # there is no such row
                    found |= list_filled_in(rows, queries, path.name)
        except WorkbookError:
            continue
    return found
