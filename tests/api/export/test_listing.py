"""What REDCap lists of records and instances; one lie of a listing or an answer is noticed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.api import IncompleteExportError, MalformedResponseError, REDCapClient
from redcap_dagster.api.export.download import fetcher as fetching
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import DroppedRecords, Meanwhile, MemoryLimit
from redcap_dagster.sandbox.http.fault import InterceptedRequest, OutgoingResponse, REDCap
from redcap_dagster.sandbox.http.response_rows import split_csv
from tests.api.export.test_snapshot import METADATA, RECORDS, even

EACH_REPEATS = [{"form_name": "visit"}, {"form_name": "drug"}]
INSTANCES = [
    {
        "record_id": str(n),
        "redcap_repeat_instrument": form,
        "redcap_repeat_instance": str(instance),
        field: str(10 * n + instance),
    }
    for n in range(1, 21)
    for form, field in (("visit", "age"), ("drug", "dose"))
    for instance in (1, 2)
]


@pytest.fixture
def classic(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports={"metadata": METADATA}, records=RECORDS)


@pytest.fixture
def repeating(sandbox: Sandbox) -> Iterator[str]:
    """A project whose forms all repeat, the first one too: no record has a row of its own."""
    exports = {"metadata": METADATA, "repeatingFormsEvents": EACH_REPEATS}
    yield sandbox.add_project(exports=exports, records=INSTANCES)
    sandbox.clear_faults()


IDS = [row["record_id"] for row in RECORDS]
SELECTIONS: dict[str, dict[str, Any]] = {
    "records": {"records": IDS},
    "filter": {"filter_logic": "[age] > 1"},
    "records that match": {"records_where": "[age] > 1"},
    "bucket": {"among": even},
}


@pytest.mark.parametrize("dropped", [8, 40])
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("asked", SELECTIONS)
def test_a_census_that_lies_once_loses_nothing(
    sandbox: Sandbox, classic: str, asked: str, after: int, dropped: int
) -> None:
    client = REDCapClient(sandbox.url, classic)
    whole = client.export_snapshot(**SELECTIONS[asked])
    sandbox.inject(DroppedRecords(dropped), content="record", after=after, times=1)

    export = client.export_snapshot(**SELECTIONS[asked])

    assert export.table.num_rows == (20 if asked == "bucket" else 40)
    assert export.table.equals(whole.table)
    assert export.census.equals(whole.census)
    assert export.listed == whole.listed == 40
    assert export.consistent
    assert not export.notes


@pytest.mark.parametrize("asked", ["records", "filter", "records that match"])
def test_a_census_that_lies_once_costs_a_data_frame_no_row(
    sandbox: Sandbox, classic: str, asked: str
) -> None:
    sandbox.inject(DroppedRecords(8), content="record", times=1)

    assert len(REDCapClient(sandbox.url, classic).export_records(**SELECTIONS[asked])) == 40


def test_some_records_take_a_census_before_and_after(sandbox: Sandbox, classic: str) -> None:
    client = REDCapClient(sandbox.url, classic)

    assert client.export_snapshot(among=even).requests == 3
    assert client.export_snapshot().requests == 2


@pytest.mark.parametrize(
    ("asked", "after"),
    [("filter", 0), ("filter", 1), *(("records that match", after) for after in range(4))],
)
def test_a_record_that_comes_to_match_a_filter_no_more_is_left_out(
    sandbox: Sandbox, classic: str, asked: str, after: int
) -> None:
    others = REDCapClient(sandbox.url, sandbox.add_user(classic, "others"))
    change = Meanwhile(lambda: others.records.import_([{"record_id": "7", "age": "1"}]))
    sandbox.inject(change, content="record", after=after, times=1)

    export = REDCapClient(sandbox.url, classic).export_snapshot(**SELECTIONS[asked])

    assert export.table["record_id"].to_pylist() == [record for record in IDS if record != "7"]
    assert export.census.num_rows == 39
    assert export.consistent
    sandbox.clear_faults()


# -- instances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{"records_where": "[age] = 31"}, {"records": ["3"]}])
def test_records_that_are_listed_by_their_instances_alone(
    sandbox: Sandbox, repeating: str, asked: dict[str, Any]
) -> None:
    client = REDCapClient(sandbox.url, repeating)

    export = client.export_snapshot(**asked)

    assert export.table["redcap_repeat_instrument"].to_pylist() == ["visit"] * 2 + ["drug"] * 2
    assert export.census.to_pylist() == [{"record_id": "3"}]
    assert not export.notes
    assert client.export_records_table(**asked).equals(export.table)


def test_a_bucket_of_records_that_are_listed_by_their_instances_alone(
    sandbox: Sandbox, repeating: str
) -> None:
    client = REDCapClient(sandbox.url, repeating)

    export = client.export_snapshot(among=even)

    assert export.table.equals(even(client.export_records_table()))
    assert export.census.num_rows == 10


def test_instances_are_counted_for_the_size_of_an_answer(sandbox: Sandbox, repeating: str) -> None:
    export = REDCapClient(sandbox.url, repeating, max_cells=100).export_snapshot()

    assert export.table.num_rows == 80
    assert not export.notes
    # A record has 4 rows of 5 cells, so that 5 of 20 fit; the census twice, the log, and changes.
    assert export.requests == 20 / 5 + 4


@dataclass(frozen=True)
class LastRows:
    """The last rows of an answer do not come."""

    count: int

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        response = await redcap()
        header, *rows = split_csv(response.body)
        return replace(response, body=header + b"".join(rows[: -self.count]))


@pytest.mark.parametrize("lost", [1, 3, 11])
@pytest.mark.parametrize("max_cells", [None, 60])
@pytest.mark.parametrize("first", [True, False], ids=["first form repeats", "second"])
def test_an_answer_that_ends_at_the_end_of_a_row_loses_no_instance(
    sandbox: Sandbox, repeating: str, lost: int, max_cells: int | None, first: bool
) -> None:
    token = repeating
    if not first:
        exports = {"metadata": METADATA, "repeatingFormsEvents": EACH_REPEATS[1:]}
        drugs = [row for row in INSTANCES if "dose" in row]
        rows = [{"record_id": str(n), "age": "3"} for n in range(1, 21)]
        token = sandbox.add_project(exports=exports, records=[*rows, *drugs])
    client = REDCapClient(sandbox.url, token, max_cells=max_cells, backoff=0.001)
    whole = client.export_snapshot().table
    sandbox.inject(LastRows(lost), content="record", after=1, times=1)

    assert client.export_snapshot().table.equals(whole)


@pytest.mark.parametrize("fields", [["dose"], ["dose", "drug_complete"]])
def test_single_fields_of_instances_are_not_lost(
    sandbox: Sandbox, repeating: str, fields: list[str]
) -> None:
    client = REDCapClient(sandbox.url, repeating)
    whole = client.export_snapshot(fields=fields).table
    sandbox.inject(DroppedRecords(3), content="record", after=1, times=1)

    assert client.export_snapshot(fields=fields).table.equals(whole)
    assert whole.num_rows == 80  # the record id is of the first form, whose instances come too


def test_a_list_of_instances_that_a_server_cannot_bear_is_asked_for_in_pieces(
    sandbox: Sandbox, repeating: str
) -> None:
    whole = REDCapClient(sandbox.url, repeating).export_snapshot()
    sandbox.inject(MemoryLimit(250), content="record")  # ids alone are 40 rows of 3 cells

    export = REDCapClient(sandbox.url, repeating, backoff=0.001).export_snapshot()

    assert export.table.equals(whole.table)
    assert export.census.equals(whole.census)
    assert export.consistent
    assert not export.notes


def test_instances_of_a_form_that_the_user_may_not_see_are_not_asked_for(sandbox: Sandbox) -> None:
    exports = {"metadata": METADATA, "repeatingFormsEvents": EACH_REPEATS}
    token = sandbox.add_project(
        exports=exports, records=INSTANCES, rights={"forms_export": {"drug": 0}}
    )

    export = REDCapClient(sandbox.url, token, max_cells=60).export_snapshot()

    assert "dose" not in export.table.column_names
    assert export.table["redcap_repeat_instrument"].to_pylist() == ["visit"] * 40
    assert not export.notes


# -- what cannot be had ---------------------------------------------------------------------------


def test_what_is_missing_is_told_by_its_forms(
    sandbox: Sandbox, repeating: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(*args: Any, **more: Any) -> pa.Table:
        rows = read_records(*args, **more)
        of = [
            (record, form) == ("7", "drug")
            for record, form in zip(
                rows["record_id"].to_pylist(),
                rows["redcap_repeat_instrument"].to_pylist(),
                strict=True,
            )
        ]
        return rows.filter(pa.array([not one for one in of]))

    monkeypatch.setattr(fetching, "read_records", lossy)

    with pytest.raises(
        IncompleteExportError, match=r"^record export: 1 records .*\(of drug\)"
    ) as e:
        REDCapClient(sandbox.url, repeating).export_snapshot()
    assert (e.value.missing, e.value.forms) == (1, ("drug",))


def test_an_export_during_which_access_groups_come_out_of_sight_is_refused(
    sandbox: Sandbox,
) -> None:
    rows = [row | {"redcap_data_access_group": "north"} for row in RECORDS]
    token = sandbox.add_project(exports={"metadata": METADATA}, records=rows)
    move = Meanwhile(lambda: sandbox.set_rights(token, {"data_access_group": "north"}))
    sandbox.inject(move, content="record", after=2, times=1)

    with pytest.raises(MalformedResponseError, match="the token's rights were changed"):
        REDCapClient(sandbox.url, token).export_snapshot(records=IDS)

    sandbox.clear_faults()


def test_a_list_in_pieces_during_which_access_groups_come_out_of_sight_is_refused(
    sandbox: Sandbox,
) -> None:
    exports = {"metadata": METADATA, "repeatingFormsEvents": EACH_REPEATS}
    rows = [row | {"redcap_data_access_group": "north"} for row in INSTANCES]
    token = sandbox.add_project(exports=exports, records=rows)
    move = Meanwhile(lambda: sandbox.set_rights(token, {"data_access_group": "north"}))
    sandbox.inject(MemoryLimit(250), content="record")
    sandbox.inject(move, content="record", after=2, times=1)  # after the whole, and the ids

    with pytest.raises(MalformedResponseError, match="the token's rights were changed"):
        REDCapClient(sandbox.url, token, backoff=0.001).export_snapshot()
