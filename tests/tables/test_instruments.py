"""Which rows are whose: the rule itself."""

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import hidden_columns, instruments, split_by_instrument
from redcap_dagster.tables.instruments import find_saved
from redcap_dagster.tables.text_columns import read_column
from tests.dictionary import field

CLASSIC = REDCapProject.from_exports(
    metadata=[
        field("id", "a"),
        field("box", "b", type="checkbox", choices="1, One"),
        field("sum", "b", type="calc"),
        field("note", "b", type="notes"),
    ]
)


def _classic(**cells: str) -> pa.Table:
    blank = {"id": "1", "a_complete": "", "box___1": "0", "sum": "", "note": "", "b_complete": "0"}
    return pa.table({name: [value] for name, value in (blank | cells).items()})


@pytest.mark.parametrize(
    ("cells", "saved", "saved_by_status"),
    [
        ({}, False, True),
        ({"b_complete": ""}, False, False),
        ({"b_complete": "", "box___1": "1"}, True, True),
        ({"b_complete": "", "note": "0"}, True, True),
        ({"b_complete": "", "sum": "7"}, False, False),
        ({"b_complete": "1"}, True, True),
    ],
)
def test_what_proves_that_a_form_was_saved(
    cells: dict[str, str], saved: bool, saved_by_status: bool
) -> None:
    export = _classic(**cells)
    assert len(split_by_instrument(export, CLASSIC)["b"]) == saved
    by_status = split_by_instrument(export, CLASSIC, blank_status=True)["b"]
    assert len(by_status) == saved_by_status
    assert len(split_by_instrument(export, CLASSIC, keep_unsaved=True)["b"]) == 1


def test_a_form_that_holds_only_the_record_id_has_a_table() -> None:
    table = split_by_instrument(_classic(a_complete="2"), CLASSIC)["a"]
    assert table.to_pylist() == [{"id": "1", "a_complete": "2"}]


@pytest.mark.parametrize(
    "unsaved", [[], [0], [19], [0, 1, 18, 19], [3, 4, 7], [*range(0, 20, 2)], [*range(20)]]
)
def test_few_and_many_rows_are_left_out(unsaved: list[int]) -> None:
    numbers = range(20)
    rows = [_classic(id=str(n), b_complete="0" if n in unsaved else "2") for n in numbers]
    table = split_by_instrument(pa.concat_tables(rows), CLASSIC)["b"]
    assert table["id"].to_pylist() == [str(n) for n in numbers if n not in unsaved]
    assert len(table["note"]) == len(table)


def test_rows_are_not_copied_where_nearly_all_are_kept() -> None:
    export = pa.concat_tables([_classic(b_complete=status) for status in "2" * 50 + "0"])
    export = export.combine_chunks()
    table = split_by_instrument(export, CLASSIC)["b"]
    text = [rows["b_complete"].chunk(0).buffers()[2] for rows in (export, table)]
    assert text[0].address == text[1].address


def test_other_rows_do_not_matter() -> None:
    rows = [_classic(id=str(n), b_complete=status) for n, status in enumerate("0120")]
    together = split_by_instrument(pa.concat_tables(rows), CLASSIC)["b"]
    apart = pa.concat_tables([split_by_instrument(row, CLASSIC)["b"] for row in rows])
    assert together.equals(apart)


@pytest.mark.parametrize(
    ("statuses", "looked_at"),
    [("12", ["b_complete"]), ("01", ["b_complete", "note", "box___1"])],
)
def test_other_columns_are_read_only_for_rows_that_the_status_does_not_prove(
    statuses: str, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    export = pa.concat_tables([_classic(b_complete=status) for status in statuses])
    read: list[str] = []

    def note(rows: pa.Table, name: str) -> pa.ChunkedArray:
        read.append(name)
        return read_column(rows, name)

    monkeypatch.setattr(instruments, "read_column", note)
    saved = find_saved(export, CLASSIC.columns("b"), blank_status=False)
    assert saved.to_pylist() == [status != "0" for status in statuses]
    assert read == looked_at


def test_hidden_columns_keep_the_shape() -> None:
    export = _classic(note="x").drop_columns(["box___1"])
    assert hidden_columns(export.column_names, CLASSIC, "b") == ["box___1"]
    table = split_by_instrument(export, CLASSIC)["b"]
    assert table.schema.field("box___1").type == pa.string()
    assert table["box___1"].null_count == 1


def test_an_export_without_the_record_id_is_refused() -> None:
    with pytest.raises(StructureError, match="'id'"):
        split_by_instrument(pa.table({"note": ["x"]}), CLASSIC)
