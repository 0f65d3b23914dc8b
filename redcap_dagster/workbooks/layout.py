"""The names and cells of a workbook, on which its writer and its reader agree."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from importlib.util import find_spec
from typing import Any, Final
from zipfile import ZipFile

from upath import UPath

from redcap_dagster.project import StructureError

QUERIES_SHEET: Final = "Queries"

MADE_BY: Final = "Open queries of {}, written by redcap-dagster"
"""The comment among a workbook's properties that tells our files from those of others."""

MADE_AT: Final = datetime(2000, 1, 1)  # noqa: DTZ001 workbooks have no time zones
"""When a workbook was made, as it says: the same queries give the same file."""

_PARTS_MADE_AT: Final = (1980, 1, 31, 0, 0, 0)
"""The date that XlsxWriter gives the parts of a file."""

MADE_FILLED_IN: Final = datetime(2001, 1, 1)  # noqa: DTZ001
"""The same of a workbook that was written with what an earlier one held in who and why."""

_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""A character that XML does not have, as workbooks write it."""

_LARGEST_FILE: Final = 50_000_000


class WorkbookError(StructureError):
    """A workbook that cannot be written or read; the message holds no values."""


def check_libraries() -> None:
    """Raise `WorkbookError` if the libraries of workbooks are not installed."""
    if any(find_spec(name) is None for name in ("openpyxl", "xlsxwriter")):
        raise WorkbookError(
            "Workbooks need openpyxl and XlsxWriter, which are not installed: "
            "pip install 'redcap-dagster[queries]'."
        )


def is_own(path: UPath, name: str) -> bool:
    """Return whether a file is a workbook that this package wrote for a project."""
    found = _read_properties(path)
    return found is not None and bool(found.description == MADE_BY.format(name))


def is_as_written(path: UPath) -> bool:
    """Return whether nothing is filled in, as nobody has saved a workbook of this package.

    Some programs keep the time, others write texts beside the cells, which this package does not,
    and most give the parts of the file the time of their saving.
    """
    found = _read_properties(path)
    with path.open("rb") as file, ZipFile(file) as parts:
        is_saved = "xl/sharedStrings.xml" in parts.namelist()
        is_saved |= any(part.date_time != _PARTS_MADE_AT for part in parts.infolist())
    return not is_saved and bool(found.modified == MADE_AT)


def _read_properties(path: UPath) -> Any:
    """Return the properties of a workbook; None for whatever else a file is."""
    from openpyxl import load_workbook

    try:
        with path.open("rb") as file:
            return load_workbook(file, read_only=True).properties
    except Exception:  # noqa: BLE001 a file of somebody else can fail anywhere
        return None


def list_workbooks(folder: UPath, name: str) -> list[UPath]:
    """Return the workbooks of a project in a folder."""
    found = folder.glob(f"{name}_queries*.xlsx") if folder.is_dir() else ()
    return sorted(path for path in found if is_own(path, name))


def read_sheets(path: UPath) -> Iterator[tuple[str, Iterator[Sequence[str]]]]:
    """Yield the name of each sheet with its rows as texts, to be read before the next sheet.

    Raises:
        WorkbookError: The file cannot be read, or has no sheets; or libraries are missing.
    """
    check_libraries()
    from openpyxl import load_workbook

    with _name_damage(path):
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise WorkbookError(f"{path.name} is too large: {size} of {_LARGEST_FILE} bytes.")
        with path.open("rb") as file:
            book = load_workbook(file, read_only=True, data_only=True)
            if not book.worksheets:
                raise WorkbookError(
                    f"{path.name} does not have a sheet that can be read. If its type is Strict "
                    "Open XML, save it as an Excel workbook (XLSX)."
                )
            for sheet in book.worksheets:
                yield sheet.title, _read_rows(path, sheet)


def _read_rows(path: UPath, sheet: Any) -> Iterator[Sequence[str]]:
    with _name_damage(path):
        sheet.reset_dimensions()  # a stray cell must not fill up all rows and columns
        for row in sheet.iter_rows(values_only=True):
            yield [_to_text(cell) for cell in row]


@contextmanager
def _name_damage(path: UPath) -> Iterator[None]:
    """Raise a `WorkbookError` instead of any error of a file; the message holds no cells."""
    try:
        yield
    except WorkbookError:
        raise
    except FileNotFoundError:
        raise WorkbookError(f"{path} does not exist. Write the path of a workbook.") from None
    except PermissionError:
        raise WorkbookError(
            f"{path.name} may not be read. Close it where it is open, and allow the user of this "
            "process to read it."
        ) from None
    except Exception:  # noqa: BLE001 a damaged file can fail anywhere, in words that hold cells
        raise WorkbookError(
            f"{path.name} cannot be read as a workbook: it is damaged, protected by a password, or "
            "of another type than its name says. Open it in a spreadsheet, and save it as XLSX "
            "without a password."
        ) from None


def _to_text(value: object) -> str:
    """Return a cell as text; a spreadsheet may have made numbers and dates of ids."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), f"{value}").strip()
