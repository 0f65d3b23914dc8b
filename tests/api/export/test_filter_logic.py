"""Filter logic selects rows, as REDCap applies it; logic of records selects all their rows."""

from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import DroppedRecords
from tests.api.export.test_snapshot import INSTANCES, METADATA, RECORDS, REPEATING

STUDY: dict[str, Any] = {"exports": REPEATING, "records": INSTANCES}
LOGIC = "[age] > 30 and [age] < 35"
"""In the dictionary, the age is of the first event; records 11 to 14 match."""


def places(rows: pa.Table) -> list[tuple[str, ...]]:
    names = ("record_id", "redcap_event_name", "redcap_repeat_instance")
    return [tuple(row[name] or "" for name in names) for row in rows.to_pylist()]


MATCHING = [(str(number), "start_arm_1", "") for number in range(11, 15)]


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its exports always have repeat columns.
@pytest.mark.parametrize("max_cells", [None, 1000, 10])
def test_filter_logic_selects_rows_in_every_export(
    sandbox: Sandbox, token: str, max_cells: int | None
) -> None:
    client = REDCapClient(sandbox.url, token, max_cells=max_cells)

    exports = [
        client.export_records_table(filter_logic=LOGIC),
        client.export_snapshot(filter_logic=LOGIC).table,
        pa.Table.from_batches(client.stream_records(filter_logic=LOGIC)),
    ]

    assert [places(table) for table in exports] == [MATCHING] * 3
    assert client.export_records(filter_logic=LOGIC)["age"].tolist() == ["31", "32", "33", "34"]
    values = client.records.export_eav(filter_logic=LOGIC)
    assert values["record"].unique().tolist() == ["11", "12", "13", "14"]
    assert set(values["redcap_event_name"]) == {"start_arm_1"}
    assert client.export_snapshot(filter_logic=LOGIC).consistent


@pytest.mark.parametrize("max_cells", [None, 1000, 10])
def test_records_where_a_row_matches_have_all_their_rows(
    sandbox: Sandbox, token: str, max_cells: int | None
) -> None:
    client = REDCapClient(sandbox.url, token, max_cells=max_cells)
    whole = client.export_records_table(records=[record for record, *_ in MATCHING])

    assert client.export_records_table(records_where=LOGIC).equals(whole)
    export = client.export_snapshot(records_where=LOGIC)
    assert export.table.equals(whole)
    assert export.parameters["records_where"] == "[age] > … and [age] < …"
    both = client.export_records_table(records_where=LOGIC, filter_logic="[dose] = 13")
    assert places(both) == [("13", "later_arm_1", "1"), ("13", "later_arm_1", "2")]
    assert client.export_records(records_where="[age] > 99")["record_id"].tolist() == []


@pytest.mark.parametrize("after", range(4))
def test_rows_that_match_are_not_lost(sandbox: Sandbox, token: str, after: int) -> None:
    sandbox.inject(DroppedRecords(2), content="record", after=after, times=1)

    export = REDCapClient(sandbox.url, token, max_cells=10).export_snapshot(filter_logic=LOGIC)

    assert places(export.table) == MATCHING


def test_records_that_match_are_exported_though_their_ids_are_hidden(sandbox: Sandbox) -> None:
    metadata = [METADATA[0] | {"identifier": "y"}, *METADATA[1:]]
    token = sandbox.add_project(
        exports={"metadata": metadata}, records=RECORDS, rights={"forms_export": {"visit": 3}}
    )

    rows = REDCapClient(sandbox.url, token).export_records(records_where="[age] < 25")

    assert rows["age"].tolist() == ["21", "22", "23", "24"]


def test_logic_of_records_is_refused_where_it_would_be_ignored(redcap: REDCapClient) -> None:
    with pytest.raises(TypeError, match="records_where"):
        redcap.stream_records(records_where=LOGIC)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="records_where: is blank"):
        redcap.export_records(records_where=" ")
