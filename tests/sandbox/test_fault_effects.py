"""The effect of faults on requests and responses, without a server."""

import asyncio
import json
import re

from redcap_dagster.sandbox.faults import Ban, Cost, DroppedRecords
from redcap_dagster.sandbox.http.fault import Fault, InterceptedRequest, OutgoingResponse
from redcap_dagster.sandbox.http.response_rows import measure_rows
from redcap_dagster.sandbox.protocol.parameters import Parameters


def respond_with(
    fault: Fault, response: OutgoingResponse, times: tuple[float, ...] = (0,)
) -> OutgoingResponse:
    async def redcap() -> OutgoingResponse:
        return response

    async def respond() -> OutgoingResponse:
        return await fault.respond(InterceptedRequest(Parameters.from_pairs([]), times), redcap)

    return asyncio.run(respond())


def test_a_ban_counts_within_a_minute() -> None:
    def status(*times: float) -> int:
        return respond_with(Ban(2), OutgoingResponse(200), times).status

    assert status(0, 59) == 200
    assert status(0, 59, 60) == 200
    assert status(0, 58, 59.9) == 403
    assert status(0, 1, 2, 1000) == 403


def test_cost_is_by_records_and_cells_and_bounded() -> None:
    content = [{"id": "1", "x": "2"}, {"id": "1", "x": "3"}, {"id": "2", "x": ""}]
    response = OutgoingResponse(
        200, {"content-type": "application/json"}, json.dumps(content).encode(), wait=1
    )
    assert (
        respond_with(Cost(per_record=0.5, per_cell=0.25), response).wait == 1 + 2 * 0.5 + 6 * 0.25
    )
    assert respond_with(Cost(per_record=0.5, per_cell=0.25, at_most=2), response).wait == 1 + 2
    count = OutgoingResponse(200, {"content-type": "application/json"}, b'{"count": 3}')
    ids = OutgoingResponse(200, {"content-type": "application/json"}, b'["1", "2"]')
    refused = OutgoingResponse(400, {"content-type": "application/json"}, b"[{}]")
    page = OutgoingResponse(200, {"content-type": "text/html"}, b"a,b\n1,2\n")
    for other in (count, ids, refused, page):
        assert respond_with(Cost(1, 1), other).wait == 0


def test_rows_of_csv_are_counted_by_their_quotes() -> None:
    csv = {"content-type": "text/csv; charset=utf-8"}
    many = "id,note\n" + "".join(f'{number},"{"x" * 50}""\n"\n' for number in range(2000))
    kept = respond_with(
        DroppedRecords(1999), OutgoingResponse(200, csv, many.encode())
    ).body.decode()
    assert re.fullmatch(r'id,note\n0,"x{50}""\n"\n', kept)
    labels = OutgoingResponse(200, csv, b'ID,"Name, given"\n1,2\n3,4')
    assert measure_rows(labels) == [(b"1", 2), (b"3", 2)]
    assert respond_with(DroppedRecords(), labels).body == b'ID,"Name, given"\n1,2\n'
