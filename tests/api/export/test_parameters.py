"""PHP ignores parameters after the first 1,000: no request has that many."""

from collections.abc import Iterator
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.api import REDCapClient, TooManyParametersError
from redcap_dagster.api.export.plan.adaptive_limits import AdaptiveLimits
from redcap_dagster.api.export.plan.listing import Listing
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.plan.record_requests import Limits, RecordRequest, plan_requests
from redcap_dagster.api.export.reader.selection import RecordSelection, csv_parameters
from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import Dialect
from tests.dictionary import field

NAMES = [f"f{number}" for number in range(1300)]
METADATA = [field("record_id"), *(field(name) for name in NAMES)]
IDS = [str(number) for number in range(1, 1150)]
MANY = [{"record_id": record, "f0": record, "f1299": "x"} for record in IDS]
FEW = MANY[:5]


@pytest.fixture(scope="module")
def php() -> Iterator[Sandbox]:
    with Sandbox(dialect=Dialect(max_parameters=1000)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def long(php: Sandbox) -> str:
    """A project of many records."""
    dictionary = [field("record_id"), field("f0"), field("f1299")]
    return php.add_project(exports={"metadata": dictionary}, records=MANY)


@pytest.fixture(scope="module")
def wide(php: Sandbox) -> str:
    """A project of many fields."""
    return php.add_project(exports={"metadata": METADATA}, records=FEW)


@pytest.mark.parametrize("max_cells", [None, 1000, 500_000])
@pytest.mark.parametrize("max_records", [None, 800])
def test_all_named_records_are_exported(
    php: Sandbox, long: str, max_cells: int | None, max_records: int | None
) -> None:
    client = REDCapClient(php.url, long, max_cells=max_cells, max_records=max_records)
    fields = ["f0", "f1299"]

    assert client.export_records(records=IDS, fields=fields)["f0"].tolist() == IDS
    assert client.export_snapshot(records=IDS, fields=fields).table["f0"].to_pylist() == IDS
    streamed = pa.Table.from_batches(client.stream_records(records=IDS, fields=fields))
    assert streamed["f0"].to_pylist() == IDS
    assert client.records.export_eav(records=IDS, fields=["f0"])["value"].tolist() == IDS


@pytest.mark.parametrize(
    ("count", "max_cells"), [(700, None), (700, 500), (700, 500_000), (1299, None)]
)
def test_all_named_fields_are_exported(
    php: Sandbox, wide: str, count: int, max_cells: int | None
) -> None:
    client = REDCapClient(php.url, wide, max_cells=max_cells)
    records = [row["record_id"] for row in FEW]
    asked = NAMES[-count:]

    for table in (
        client.export_snapshot(fields=asked, records=records).table,
        client.export_records_table(fields=asked),
    ):
        assert set(asked) <= set(table.column_names)
        assert table["f1299"].to_pylist() == ["x"] * len(FEW)


def test_what_cannot_be_cut_is_refused_before_it_is_sent(php: Sandbox, wide: str) -> None:
    client = REDCapClient(php.url, wide)
    for request in (
        lambda: list(client.stream_records(fields=NAMES)),
        lambda: client.records.export_eav(fields=NAMES),
        lambda: client.export_metadata(fields=NAMES),
        lambda: client.records.delete(IDS),
    ):
        with pytest.raises(TooManyParametersError, match="PHP ignores those after max_input_vars"):
            request()
    assert len(client.export_records()) == len(FEW)


PROJECT = REDCapProject.from_exports(
    metadata=[
        *(field(name) for name in ["record_id", *NAMES[:30]]),
        *(field(name, "other") for name in NAMES[30:100]),
    ]
)


@settings(max_examples=25)
@given(
    records=st.integers(1, 60),
    fields=st.none() | st.sets(st.sampled_from(NAMES[:100]), min_size=1),
    max_cells=st.none() | st.integers(50, 2000),
    max_records=st.none() | st.integers(1, 60),
    random=st.randoms(use_true_random=False),
)
def test_no_request_of_a_plan_has_too_many_parameters(
    records: int,
    fields: set[str] | None,
    max_cells: int | None,
    max_records: int | None,
    random: Random,
) -> None:
    """Nor has one that is split as the server failed; and each cell is in one request."""
    limits = Limits(max_cells, max_records, max_parameters=60)
    selection: RecordSelection = {"export_survey_fields": True}
    if fields:
        selection["fields"] = sorted(fields)
    query = ExportQuery(PROJECT, selection, groups=False)
    listing = Listing(pa.table({"record_id": IDS[:records]}), "record_id")
    adaptive = AdaptiveLimits(limits)
    waiting = [*plan_requests(PROJECT, query.column_set, listing, limits, named=True)]
    cells: dict[tuple[str, str], int] = {}
    while waiting:
        request = waiting.pop()
        halves = adaptive.split_to_limits(request)
        if len(halves) == 1 and random.random() < 0.1:
            halves = request.split_in_halves() or halves
        if len(halves) > 1:
            waiting += halves
            continue
        assert len(csv_parameters(query.write_request(request))) < 60
        _count_cells(request, cells)
    wanted = fields or {*NAMES[:100], "visit_complete", "other_complete"}
    assert cells == {(record, name): 1 for record in IDS[:records] for name in wanted}


def _count_cells(request: RecordRequest, cells: dict[tuple[str, str], int]) -> None:
    for form in request.column_set.forms:
        for name, _ in form.fields:
            for record in request.records:
                cells[record, name] = cells.get((record, name), 0) + 1
