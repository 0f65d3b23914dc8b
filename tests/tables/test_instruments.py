"""Which rows are whose: the rule itself."""

from pathlib import Path

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject, StructureError, from_xml
from redcap_dagster.tables import census_table, hidden_columns, split_by_instrument
from tests.fixture_projects.recorded import RECORDED, load, table_of


def test_blank_status_tells_saved_forms(fixtures: Path) -> None:
    """Record 6 never had its health form saved; record 5's is saved and incomplete."""
    project = from_xml(fixtures / "projects/blank-for-gray-status/project.xml")
    export = table_of(fixtures / "expected/read-oneshot__blank-for-gray-true.csv")
    plain = table_of(fixtures / "expected/read-oneshot__blank-for-gray-false.csv")
    exact = split_by_instrument(export, project, blank_status=True)
    assert [len(table) for table in exact.values()] == [6, 5, 5]
    by_values = split_by_instrument(plain, project)
    assert exact["health"]["record_id"] == by_values["health"]["record_id"]


CLASSIC = REDCapProject.from_exports(
    metadata=[
        {"field_name": "id", "form_name": "a"},
        {
            "field_name": "box",
            "form_name": "b",
            "field_type": "checkbox",
            "select_choices_or_calculations": "1, One",
        },
        {"field_name": "sum", "form_name": "b", "field_type": "calc"},
        {"field_name": "note", "form_name": "b", "field_type": "notes"},
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


def test_other_rows_do_not_matter() -> None:
    rows = [_classic(id=str(n), b_complete=status) for n, status in enumerate("0120")]
    together = split_by_instrument(pa.concat_tables(rows), CLASSIC)["b"]
    apart = pa.concat_tables([split_by_instrument(row, CLASSIC)["b"] for row in rows])
    assert together.equals(apart)


def test_hidden_columns_keep_the_shape() -> None:
    export = _classic(note="x").drop_columns(["box___1"])
    assert hidden_columns(export.column_names, CLASSIC, "b") == ["box___1"]
    table = split_by_instrument(export, CLASSIC)["b"]
    assert table.schema.field("box___1").type == pa.string()
    assert table["box___1"].null_count == 1


def test_an_export_without_the_record_id_is_refused() -> None:
    with pytest.raises(StructureError, match="'id'"):
        split_by_instrument(pa.table({"note": ["x"]}), CLASSIC)


def test_census(fixtures: Path) -> None:
    recorded = next(recorded for recorded in RECORDED if recorded.name == "dag_longitudinal")
    project, records = load(recorded, fixtures)
    base = records.filter(pa.compute.equal(records["redcap_repeat_instance"], ""))
    census = census_table(base, project)
    assert census.column_names == [
        "record_id",
        "redcap_event_name",
        "redcap_arm",
        "redcap_data_access_group",
    ]
    assert census["redcap_arm"].type == pa.int64()
    assert census.slice(0, 1).to_pylist() == [
        {
            "record_id": "1",
            "redcap_event_name": "event_1_arm_1",
            "redcap_arm": 1,
            "redcap_data_access_group": "dag1",
        }
    ]
