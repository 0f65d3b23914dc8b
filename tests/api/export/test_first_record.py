"""The first record of a project may come while it is exported."""

from collections.abc import Callable, Iterator

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import Meanwhile
from tests.dictionary import field

METADATA = [
    field("record_id"),
    field("age"),
]


def test_a_project_without_a_header_is_looked_at_again_once_it_has_a_record() -> None:
    with Sandbox("17.4.1") as sandbox:  # sends no header for no rows
        row = {"record_id": "1", "age": "1", "redcap_data_access_group": "north"}
        token = sandbox.add_project(exports={"metadata": METADATA}, records=[row])
        client = REDCapClient(sandbox.url, token)
        structure = client.export_structure()
        sandbox.delete_record(token, "1")
        add = Meanwhile(lambda: sandbox.edit(token, record="2", field="age", value="2"))
        # Between the census, of which JSON confirms that it is empty, and the export.
        sandbox.inject(add, content="record", after=2, times=1)

        export = client.export_snapshot(structure, export_data_access_groups=True)

    assert export.table["record_id"].to_pylist() == ["2"]
    assert "redcap_data_access_group" in export.table.column_names


Silent = Callable[[BaseException], None]


# -- servers that send no header without rows -----------------------------------------------------


@pytest.fixture(scope="module")
def newer() -> Iterator[Sandbox]:
    with Sandbox(version="17.4.1") as sandbox:
        yield sandbox


FIELDS = [
    field("record_id"),
    field("dose", "drug"),
]


def test_surveys_are_read_off_one_record(newer: Sandbox) -> None:
    row = {"record_id": "1", "drug_timestamp": "2024-01-02 03:04:05", "drug_complete": "2"}
    token = newer.add_project(exports={"metadata": FIELDS}, records=[row])

    project = REDCapClient(newer.url, token).export_project()

    assert project.surveys == ("drug",)
    assert not project.has_access_groups


def test_columns_are_read_off_all_records_where_ids_are_hashed(newer: Sandbox) -> None:
    metadata = [FIELDS[0] | {"identifier": "y"}, *FIELDS[1:]]
    rows = [
        {"record_id": record, "drug_timestamp": "2024-01-02 03:04:05", "drug_complete": "2"}
        for record in ("1", "2")
    ]
    rights = {"forms_export": {"visit": 3, "drug": 1}}
    token = newer.add_project(exports={"metadata": metadata}, records=rows, rights=rights)

    project = REDCapClient(newer.url, token, retries=0).export_project()

    assert project.surveys == ("drug",)


def test_nothing_is_read_off_no_record(newer: Sandbox) -> None:
    token = newer.add_project(exports={"metadata": FIELDS})

    project = REDCapClient(newer.url, token).export_project()

    assert project.surveys == ()
    assert not project.has_access_groups
