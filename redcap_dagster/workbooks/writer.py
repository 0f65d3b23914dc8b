"""Workbooks of open queries: one for each access group, with every cell as text."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from redcap_dagster.io_managers.atomic_files import write_file
from redcap_dagster.tables.quality import RuleDescription
from redcap_dagster.tables.queries.confirmations import TO_FILL_IN
from redcap_dagster.workbooks.layout import (
    MADE_AT,
    MADE_BY,
    MADE_FILLED_IN,
    QUERIES_SHEET,
    WorkbookError,
    check_libraries,
    is_own,
    list_workbooks,
)

WITHOUT_GROUP: Final = "records_without_access_group"

_GROUP, _LINK, _VALUE, _FIELD, _RECORD = "access_group", "link", "value", "field", "record"
_LONGEST_CELL: Final = 32_767
_MOST_LINKS: Final = 65_530
_MOST_ROWS: Final = 1_000_000
_LONGEST_URL: Final = 2_079
_GUIDE: Final = """
Each row of the sheet Queries is about a value that breaks a rule. The column problem says what is \
wrong, and the sheet Rules what each rule expects.
Open the form with the link, and compare it with the source.
If the value is wrong, correct it in REDCap. The row is gone after the next export.
If the value is right, leave it. Write your name into the column who and the reason into the \
column why, save the workbook as XLSX, and return it. The row is gone after the next export; it \
is back if one of the values changes.
Leave the names of the columns and the query ids as they are. You may sort and filter whole rows, \
and add columns.
A row whose state is not judged or hidden from this token could not be checked in the last \
export. Wait until it is open again, or gone.
Times are in UTC.
""".strip().splitlines()
_NO_RECORDS: Final = (
    "The record id identifies persons, so it is left out, and so are links. Ask the sender for the "
    "record of a query id."
)
_WIDTHS: Final[Mapping[str, int]] = {
    "label": 40, "problem": 60, _LINK: 12, "who": 20, "why": 40,
}  # fmt: skip


def write_workbooks(
    queries: pa.Table,
    folder: UPath,
    name: str,
    rules: Sequence[RuleDescription],
    *,
    groups: Sequence[str] | None,
    identifiers: Collection[str] = (),
    record_id_is_identifier: bool = False,
    filled_in: Mapping[str, tuple[str, str]] | None = None,
) -> Sequence[UPath]:
    """Write the open queries as XLSX files, and return their paths.

    There is a file for each access group and one for records without a group, also where it has
    no open query: a file of an earlier run is always replaced, that of a former group by an empty
    list. Each has a sheet of the queries, with columns ``who`` and ``why`` to be filled in, a
    sheet that says what to do, and a sheet of the rules. All cells are text, so that nothing is
    calculated; the links are the only hyperlinks.

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
        filled_in: What ``who`` and ``why`` hold, by query id. Defaults to nothing.

    Raises:
        WorkbookError: A file of somebody else stands in the place of a workbook, or there are
            more queries than a sheet can hold: then nothing is written. Or a file cannot be
            written.
    """
    shown = _remove_identifiers(queries, identifiers, hides_records=record_id_is_identifier)
    parts = {
        folder / f"{name}_queries{suffix}.xlsx": part for suffix, part in _split(shown, groups)
    }
    for path, part in parts.items():
        _check_place(path, name, part.num_rows)
    for path in list_workbooks(folder, name):
        parts.setdefault(path, shown.slice(0, 0))
    for path, part in parts.items():
        book = _Book(name, part, rules, filled_in or {}, hides_records=record_id_is_identifier)
        try:
            write_file(path, book.write)
        except OSError as error:
            raise WorkbookError(
                f"{path} cannot be written ({type(error).__name__}). Close it where it is open, "
                "and see whether the disk is full."
            ) from None
    return list(parts)


def check_folder(folder: UPath, name: str) -> None:
    """Raise an error if workbooks cannot be written into a folder.

    Raises:
        WorkbookError: It is not a folder, or files cannot be made there; or libraries are missing.
    """
    check_libraries()
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
        yield f"_{_name_group(group)}", queries.filter(pc.equal(of_row, group))
    yield f"_{WITHOUT_GROUP}", queries.filter(pc.equal(of_row, ""))


def _name_group(group: str) -> str:
    """Return the name of a group's file: the group's own, or one that no other group has."""
    name = re.sub(r"\W", "-", group.lower())[:30]
    if name == group != WITHOUT_GROUP:
        return group
    return f"{name}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"


def _check_place(path: UPath, name: str, rows: int) -> None:
    if rows > _MOST_ROWS:
        raise WorkbookError(
            f"{rows} queries are more than the {_MOST_ROWS} that a workbook holds. Read the list "
            "from the warehouse, and restrict the rules of the queries."
        )
    if path.exists() and not is_own(path, name):
        raise WorkbookError(
            f"{path} is not a workbook of queries of this package, so it is not replaced. Move "
            "it, or name another folder."
        )


# -- one workbook ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Book:
    """What is in one workbook."""

    name: str
    queries: pa.Table
    rules: Sequence[RuleDescription]
    filled_in: Mapping[str, tuple[str, str]]
    hides_records: bool

    def write(self, file: IO[bytes]) -> None:
        from xlsxwriter import Workbook

        book = Workbook(file, {"constant_memory": True, "strings_to_urls": False})
        made = MADE_FILLED_IN if self.filled_in else MADE_AT
        book.set_properties({"comments": MADE_BY.format(self.name), "created": made})
        self._write_queries(book)
        self._write_guide(book)
        self._write_rules(book)
        book.close()

    def _write_queries(self, book: Any) -> None:
        text = book.add_format({"num_format": "@", "valign": "top"})
        link = book.add_format({"font_color": "#0563C1", "underline": 1, "valign": "top"})
        fill = book.add_format({"num_format": "@", "bg_color": "#FFF8DC", "valign": "top"})
        columns = self.queries.column_names
        sheet = book.add_worksheet(QUERIES_SHEET)
        _write_head(book, sheet, [*columns, *TO_FILL_IN])
        links = 0
        for row, values in enumerate(_read_rows(self.queries), 1):
            for at, (column, value) in enumerate(zip(columns, values, strict=True)):
                if column == _LINK and value and links < _MOST_LINKS and len(value) <= _LONGEST_URL:
                    sheet.write_url(row, at, value, link, "Open in REDCap")
                    links += 1
                elif value:
                    sheet.write_string(row, at, value, text)
            filled = self.filled_in.get(values[columns.index("query_id")], ("", ""))
            for at, value in enumerate(filled, len(columns)):
                if value:
                    sheet.write_string(row, at, value, fill)
                else:
                    sheet.write_blank(row, at, None, fill)
        sheet.autofilter(0, 0, self.queries.num_rows, len(columns) + 1)

    def _write_guide(self, book: Any) -> None:
        sheet = book.add_worksheet("What to do")
        sheet.set_column(0, 0, 110)
        wrap = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        for row, text in enumerate((*_GUIDE, *((_NO_RECORDS,) if self.hides_records else ()))):
            sheet.write_string(row, 0, text, wrap)

    def _write_rules(self, book: Any) -> None:
        sheet = book.add_worksheet("Rules")
        wrap = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        _write_head(book, sheet, ["rule", "REDCap's letter", "expects", "open queries"])
        sheet.set_column(2, 2, 90)
        found = pc.value_counts(self.queries["rule"]).to_pylist()
        counts = {one["values"]: one["counts"] for one in found}
        for row, rule in enumerate(self.rules, 1):
            count = f"{counts.get(rule.rule, 0)}"
            for at, text in enumerate((rule.rule, rule.letter, rule.expects, count)):
                sheet.write_string(row, at, text[:_LONGEST_CELL], wrap)


def _write_head(book: Any, sheet: Any, names: Sequence[str]) -> None:
    head = book.add_format({"bold": True, "bottom": 1})
    sheet.freeze_panes(1, 0)
    for at, name in enumerate(names):
        sheet.set_column(at, at, _WIDTHS.get(name, 16))
        sheet.write_string(0, at, name, head)


def _read_rows(table: pa.Table) -> Iterator[tuple[str, ...]]:
    """Yield the rows as texts; blanks for nulls, times to the minute, and no text too long."""
    for batch in table.to_batches(max_chunksize=10_000):
        columns = []
        for column in batch.columns:
            is_time = pa.types.is_timestamp(column.type)
            text = pc.strftime(column, "%Y-%m-%d %H:%M") if is_time else column.cast(pa.string())
            columns.append(pc.utf8_slice_codeunits(pc.fill_null(text, ""), 0, _LONGEST_CELL))
        yield from zip(*(column.to_pylist() for column in columns), strict=True)
