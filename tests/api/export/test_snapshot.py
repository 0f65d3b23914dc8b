"""An export in many requests is the export in one, whatever the shape of the project."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.snapshot import HIDDEN_IDS
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import DroppedRecords, Firewall, Meanwhile, MemoryLimit
from tests.dictionary import field, in_events
from tests.fake_server import CANARY

METADATA = [
    field("record_id"),
    field("age"),
    field("dose", "drug"),
]
RECORDS = [
    {"record_id": str(n), "age": str(20 + n), "visit_complete": "2", "dose": str(n)}
    for n in range(1, 41)
]
REPEATING = {
    **in_events(METADATA, {"start_arm_1": ["visit"], "later_arm_1": ["drug"]}),
    "repeatingFormsEvents": [{"event_name": "later_arm_1", "form_name": "drug"}],
}
INSTANCES = [
    {"record_id": str(n), "redcap_event_name": "start_arm_1", "age": str(20 + n)}
    for n in range(1, 21)
] + [
    {
        "record_id": str(n),
        "redcap_event_name": "later_arm_1",
        "redcap_repeat_instrument": "drug",
        "redcap_repeat_instance": str(instance),
        "dose": str(n),
    }
    for n in range(1, 21, 2)
    for instance in (1, 2)
]


STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}


def test_as_many_ids_as_asked_for_go_into_a_request(sandbox: Sandbox, token: str) -> None:
    sandbox.inject(Firewall(7), content="record")

    export = REDCapClient(sandbox.url, token, max_cells=20, max_records=7).export_snapshot()

    assert export.table.num_rows == 40
    assert export.requests > 40 / 7


def test_what_a_server_cannot_bear_is_asked_for_in_halves(sandbox: Sandbox, token: str) -> None:
    sandbox.inject(MemoryLimit(90), content="record")

    export = REDCapClient(sandbox.url, token, backoff=0.001).export_snapshot()

    assert export.table["record_id"].to_pylist() == [row["record_id"] for row in RECORDS]


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_what_is_left_out_once_is_had_in_the_end(sandbox: Sandbox, token: str, after: int) -> None:
    sandbox.inject(DroppedRecords(2), content="record", after=after, times=1)

    export = REDCapClient(sandbox.url, token, max_cells=20).export_snapshot()

    assert export.table.num_rows == 40
    assert not export.notes


@pytest.mark.parametrize(
    ("forms", "max_cells", "after"),
    [(("visit", "drug"), 40, after) for after in range(8)]
    + [(("drug",), 40, after) for after in range(4)]
    + [(("drug",), None, after) for after in range(2)],
)
def test_instances_that_are_left_out_once_are_had_in_the_end(
    sandbox: Sandbox, forms: tuple[str, ...], max_cells: int | None, after: int
) -> None:
    """Neither a form that repeats in some events only nor one asked for alone loses instances."""
    token = sandbox.add_project(exports=REPEATING, records=INSTANCES)
    client = REDCapClient(sandbox.url, token, max_cells=None)
    whole = client.export_records_table(forms=forms)
    client = REDCapClient(sandbox.url, token, max_cells=max_cells, concurrency=1)
    quiet = client.export_snapshot(forms=forms)
    sandbox.inject(DroppedRecords(40), content="record", after=after, times=1)

    export = client.export_snapshot(forms=forms)

    sandbox.clear_faults()
    assert quiet.requests > after
    assert quiet.table.equals(whole)
    assert export.table.equals(whole)
    assert export.consistent
    assert not export.notes


BESIDE = {"redcap_repeat_instrument": "drug", "redcap_repeat_instance": "1", "dose": "5"}


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("event", [{}, {"redcap_event_name": "later_arm_1"}], ids=["none", "later"])
def test_blank_rows_are_those_of_one_request(
    sandbox: Sandbox, event: dict[str, str], gray: bool
) -> None:
    """A record that has only instances gets no row beside them because the export is split."""
    metadata = [*METADATA[:2], field("ticks", type="checkbox", choices="1, A | 2, B"), METADATA[2]]
    repeats: dict[str, Any] = {"repeatingFormsEvents": [{"form_name": "drug"}]}
    exports = {"metadata": metadata} | repeats
    if event:
        forms = ["visit", "drug"]
        exports = in_events(metadata, {"start_arm_1": ["visit"], "later_arm_1": forms}) | {
            "repeatingFormsEvents": [{"event_name": "later_arm_1", "form_name": "drug"}]
        }
    saved_blank = {"record_id": "2", **event, "visit_complete": "0"}
    records = [
        {"record_id": "1", **event, **BESIDE},
        saved_blank,
        {"record_id": "2", **event, **BESIDE},
        {"record_id": "3", **event, "age": "0"},
        {"record_id": "3", **event, **BESIDE},
    ]
    token = sandbox.add_project(exports=exports, records=records)

    def export(max_cells: int | None) -> pa.Table:
        client = REDCapClient(sandbox.url, token, max_cells=max_cells)
        return client.export_snapshot(export_blank_for_gray_form_status=gray).table

    assert export(None).num_rows == 5
    for max_cells in (1, 3, 12):
        assert export(max_cells).equals(export(None))


def test_hashed_ids_are_asked_for_in_one_request_and_told(sandbox: Sandbox) -> None:
    metadata = [METADATA[0] | {"identifier": "y"}, *METADATA[1:]]
    token = sandbox.add_project(
        exports={"metadata": metadata}, records=RECORDS, rights={"forms_export": {"visit": 3}}
    )

    export = REDCapClient(sandbox.url, token, max_cells=20).export_snapshot()

    assert export.notes == (HIDDEN_IDS,)
    assert export.table.num_rows == 40
    assert not set(export.table["record_id"].to_pylist()) & {row["record_id"] for row in RECORDS}


def even(rows: pa.Table) -> pa.Table:
    wanted = [int(record) % 2 == 0 for record in rows["record_id"].to_pylist()]
    return rows.filter(pa.array(wanted, pa.bool_()))


@pytest.mark.parametrize("max_cells", [20, None])
@pytest.mark.parametrize("dropped", [True, False])
def test_some_of_those_that_are_listed(
    sandbox: Sandbox, token: str, max_cells: int | None, dropped: bool
) -> None:
    whole = REDCapClient(sandbox.url, token).export_snapshot()
    if dropped:
        sandbox.inject(DroppedRecords(3), content="record", after=1, times=1)

    client = REDCapClient(sandbox.url, token, max_cells=max_cells)
    export = client.export_snapshot(among=even)

    assert export.table.equals(even(whole.table))
    assert export.census.equals(even(whole.census))
    assert export.listed == whole.listed == 40


def test_none_of_those_that_are_listed(sandbox: Sandbox, token: str) -> None:
    export = REDCapClient(sandbox.url, token).export_snapshot(among=lambda rows: rows.slice(0, 0))

    assert export.table.num_rows == export.census.num_rows == 0
    assert (export.listed, export.requests) == (40, 2)


def test_some_of_those_whose_ids_are_hidden(sandbox: Sandbox) -> None:
    metadata = [METADATA[0] | {"identifier": "y"}, *METADATA[1:]]
    token = sandbox.add_project(
        exports={"metadata": metadata}, records=RECORDS, rights={"forms_export": {"visit": 3}}
    )

    def some(rows: pa.Table) -> pa.Table:
        return rows.filter(pc.less(rows["record_id"], "8"))  # half of all hashes

    whole = REDCapClient(sandbox.url, token).export_records_table()
    export = REDCapClient(sandbox.url, token).export_snapshot(among=some)

    assert 0 < export.table.num_rows < 40
    assert export.table.equals(some(whole))
    assert export.notes == (HIDDEN_IDS,)


def test_a_record_deleted_after_it_was_listed_is_no_hidden_id(sandbox: Sandbox, token: str) -> None:
    delete = Meanwhile(lambda: sandbox.delete_record(token, "1"))
    sandbox.inject(delete, content="record", after=1, times=1)

    export = REDCapClient(sandbox.url, token, max_cells=20).export_snapshot()

    assert export.table["record_id"].to_pylist() == [row["record_id"] for row in RECORDS[1:]]
    assert export.census["record_id"].to_pylist() == export.table["record_id"].to_pylist()
    assert not export.notes


def test_a_record_deleted_while_ids_are_hidden_is_no_loss(sandbox: Sandbox) -> None:
    metadata = [METADATA[0] | {"identifier": "y"}, *METADATA[1:]]
    token = sandbox.add_project(
        exports={"metadata": metadata}, records=RECORDS, rights={"forms_export": {"visit": 3}}
    )
    delete = Meanwhile(lambda: sandbox.delete_record(token, "1"))
    sandbox.inject(delete, content="record", after=3, times=1)

    export = REDCapClient(sandbox.url, token, max_cells=20).export_snapshot()

    sandbox.clear_faults()
    assert export.notes == (HIDDEN_IDS,)
    assert export.table.num_rows == export.census.num_rows == 39


def test_all_records_may_go_where_no_rows_have_no_header() -> None:
    """The census lists events, and a newer server then names no column of no rows."""
    with Sandbox("17.4.1") as sandbox:
        events = in_events(METADATA, {"v_arm_1": ["visit", "drug"]})
        rows = [{"redcap_event_name": "v_arm_1", **row} for row in RECORDS[:3]]
        token = sandbox.add_project(exports=events, records=rows)

        def delete() -> None:
            for row in rows:
                sandbox.delete_record(token, row["record_id"])

        sandbox.inject(Meanwhile(delete), content="record", after=1, times=1)
        export = REDCapClient(sandbox.url, token, max_cells=6).export_snapshot()

    assert export.table.num_rows == export.census.num_rows == 0


def test_columns_without_any_row_are_in_an_export_in_several_requests() -> None:
    """A newer server then does not name them; they are not missing, nor hidden from the user."""
    with Sandbox("17.4.1") as sandbox:
        token = sandbox.add_project(exports=REPEATING, records=INSTANCES)
        client = REDCapClient(sandbox.url, token, max_cells=12)
        without = [str(number) for number in range(2, 21, 2)]
        whole = REDCapClient(sandbox.url, token, max_cells=None).export_records_table()

        export = client.export_snapshot(records=without)
        sandbox.inject(DroppedRecords(1), content="record", after=2, times=1)
        again = client.export_snapshot(records=without)

    assert export.table.column_names == whole.column_names
    assert export.table["record_id"].to_pylist() == without
    assert export.table["dose"].null_count == len(without)
    assert again.table.equals(export.table)


@pytest.mark.parametrize(
    ("logic", "shown"),
    [
        ("[age] > 40", "[age] > …"),
        ("[dose(3)]='1' or ([visit_arm_1][age] <> \"7\")", "[dose]=… or ([…][age] <> …)"),
        ("datediff([age], '2024-01-31', 'd') >= 1", "…([age]…) >= …"),
    ],
)
def test_what_a_filter_compares_with_is_not_shown(
    sandbox: Sandbox, token: str, logic: str, shown: str
) -> None:
    structure = REDCapClient(sandbox.url, token).export_structure()
    asked = ExportQuery(structure.project(), {"filter_logic": logic}, groups=False)

    assert asked.write_public_parameters()["filterLogic"] == shown


@pytest.mark.parametrize(
    "quoted", [r"'O\'{}'", r"'\\'{}", "'{}", '"{}', "[{}]", "'[age({})]'", "{}"]
)
def test_no_literal_is_shown_however_it_is_quoted(
    sandbox: Sandbox, token: str, quoted: str
) -> None:
    structure = REDCapClient(sandbox.url, token).export_structure()
    asked = ExportQuery(
        structure.project(), {"filter_logic": f"[age] = {quoted.format(CANARY)}"}, groups=False
    )

    shown = asked.write_public_parameters()["filterLogic"]

    assert shown.startswith("[age] = ")
    assert not any(part in shown for part in CANARY.split("-"))


@pytest.mark.parametrize("max_cells", [None, 40])
def test_a_field_called_like_a_survey_timestamp_is_exported_by_its_name(
    sandbox: Sandbox, max_cells: int | None
) -> None:
    """The form visit is no survey: visit_timestamp is a field of its dictionary."""
    metadata = [*METADATA, field("visit_timestamp"), field("note")]
    records = [{**row, "visit_timestamp": f"t{row['record_id']}"} for row in RECORDS]
    token = sandbox.add_project(exports={"metadata": metadata}, records=records)
    client = REDCapClient(sandbox.url, token, max_cells=max_cells)
    values = [row["visit_timestamp"] for row in records]
    assert list(client.export_records(fields=["visit_timestamp"])["visit_timestamp"]) == values
    assert client.export_snapshot().table["visit_timestamp"].to_pylist() == values
