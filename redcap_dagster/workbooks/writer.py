"""Workbooks of open queries: one for each access group, with every cell as text."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from redcap_dagster.io_managers.atomic_files import write_file
from redcap_dagster.project import StructureError

QUERIES_SHEET: Final = "Queries"
TO_FILL_IN: Final = ("who", "why")
"""Columns that a data manager fills in to confirm a query."""

_MADE_BY: Final = "Open queries of {}, written by redcap-dagster"
"""The comment among a workbook's properties that tells our files from those of others."""

WITHOUT_GROUP: Final = "records_without_access_group"

_GROUP, _LINK, _VALUE, _FIELD, _RECORD = "access_group", "link", "value", "field", "record"
_LONGEST_CELL: Final = 32_767
_MOST_LINKS: Final = 65_530
_MOST_ROWS: Final = 1_000_000
_LONGEST_URL: Final = 2_079
_WIDTHS: Final[Mapping[str, int]] = {
    "label": 40, "problem": 60, _LINK: 12, "who": 20, "why": 40,
}  # fmt: skip
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


class WorkbookError(StructureError):
    """A workbook that cannot be written or read; the message holds no values."""


@dataclass(frozen=True, slots=True)
class RuleDescription:
    """A rule as the second sheet of a workbook explains it.

    Attributes:
        rule: Name of the rule, as in the list of queries.
        letter: REDCap's letter; blank for a rule that REDCap does not have.
        expects: What the rule expects, in a sentence.
    """

    rule: str
    letter: str
    expects: str


def write_workbooks(
    queries: pa.Table,
    folder: UPath,
    name: str,
    rules: Sequence[RuleDescription],
    *,
    groups: Sequence[str] | None,
    identifiers: Collection[str] = (),
    record_id_is_identifier: bool = False,
) -> Sequence[UPath]:
    """Write the open queries as XLSX files, and return their paths.

    There is a file for each access group and one for records without a group, also where it has
    no open query: a file of an earlier run is always replaced, that of a former group by an empty
    list. Each has a sheet of the queries,
    with blank columns ``who`` and ``why`` to be filled in, and a sheet of the rules.
    All cells are text, so that nothing is calculated; the links are the only hyperlinks.

    Args:
        queries: The open queries.
        folder: Folder of the files, which is made if it is missing. Files are for the user alone.
        name: Name of the project, which the names of the files begin with.
        rules: The rules to explain.
        groups: Unique names of the project's access groups; None if the token may not read them:
            then one file has all queries.
        identifiers: Fields that are marked as identifiers, whose values are left out. Defaults
            to none.
        record_id_is_identifier: Whether records and links, which hold the record, are left out
            as well. Defaults to false.

    Raises:
        WorkbookError: A file of somebody else stands in the place of a workbook, or there are
            more queries than a sheet can hold. Nothing is written.
    """
    shown = _remove_identifiers(queries, identifiers, hides_records=record_id_is_identifier)
    parts = {
        folder / f"{name}_queries{suffix}.xlsx": part for suffix, part in _split(shown, groups)
    }
    for path, part in parts.items():
        _check_place(path, name, part.num_rows)
    for path in _find_earlier(folder, name):
        parts.setdefault(path, shown.slice(0, 0))
    for path, part in parts.items():
        write_file(path, lambda file, part=part: _write(file, name, part, rules))  # type: ignore[misc]
    return list(parts)


def check_folder(folder: UPath, name: str) -> None:
    """Raise an error if workbooks cannot be written into a folder.

    Raises:
        WorkbookError: It is not a folder, or files cannot be made there.
    """
    try:
        probe = folder / f".{name}_queries"
        write_file(probe, lambda file: file.write(b""))
        probe.unlink()
    except (OSError, ValueError):
        raise WorkbookError(
            f"Workbooks of queries cannot be written into {folder}: it is not a folder, or the "
            "user of this process may not write there. Name another folder, or allow it."
        ) from None


# -- parts ----------------------------------------------------------------------------------------


def _remove_identifiers(
    queries: pa.Table, identifiers: Collection[str], *, hides_records: bool
) -> pa.Table:
    """Return the queries without the values of fields that are marked as identifiers."""
    removed = pc.is_in(queries[_FIELD], pa.array(identifiers, pa.string()))
    hidden = {_VALUE: removed}
    if hides_records:
        hidden |= dict.fromkeys((_VALUE, _RECORD, _LINK), pa.repeat(True, queries.num_rows))
    for column, rows in hidden.items():
        if column in queries.column_names:
            at = queries.column_names.index(column)
            values = pc.if_else(rows, pa.scalar(None, queries[column].type), queries[column])
            queries = queries.set_column(at, queries.field(at), values)
    return queries


def _split(queries: pa.Table, groups: Sequence[str] | None) -> Iterator[tuple[str, pa.Table]]:
    """Yield the queries of each access group, with the end of the file's name."""
    if groups is None or _GROUP not in queries.column_names:
        yield "", queries
        return
    of_row = pc.fill_null(queries[_GROUP], "")
    found = {*groups, *of_row.unique().to_pylist()} - {""}
    for group in sorted(found):
        # Unique names of groups are of these characters; anything else cannot leave the folder.
        yield "_" + re.sub(r"[^a-z0-9_]", "-", group), queries.filter(pc.equal(of_row, group))
    yield f"_{WITHOUT_GROUP}", queries.filter(pc.equal(of_row, ""))


def _find_earlier(folder: UPath, name: str) -> list[UPath]:
    """Return the workbooks of a project in a folder, of this run's groups and of others."""
    found = folder.glob(f"{name}_queries*.xlsx") if folder.is_dir() else ()
    return [path for path in found if _is_own(path, name)]


def _check_place(path: UPath, name: str, rows: int) -> None:
    if rows > _MOST_ROWS:
        raise WorkbookError(
            f"{rows} queries are more than the {_MOST_ROWS} that a workbook holds. Read the list "
            "from the warehouse, and restrict the rules of the queries."
        )
    if path.exists() and not _is_own(path, name):
        raise WorkbookError(
            f"{path} is not a workbook of queries of this package, so it is not replaced. Move "
            "it, or name another folder."
        )


def _is_own(path: UPath, name: str) -> bool:
    """Return whether a file is a workbook that `write_workbooks` wrote for a project."""
    from openpyxl import load_workbook

    try:
        with path.open("rb") as file:
            book = load_workbook(file, read_only=True)
            return bool(book.properties.description == _MADE_BY.format(name))
    except Exception:  # noqa: BLE001 whatever a file of somebody else is
        return False


# -- one workbook ---------------------------------------------------------------------------------


def _write(file: IO[bytes], name: str, queries: pa.Table, rules: Sequence[RuleDescription]) -> None:
    from xlsxwriter import Workbook

    book = Workbook(file, {"constant_memory": True, "strings_to_urls": False})
    # The same queries give the same file.
    book.set_properties({"comments": _MADE_BY.format(name), "created": _EPOCH.replace(tzinfo=None)})
    formats = {
        "text": book.add_format({"num_format": "@", "valign": "top"}),
        "head": book.add_format({"bold": True, "bottom": 1}),
        "link": book.add_format({"font_color": "#0563C1", "underline": 1, "valign": "top"}),
        "wrap": book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"}),
        "fill": book.add_format({"num_format": "@", "bg_color": "#FFF8DC", "valign": "top"}),
    }
    columns = queries.column_names
    sheet = book.add_worksheet(QUERIES_SHEET)
    _write_head(sheet, [*columns, *TO_FILL_IN], formats["head"])
    links = 0
    for row, values in enumerate(_read_rows(queries.select(columns)), 1):
        for at, (column, value) in enumerate(zip(columns, values, strict=True)):
            if column == _LINK and value and links < _MOST_LINKS and len(value) <= _LONGEST_URL:
                sheet.write_url(row, at, value, formats["link"], "Open in REDCap")
                links += 1
            elif value:
                sheet.write_string(row, at, value, formats["text"])
        for at in (len(columns), len(columns) + 1):
            sheet.write_blank(row, at, None, formats["fill"])
    sheet.autofilter(0, 0, queries.num_rows, len(columns) + 1)
    explained = book.add_worksheet("Rules")
    _write_head(explained, ["rule", "REDCap's letter", "expects", "open queries"], formats["head"])
    explained.set_column(2, 2, 90)
    counts = {one["values"]: one["counts"] for one in pc.value_counts(queries["rule"]).to_pylist()}
    for row, rule in enumerate(rules, 1):
        count = f"{counts.get(rule.rule, 0)}"
        for at, text in enumerate((rule.rule, rule.letter, rule.expects, count)):
            explained.write_string(row, at, text, formats["wrap"])
    book.close()


def _write_head(sheet: Any, names: Sequence[str], head: Any) -> None:
    sheet.freeze_panes(1, 0)
    for at, name in enumerate(names):
        sheet.set_column(at, at, _WIDTHS.get(name, 16))
        sheet.write_string(0, at, name, head)


def _read_rows(table: pa.Table) -> Iterator[tuple[str, ...]]:
    """Yield the rows as texts; blanks for nulls, and no text longer than a cell can be."""
    for batch in table.to_batches(max_chunksize=10_000):
        columns = [
            pc.utf8_slice_codeunits(pc.fill_null(column.cast(pa.string()), ""), 0, _LONGEST_CELL)
            for column in batch.columns
        ]
        yield from zip(*(column.to_pylist() for column in columns), strict=True)
