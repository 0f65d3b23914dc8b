"""Exports that are too large for a server, which says so on a page or in a language of its own."""

from dataclasses import dataclass

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.api.http import retries
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import MemoryLimit, Status
from redcap_dagster.sandbox.http.fault import InterceptedRequest, OutgoingResponse, REDCap
from tests.dictionary import field

STUDY = {
    "exports": {"metadata": [field("record_id"), *(field(f"a{one}") for one in range(8))]},
    "records": [{"record_id": str(number), "a1": "x"} for number in range(1, 61)],
}


@dataclass(frozen=True)
class TooLarge:
    """A server that sends some response instead of those with more than 300 cells."""

    response: Status

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:
        response = await MemoryLimit(300).respond(request, redcap)
        if b"Allowed memory size" not in response.body:
            return response
        return await self.response.respond(request, redcap)


@pytest.mark.parametrize(
    "response",
    [
        Status(200, "<!DOCTYPE html>\n<html><body>Es tut uns leid.</body></html>"),
        Status(200, "Es tut uns leid"),
        Status(200, '{"error":"Zu wenig Speicher"}', "application/json"),
        Status(200, "ERROR: Zu wenig Speicher", "text/csv"),
        Status(500, '{"error":"Zu wenig Speicher"}', "application/json"),
    ],
    ids=lambda response: response.body[:20],
)
def test_an_export_that_is_too_large_is_split_whatever_the_server_says(
    response: Status,
    sandbox: Sandbox,
    redcap: REDCapClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "sleep", lambda *_: None)
    redcap.export_metadata()
    sandbox.inject(TooLarge(response), content="record")

    assert redcap.export_records()["a1"].tolist() == ["x"] * 60
