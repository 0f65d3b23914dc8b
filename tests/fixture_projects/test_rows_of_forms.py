"""Which rows are whose, in exports of real servers."""

from pathlib import Path

import pyarrow as pa

from redcap_dagster.project import from_xml
from redcap_dagster.tables import census_table, split_by_instrument
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
