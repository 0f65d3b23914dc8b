"""Workbooks of open queries: what is in them, what is never in them, what comes back."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from upath import UPath

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables.quality import RuleFindings
from redcap_dagster.tables.queries import JudgedForm, Judgment, QueryTables, update_queries
from redcap_dagster.workbooks import (
    RuleDescription,
    WorkbookError,
    check_folder,
    read_filled_in,
    read_workbook,
    write_workbooks,
)
from tests.dictionary import field

RULES = [RuleDescription("within_range", "D", "Values are between the minimum and the maximum.")]
RECORDS = ["=1+1", "007", "north-é", "\x01\x02", "2024-01-05"]
GROUPS = ["north", "south", None, "north", None]


def make_queries() -> QueryTables:
    """Return the queries of five records, each with a wrong age and a wrong name."""
    project = REDCapProject.from_exports(
        metadata=[
            field("id"),
            field("age", label='=HYPERLINK("https://elsewhere.example.edu")'),
            {**field("name"), "identifier": "y"},
        ],
        info={"project_id": 12, "has_repeating_instruments_or_events": 0},
        version="14.7.3",
    )
    count = len(RECORDS)
    records = pa.table(
        {
            "id": RECORDS,
            "redcap_data_access_group": GROUPS,
            "age": ["@SUM(A1)", "400", "-4", "+5", "5"],
            "name": ["Ada Lovelace"] * count,
            "visit_complete": ["2"] * count,
        }
    )
    found = [
        RuleFindings(
            rule="within_range",
            letter="D",
            instrument="visit",
            field=name,
            wrong=pa.array([True] * count),
            certain=pa.array([True] * count),
            read=records.select([name]),
            text="The value is out of range.",
        )
        for name in ("age", "name")
    ]
    judgment = Judgment(
        project,
        "redcap.example.edu/api",
        datetime(2026, 1, 31, tzinfo=UTC).replace(tzinfo=None),
        {"visit": JudgedForm("visit", records, found)},
        {"within_range"},
    )
    return update_queries(judgment, show_values=True, url="https://redcap.example.edu/api/")


@pytest.fixture(scope="module")
def queries() -> QueryTables:
    return make_queries()


def write(queries: pa.Table, folder: Path, **options: object) -> list[Path]:
    given = {"groups": ["north", "south", "west"], "identifiers": ["name"], **options}
    paths = write_workbooks(queries, UPath(folder), "trial", RULES, **given)  # type: ignore[arg-type]
    return [Path(path.path) for path in paths]


def read_rows(path: Path) -> list[dict[str, object]]:
    rows = load_workbook(path)["Queries"].iter_rows(values_only=True)
    head = [f"{name}" for name in next(rows)]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_each_access_group_has_its_own_workbook(queries: QueryTables, tmp_path: Path) -> None:
    paths = write(queries.open, tmp_path)
    records = {path.name: {row["record"] for row in read_rows(path)} for path in paths}
    assert records == {
        "trial_queries_north.xlsx": {"=1+1", "_x0001__x0002_"},
        "trial_queries_south.xlsx": {"007"},
        "trial_queries_west.xlsx": set(),
        "trial_queries_records_without_access_group.xlsx": {"north-é", "2024-01-05"},
    }


def test_no_group_gets_the_records_of_another(queries: QueryTables, tmp_path: Path) -> None:
    """Their names would be the same on some file system, or leave the folder."""
    groups = ["東京", "大阪", "North", "north", "a.b", "a-b", "../b", "x" * 300]
    groups += ["records_without_access_group", "x" * 301]
    rows = queries.open.take(list(range(len(groups))))
    at = rows.column_names.index("access_group")
    paths = write(
        rows.set_column(at, "access_group", pa.array(groups)), tmp_path / "sent", groups=groups
    )
    assert len({path.name.casefold() for path in paths}) == len(groups) + 1
    assert sorted((tmp_path / "sent").iterdir()) == sorted(paths)
    found = [[row["access_group"] for row in read_rows(path)] for path in paths]
    assert sorted(map(str, found)) == sorted(map(str, [[], *([group] for group in groups)]))


def test_the_workbook_of_a_former_group_is_emptied(queries: QueryTables, tmp_path: Path) -> None:
    write(queries.open, tmp_path, groups=["north", "south"])
    write(queries.open.slice(0, 0), tmp_path, groups=[])
    assert [read_rows(path) for path in tmp_path.iterdir()] == [[], [], []]


def test_there_is_one_workbook_where_groups_are_hidden(
    queries: QueryTables, tmp_path: Path
) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    assert path.name == "trial_queries.xlsx"
    assert len(read_rows(path)) == queries.open.num_rows


def test_cells_are_text_without_formulas_and_link_to_redcap_only(
    queries: QueryTables, tmp_path: Path
) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    book = load_workbook(path)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert all(cell.value is None for cell in cells if cell.data_type == "n")
    links = [f"{cell.hyperlink.target}" for cell in cells if cell.hyperlink]
    assert len(links) == queries.open.num_rows
    assert all(link.startswith("https://redcap.example.edu/redcap_v14.7.3/") for link in links)
    with path.open("rb") as file, ZipFile(file) as parts:
        assert b"<f>" not in b"".join(parts.read(name) for name in parts.namelist())


def test_values_of_identifiers_are_never_in_a_workbook(
    queries: QueryTables, tmp_path: Path
) -> None:
    shown = queries.open.set_column(
        queries.open.column_names.index("value"),
        "value",
        pa.array(["Ada Lovelace"] * queries.open.num_rows),
    )
    for path in write(shown, tmp_path):
        values = {row["field"]: row["value"] for row in read_rows(path)}
        assert values.get("name") is None
    (path,) = write(shown, tmp_path / "one", groups=None, record_id_is_identifier=True)
    assert {(row["record"], row["link"], row["value"]) for row in read_rows(path)} == {
        (None, None, None)
    }


def test_a_workbook_explains_its_rules(queries: QueryTables, tmp_path: Path) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    rows = list(load_workbook(path)["Rules"].iter_rows(values_only=True))
    assert rows[1] == ("within_range", "D", RULES[0].expects, "10")


def test_a_workbook_says_what_to_do(queries: QueryTables, tmp_path: Path) -> None:
    (path,) = write(queries.open, tmp_path, groups=None, record_id_is_identifier=True)
    text = " ".join(f"{row[0].value}" for row in load_workbook(path)["What to do"])
    for words in ("correct it in REDCap", "column who", "return it", "in UTC", "left out"):
        assert words in text
    assert {row["since"] for row in read_rows(path)} == {"2026-01-31 00:00"}


def test_a_file_that_is_open_elsewhere_is_named(
    queries: QueryTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("as Windows does")

    monkeypatch.setattr("redcap_dagster.workbooks.writer.write_file", refuse)
    with pytest.raises(WorkbookError, match=r"north\.xlsx cannot be written .* Close it"):
        write(queries.open, tmp_path)


def test_workbooks_are_private_and_the_same_for_the_same_queries(
    queries: QueryTables, tmp_path: Path
) -> None:
    first, second = (write(queries.open, tmp_path / name, groups=None)[0] for name in "ab")
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.read_bytes() == second.read_bytes()


def test_a_file_of_somebody_else_is_not_replaced(queries: QueryTables, tmp_path: Path) -> None:
    write(queries.open, tmp_path)
    write(queries.open, tmp_path)  # our own are
    (tmp_path / "trial_queries_south.xlsx").write_bytes(b"mine")
    before = (tmp_path / "trial_queries_north.xlsx").stat().st_mtime_ns
    with pytest.raises(WorkbookError, match=r"trial_queries_south\.xlsx is not a workbook"):
        write(queries.open, tmp_path)
    assert (tmp_path / "trial_queries_north.xlsx").stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkbookError, match="cannot be written into"):
        check_folder(UPath(tmp_path / "file"), "trial")
    check_folder(UPath(tmp_path / "new"), "trial")


@pytest.mark.parametrize("library", ["openpyxl", "xlsxwriter"])
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(WorkbookError, match=r"redcap-dagster\[queries\]"):
        check_folder(UPath(tmp_path), "trial")
    with pytest.raises(WorkbookError, match=r"redcap-dagster\[queries\]"):
        read_workbook(UPath(tmp_path / "back.xlsx"), None)


def fill_in(path: Path, cells: dict[tuple[int, str], str]) -> None:
    """Save a workbook with some cells changed, by row and column name."""
    book = load_workbook(path)
    sheet = book["Queries"]
    names = [cell.value for cell in sheet[1]]
    for (row, name), value in cells.items():
        sheet.cell(row, names.index(name) + 1).value = value
    book.save(path)


def test_filled_in_rows_confirm_their_queries(queries: QueryTables, tmp_path: Path) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    rows = read_rows(path)
    fill_in(
        path,
        {
            (2, "who"): "Ada", (2, "why"): "as in the source",
            (3, "who"): "Ada",
            (4, "who"): "Ada", (4, "why"): "too", (4, "query_id"): "QABCDEFGHIJKL",
            (5, "who"): "Ada", (5, "why"): "too", (5, "query_id"): f"{rows[0]['query_id']}",
            (6, "query_id"): "Q",
        },
    )  # fmt: skip
    found = read_workbook(UPath(path), queries.history)
    assert {one.row for one in found.given} == {"2", "4"}
    assert found.refused == {
        "3": "it does not say who confirmed the query and why",
        "5": "its query id belongs to another record",
    }
    assert update_with(found).refused["4"] == "no query has its id"


def update_with(found: object) -> QueryTables:
    queries = make_queries()
    project = REDCapProject.from_exports(metadata=[field("id"), field("age")])
    judgment = Judgment(
        project, "", datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None), {}, set()
    )
    return update_queries(judgment, queries.history, found)  # type: ignore[arg-type]


def test_what_is_filled_in_is_not_lost(queries: QueryTables, tmp_path: Path) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    cells = {(2, "who"): "Ada", (3, "why"): "to be looked up", (4, "who"): "Ada"}
    fill_in(path, {**cells, (4, "record"): "of another row"})
    filled_in = read_filled_in(UPath(tmp_path), "trial", queries.open)
    write(queries.open.slice(1), tmp_path, groups=None, filled_in=filled_in)
    found = [(row["who"], row["why"]) for row in read_rows(path)]
    assert found == [(None, "to be looked up"), *[(None, None)] * (len(found) - 1)]


def test_a_program_that_keeps_the_time_and_has_texts_in_cells_loses_nothing(
    queries: QueryTables, tmp_path: Path
) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    with ZipFile(path) as written:
        parts = {name: written.read(name).decode() for name in written.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    cells = re.findall(r'<c r="[A-Z]+2" s="\d+"/>', parts[sheet])[-2:]
    for cell, text in zip(cells, ["Ada", "so it is"], strict=True):
        filled = f'{cell[:-2]} t="inlineStr"><is><t>{text}</t></is></c>'
        parts[sheet] = parts[sheet].replace(cell, filled)
    with ZipFile(path, "w") as saved:
        for name, text in parts.items():
            saved.writestr(name, text)
    filled_in = read_filled_in(UPath(tmp_path), "trial", queries.open)
    assert [*filled_in.values()] == [("Ada", "so it is")]


def insert_title(sheet: Worksheet) -> None:
    sheet.insert_rows(1)
    sheet["A1"] = "To do until Friday"


def change_names(sheet: Worksheet) -> None:
    for cell in sheet[1]:
        cell.value = f"{cell.value} ".title()


def change_types(sheet: Worksheet) -> None:
    changed: dict[object, object] = {"007": 7.0, "2024-01-05": datetime(2024, 1, 5)}  # noqa: DTZ001
    for cell in sheet["B"]:
        cell.value = changed.get(cell.value, cell.value)


def write_stray_cell(sheet: Worksheet) -> None:
    sheet["XFD90000"] = " "


def rename_sheet(sheet: Worksheet) -> None:
    """A spreadsheet names the sheet of a CSV file after the file."""
    sheet.title = "trial_queries"


def fill_in_copy(sheet: Worksheet) -> None:
    assert sheet.parent is not None
    copied = sheet.parent.copy_worksheet(sheet)
    copied.title = "Queries (2)"
    for row in sheet.iter_rows(min_row=2):
        for cell in row[-2:]:
            cell.value = None


def add_cover(sheet: Worksheet) -> None:
    assert sheet.parent is not None
    sheet.parent.create_sheet("Cover", 0)


@pytest.mark.parametrize(
    "change",
    [
        insert_title,
        change_names,
        change_types,
        write_stray_cell,
        rename_sheet,
        fill_in_copy,
        add_cover,
        lambda sheet: sheet.insert_cols(1),
        lambda sheet: sheet.delete_cols(2),
        lambda sheet: sheet.delete_rows(30, 5),
    ],
)
def test_a_workbook_is_read_as_a_person_returns_it(
    queries: QueryTables, tmp_path: Path, change: Callable[[Worksheet], None]
) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    rows = range(2, queries.open.num_rows + 2)
    fill_in(path, {(row, name): " Ada " for row in rows for name in ("who", "why")})
    book = load_workbook(path)
    change(book["Queries"])
    book.save(path)
    found = read_workbook(UPath(path), queries.history)
    assert found.refused == {}
    assert {one.query_id for one in found.given} == set(queries.open["query_id"].to_pylist())
    assert {(one.who, one.why) for one in found.given} == {("Ada", "Ada")}


def test_a_refused_row_of_a_renamed_sheet_is_named_with_the_number_of_the_sheet(
    queries: QueryTables, tmp_path: Path
) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    book = load_workbook(path)
    book["Queries"].title = "north"
    book["north"].cell(3, queries.open.num_columns + 1).value = "Ada"
    book.save(path)
    assert list(read_workbook(UPath(path), queries.history).refused) == ["sheet 1 row 3"]


def test_a_workbook_of_strict_xml_is_named(queries: QueryTables, tmp_path: Path) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    with path.open("rb") as file, ZipFile(file) as parts:
        texts = {name: parts.read(name) for name in parts.namelist()}
    with ZipFile(path, "w") as parts:
        for name, text in texts.items():
            for part in (b"spreadsheetml/2006", b"officeDocument/2006"):
                ordinary = b"http://schemas.openxmlformats.org/" + part
                strict = b"http://purl.oclc.org/ooxml/" + part.removesuffix(b"/2006")
                text = text.replace(ordinary, strict)
            parts.writestr(name, text)
    with pytest.raises(WorkbookError, match=r"trial_queries\.xlsx .* Strict Open XML"):
        read_workbook(UPath(path), queries.history)


def test_a_column_that_is_there_twice_is_named(queries: QueryTables, tmp_path: Path) -> None:
    (path,) = write(queries.open, tmp_path, groups=None)
    book = load_workbook(path)
    book["Queries"].cell(1, 30).value = "Why"
    book.save(path)
    with pytest.raises(WorkbookError, match=r"Sheet 1 of trial_.*\.xlsx has columns twice: why"):
        read_workbook(UPath(path), queries.history)


def test_a_returned_file_that_is_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = UPath(tmp_path / "back.xlsx")
    path.write_bytes(b"open in Excel")

    def refuse(*_: object) -> None:
        raise PermissionError("as Windows does")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(WorkbookError, match=r"back\.xlsx may not be read"):
        read_workbook(path, None)


def test_unreadable_files_are_refused_by_name(tmp_path: Path) -> None:
    path = UPath(tmp_path / "back.xlsx")
    path.write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(WorkbookError, match=r"back\.xlsx cannot be read"):
        read_workbook(path, None)
    with pytest.raises(WorkbookError, match=r"absent\.xlsx does not exist"):
        read_workbook(UPath(tmp_path / "absent.xlsx"), None)
