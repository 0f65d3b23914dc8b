"""An export gives up on a server that fails each request, and not on one that sends some rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from redcap_dagster.api import (
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    REDCapClient,
    REDCapError,
    ServerError,
    ServerMemoryError,
    WebPageError,
)
from redcap_dagster.api.export.plan import adaptive_limits
from redcap_dagster.api.export.plan.adaptive_limits import AdaptiveLimits, ExportBudget
from redcap_dagster.api.export.plan.column_sets import ColumnSet, InstrumentColumns
from redcap_dagster.api.export.plan.record_requests import Limits, RecordRequest
from redcap_dagster.api.http.network_errors import TOTAL_TIMED_OUT, network_error
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import OUT_OF_MEMORY, WEB_PAGE, Reset, Status
from redcap_dagster.sandbox.http.fault import Fault, InterceptedRequest, OutgoingResponse, REDCap
from tests.dictionary import field
from tests.fake_server import CANARY, TOKEN, Reply, Server, json_reply

RECORDS = [str(number) for number in range(1, 1001)]
CENSUS = Reply("\n".join(["record_id", *RECORDS, ""]).encode())
METADATA = [field("record_id"), *(field(f"field_{number}") for number in range(60))]
PAGE = f"<html><body>{CANARY}</body></html>".encode()
OVERDUE = network_error("record export", "redcap.example.edu", TOTAL_TIMED_OUT)

FAILURES: dict[str, tuple[Reply, type[REDCapError]]] = {
    "stalls": (Reply(end="never"), NetworkError),
    "resets": (Reply(end="reset"), NetworkError),
    "breaks off": (Reply(b"record_id,field_0\n1,", end="short"), NetworkError),
    "ends too early": (Reply(b'record_id,field_0\n1,"a'), MalformedResponseError),
    "fails": (Reply(PAGE, 500), ServerError),
    "is too busy": (Reply(PAGE, 503), ServerError),
    "sends nothing": (Reply(), EmptyResponseError),
    "sends a web page": (Reply(PAGE), WebPageError),
    "sends other records": (Reply(b"record_id\nelsewhere\n"), MalformedResponseError),
    "sends an error": (json_reply({"error": CANARY}), REDCapError),
}


def _make_client(server: Server) -> REDCapClient:
    server.say("metadata", json_reply(METADATA))
    server.say("project", json_reply({"is_longitudinal": 0}))
    server.say("version", Reply(b"14.7.3"))
    server.say("repeatingFormsEvents", json_reply([]))
    server.say("instrument", json_reply([{"instrument_name": "visit", "instrument_label": "V"}]))
    columns = [{"original_field_name": row["field_name"], "choice_value": "",
                "export_field_name": row["field_name"]} for row in METADATA]  # fmt: skip
    server.say("exportFieldNames", json_reply(columns))
    client = REDCapClient(server.url, TOKEN, read_timeout=60)
    client.export_metadata()
    return client


@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_that_fails_each_export_is_asked_a_few_times(
    server: Server, waits: list[float], assert_silent: Callable[[BaseException], None], failure: str
) -> None:
    reply, error = FAILURES[failure]
    client = _make_client(server)
    if failure == "stalls":
        client._transport._timeout = (60, 0.05)
    server.say("record", CENSUS, reply)

    with pytest.raises(error) as caught:
        client.export_records()

    assert len(server.requests) <= 40
    assert len(server.asked("record")) <= 25
    assert len(waits) <= 15
    assert_silent(caught.value)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_that_never_sends_a_listing_is_asked_as_often_as_for_any_request(
    server: Server, waits: list[float], failure: str
) -> None:
    reply, error = FAILURES[failure]
    client = _make_client(server)
    if failure == "stalls":
        client._transport._timeout = (60, 0.05)
    server.say("record", reply)

    with pytest.raises(error):
        client.export_records()

    assert len(server.asked("record")) <= 6
    assert len(waits) <= 5


def test_the_error_says_how_many_requests_failed(server: Server, waits: list[float]) -> None:
    client = _make_client(server)
    server.say("record", CENSUS, Reply(end="reset"))

    with pytest.raises(
        NetworkError,
        match=r"no connection, or it was lost\. .* gave up: the last "
        r"\d+ requests failed, and no row was received .* try again later",
    ):
        client.export_records()  # fmt: skip
    assert waits


@dataclass(frozen=True, slots=True)
class Poisonous:
    """A failure of each request for all records, for many, or for one certain record."""

    fault: Fault
    most: int
    record: str = ""

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:
        parameters = request.parameters
        records = parameters.get_list("records")
        if [*parameters.get_list("fields")] == ["record_id"] or parameters.get_text("filterLogic"):
            return await redcap()  # a listing, or a header
        if 0 < len(records) <= self.most and self.record not in records:
            return await redcap()
        return await self.fault.respond(request, redcap)


@pytest.fixture(scope="module")
def studied() -> Iterator[tuple[Sandbox, str]]:
    rows = [{"record_id": record, "name": "x"} for record in RECORDS[:100]]
    with Sandbox() as sandbox:
        metadata = [field("record_id"), field("name")]
        yield sandbox, sandbox.add_project(exports={"metadata": metadata}, records=rows)


@pytest.mark.parametrize(
    "fault",
    [Reset(), Status(500, "<p>"), Status(503, "<p>"), Status(524, "<p>"), WEB_PAGE, OUT_OF_MEMORY],
    ids=lambda one: repr(one)[:20],
)
@pytest.mark.parametrize("most", [1, 10])
def test_a_server_that_only_serves_few_records_serves_all(
    studied: tuple[Sandbox, str], waits: list[float], fault: Fault, most: int
) -> None:
    """Each row that comes begins anew, so that any number of requests may fail."""
    sandbox, token = studied
    sandbox.inject(Poisonous(fault, most), content="record")
    before = len(sandbox.requests)
    try:
        export = REDCapClient(sandbox.url, token, max_failures=15).export_snapshot()
    finally:
        sandbox.clear_faults()

    assert export.table.num_rows == 100
    assert len(sandbox.requests) - before <= (240 if most == 1 else 60)
    assert len(waits) <= 20


def test_one_record_that_fails_does_not_look_like_a_server_that_is_down(
    studied: tuple[Sandbox, str], waits: list[float]
) -> None:
    sandbox, token = studied
    sandbox.inject(Poisonous(OUT_OF_MEMORY, 100, "64"), content="record")
    before = len(sandbox.requests)
    try:
        with pytest.raises(ServerMemoryError, match="Other requests of this export returned rows"):
            REDCapClient(sandbox.url, token).export_records()
    finally:
        sandbox.clear_faults()
    assert waits
    assert len(sandbox.requests) - before <= 60


@pytest.mark.parametrize("status", [413, 414])
def test_a_web_server_that_refuses_long_requests_serves_all(
    studied: tuple[Sandbox, str],
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setattr(adaptive_limits, "FEW_RECORDS", 20)
    sandbox, token = studied
    sandbox.inject(Poisonous(Status(status, "<p>"), 20), content="record")
    try:
        exported = REDCapClient(sandbox.url, token).export_records(records=RECORDS[:90])
    finally:
        sandbox.clear_faults()

    assert len(exported) == 90
    assert not waits


# -- the budget alone -----------------------------------------------------------------------------


def _make_request(records: int = 1024) -> RecordRequest:
    columns = ColumnSet((InstrumentColumns("visit", (("age", 1), ("race", 1))),))
    listed = tuple(map(str, range(records)))
    return RecordRequest(columns, listed, 0, records, named=True, cells=3 * records)


def test_an_export_gives_up_after_some_failures_in_a_row() -> None:
    adaptive = AdaptiveLimits(Limits(), ExportBudget(max_failures=3))
    request = _make_request()
    adaptive.split_failed(request, ServerMemoryError("down."))
    adaptive.split_failed(request, ServerMemoryError("down."), alone=False)  # with the one before
    adaptive.split_failed(request, ServerMemoryError("down."))
    adaptive.note_success(_make_request(1), rows=1)
    adaptive.split_failed(request, ServerMemoryError("down."))
    adaptive.note_success(_make_request(1), rows=0)
    adaptive.split_failed(request, ServerMemoryError("down."))
    with pytest.raises(ServerMemoryError, match="gave up: the last 3 requests failed"):
        adaptive.split_failed(request, ServerMemoryError("down."))


def test_an_export_gives_up_after_some_time_without_a_row() -> None:
    clock = [0.0]
    adaptive = AdaptiveLimits(Limits(), ExportBudget(progress_timeout=3600), lambda: clock[0])
    request = _make_request()
    clock[0] = 3000
    adaptive.note_success(request, rows=5)
    clock[0] = 6000
    assert adaptive.choose_retries(request)(ServerError("busy"), 1)
    half, _ = adaptive.split_failed(request, OVERDUE)
    clock[0] = 7000
    assert not adaptive.choose_retries(half)(ServerError("busy"), 1)
    with pytest.raises(NetworkError, match=r"no row was received for 4,000 seconds"):
        adaptive.split_failed(half, OVERDUE)


def test_what_failed_is_not_retried_before_smaller_requests_are_sent() -> None:
    reset = NetworkError("lost")
    adaptive = AdaptiveLimits(Limits())
    request = _make_request()
    assert adaptive.choose_retries(request)(reset, 1)
    halves = adaptive.split_failed(request, reset)
    assert not adaptive.choose_retries(halves[0])(reset, 1)
    busy = ServerError("busy")
    assert adaptive.choose_retries(halves[0])(busy, 1)  # it may pass by itself
    adaptive.note_success(halves[0], rows=5)
    assert adaptive.choose_retries(halves[1])(reset, 1)
    assert not adaptive.choose_retries(request)(reset, 1)  # as large as the one that failed
    adaptive.note_success(request, rows=5)
    assert adaptive.choose_retries(request)(reset, 1)
    adaptive.split_failed(request, busy)
    assert not adaptive.choose_retries(request)(busy, 1)  # it did not
