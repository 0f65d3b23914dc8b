"""The first record of a project may come while it is exported."""

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import Meanwhile

METADATA = [
    {"field_name": "record_id", "form_name": "visit"},
    {"field_name": "age", "form_name": "visit"},
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
