"""Requests of a plan: each record in one of them, none too large, and as many as end together."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api.export.plan.column_sets import ColumnSet, select_columns
from redcap_dagster.api.export.plan.listing import Listing
from redcap_dagster.api.export.plan.record_requests import Limits, RecordRequest, plan_requests
from redcap_dagster.project import REDCapProject
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id"),
        field("age"),
        field("drug", "medication"),
    ],
    events=[
        {"unique_event_name": f"day_{day}_arm_1", "event_name": f"Day {day}", "arm_num": 1}
        for day in range(4)
    ],
    form_event_mapping=[
        {"arm_num": 1, "unique_event_name": f"day_{day}_arm_1", "form": form}
        for day in range(4)
        for form in ("visit", "medication")
    ],
    info={"is_longitudinal": 1, "has_repeating_instruments_or_events": 0},
)
PART = ColumnSet(select_columns(PROJECT, None, None))


def planned(events: Sequence[int], limits: Limits, concurrency: int) -> tuple[RecordRequest, ...]:
    """Plan the export of records that are listed in so many events each."""
    rows = pa.table(
        {
            "id": [str(record) for record, count in enumerate(events) for _ in range(count)],
            "redcap_event_name": [f"day_{day}_arm_1" for count in events for day in range(count)],
        },
        schema=pa.schema({"id": pa.string(), "redcap_event_name": pa.string()}),
    )
    listing = Listing(rows, "id")
    return plan_requests(PROJECT, PART, listing, limits, named=True, concurrency=concurrency)


@given(
    events=st.lists(st.integers(1, 4), max_size=40),
    max_cells=st.none() | st.integers(40, 200),  # of no record too little
    max_records=st.none() | st.integers(1, 12),
    concurrency=st.integers(1, 5),
)
def test_each_record_is_in_one_request_of_bounded_size(
    events: list[int],
    max_cells: int | None,
    max_records: int | None,
    concurrency: int,
) -> None:
    limits = Limits(max_cells, max_records)
    records = [str(record) for record in range(len(events))]

    requests = planned(events, limits, concurrency)

    assert [record for request in requests for record in request.records] == records
    for request in requests:
        assert len(request.records) <= (max_records or len(records))
        assert len(request.records) <= 1 or request.cells <= (max_cells or request.cells)
    fewest = len(planned(events, limits, 1))
    assert len(requests) <= -(-fewest // concurrency) * concurrency


@pytest.mark.parametrize("concurrency", [1, 2, 3, 4])
def test_requests_end_together(concurrency: int) -> None:
    requests = planned([1] * 1300, Limits(max_cells=None, max_records=100), concurrency)

    assert len(requests) % concurrency == 0
    sizes = {len(request.records) for request in requests}
    assert max(sizes) - min(sizes) <= 1


def test_a_field_called_like_a_survey_timestamp_is_among_the_fields_that_are_requested() -> None:
    """The form visit is not a survey: REDCap sends this field only if it is named."""
    project = REDCapProject.from_exports(metadata=[field("id"), field("visit_timestamp")])
    named = [("visit_timestamp", 1)]
    assert [each.fields for each in select_columns(project, ["visit_timestamp"], None)] == [
        tuple(named)
    ]
    (complete,) = select_columns(project, None, ["visit"])
    assert set(named) <= set(complete.fields)
