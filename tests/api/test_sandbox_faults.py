"""What the client does under each fault of the sandbox; docs/faults.md tells it to the reader."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from redcap_dagster import api
from redcap_dagster.api import (
    BlockedError,
    EmptyResponseError,
    IncompleteExportError,
    MalformedResponseError,
    NetworkError,
    NotUTF8Error,
    OutcomeUnknownError,
    REDCapClient,
    REDCapError,
    RightsError,
    ServerError,
    ServerMemoryError,
    TokenError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.http.response import read_json
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.sandbox import Sandbox, faults
from redcap_dagster.sandbox.fault_options import KINDS, read_fault
from redcap_dagster.sandbox.faults import (
    EMPTY,
    NO_DATABASE,
    OUT_OF_MEMORY,
    WEB_PAGE,
    Ban,
    Cost,
    Cut,
    Delimiter,
    DroppedRecords,
    Firewall,
    Latin1,
    Meanwhile,
    MemoryLimit,
    Redirect,
    Reset,
    SlowFirstByte,
    SlowTrickle,
    Status,
)
from redcap_dagster.sandbox.http.fault import Fault
from tests.dictionary import field
from tests.fake_server import CANARY, TOKEN
from tests.waiting import wait_until

PAGE = f"<html><body>{CANARY}</body></html>"
IDS = [CANARY, *(str(number) for number in range(1, 60))]
METADATA = [
    field("record_id"),
    field("name", label=f"{CANARY}?"),
    field("dose", "drug"),
]
RECORDS = [{"record_id": record, "name": f"{CANARY} says", "visit_complete": "2"} for record in IDS]
CELLS = len(IDS) * 5


@pytest.fixture(scope="module")
def started(redcap_dialect: str) -> Iterator[Sandbox]:
    with Sandbox(dialect=redcap_dialect) as sandbox:
        sandbox.add_project(exports={"metadata": METADATA}, records=RECORDS, token=TOKEN)
        yield sandbox


@pytest.fixture
def sandbox(started: Sandbox) -> Iterator[Sandbox]:
    yield started
    started.clear_faults()


@dataclass(frozen=True)
class Case:
    """A fault of every answer, and the error that the client makes of it."""

    name: str
    fault: Fault
    error: type[REDCapError]
    says: str
    selection: dict[str, Any] = dataclasses.field(default_factory=dict)
    read_timeout: float = 20

    @property
    def passes(self) -> bool:
        """Whether the client takes it for something that may pass, and asks again, here once."""
        return self.error in (ServerError, NetworkError, WebPageError)

    def client(self, sandbox: Sandbox) -> REDCapClient:
        """Return a client that has asked for the metadata, with patience."""
        client = REDCapClient(sandbox.url, TOKEN, retries=1)
        client.export_metadata()
        client._transport._timeout = (60, self.read_timeout)
        return client


@pytest.fixture
def client(sandbox: Sandbox) -> REDCapClient:
    return REDCapClient(sandbox.url, TOKEN, read_timeout=20, retries=1)


EVERYWHERE = [
    *(
        Case(f"status {status}", Status(status, PAGE), ServerError, "Try again later")
        for status in (429, 500, 502, 503, 504)
    ),
    Case("status as text", Status(503, CANARY, "text/plain"), ServerError, "Try again later"),
    Case("status 403", Status(403, PAGE), BlockedError, "Ask the server's administrator"),
    Case("status 404", Status(404, PAGE), WrongURLError, "it ends in /api/"),
    Case("web page", WEB_PAGE, WebPageError, "Open the URL in a browser"),
    Case("PHP without memory", OUT_OF_MEMORY, ServerMemoryError, "Request fewer records"),
    Case("no database", NO_DATABASE, ServerError, "could not reach its database"),
    Case("redirect", Redirect(f"https://elsewhere.example/?{CANARY}"), WrongURLError,
         "never sent after a redirect"),
    Case("cut, by its length", Cut(0.5, "length"), NetworkError, "broke off"),
    Case("cut, by its chunks", Cut(0.5, "chunks"), NetworkError, "broke off"),
    Case("cut, unannounced", Cut(0.5, "close"), NetworkError, "broke off"),
    Case("cut, by PHP", Cut(0.51, "whole"), MalformedResponseError, "not as REDCap writes it"),
    Case("nothing of it", Cut(0, "length"), NetworkError, "broke off"),
    Case("reset", Reset(), NetworkError, "no connection, or it was lost"),
    Case("slow first byte", SlowFirstByte(3600), NetworkError, "raise read_timeout",
         read_timeout=0.4),
    Case("slow trickle", SlowTrickle(3600), NetworkError, "raise read_timeout",
         read_timeout=0.4),
    Case("Latin-1", Latin1(), NotUTF8Error, "is not UTF-8"),
    Case("ban", Ban(0), BlockedError, "send no request until you know"),
]  # fmt: skip

IN_RECORDS = [
    Case("empty", EMPTY, EmptyResponseError, "Try again"),
    Case("semicolons", Delimiter(";"), MalformedResponseError, "separated by ';'"),
    Case("firewall", Firewall(2), BlockedError, "Ask the server's administrator",
         {"records": IDS[:3]}),
    Case("cost", Cost(per_record=1, per_cell=1), NetworkError, "raise read_timeout",
         read_timeout=0.4),
]  # fmt: skip

IN_STRUCTURE = [Case("empty", EMPTY, EmptyResponseError, "Try again")]

PASSING_IN_RECORDS = ("PHP without memory", "cut, by PHP")
"""Servers were seen to answer so in large exports, and not when asked again."""

PASSING = [case for case in EVERYWHERE + IN_RECORDS if case.passes and case.read_timeout == 20]


def provoke(case: Case, ask: Callable[[], object]) -> REDCapError:
    with pytest.raises(case.error, match=case.says) as caught:
        ask()
    assert type(caught.value) is case.error
    return caught.value


@pytest.mark.parametrize("case", EVERYWHERE + IN_RECORDS, ids=lambda case: case.name)
def test_records(
    case: Case,
    sandbox: Sandbox,
    waits: list[float],
    assert_silent: Callable[[BaseException], None],
) -> None:
    client = case.client(sandbox)
    sandbox.inject(case.fault, content="record")

    error = provoke(case, lambda: client.export_records(**case.selection))

    assert len(waits) == (case.passes or case.name in PASSING_IN_RECORDS)
    assert_silent(error)
    if case.read_timeout == 20:  # the others take their time
        provoke(case, lambda: list(client.stream_records(**case.selection)))


@pytest.mark.parametrize("case", EVERYWHERE + IN_STRUCTURE, ids=lambda case: case.name)
def test_structure(
    case: Case,
    sandbox: Sandbox,
    waits: list[float],
    assert_silent: Callable[[BaseException], None],
) -> None:
    client = case.client(sandbox)
    sandbox.inject(case.fault, content="metadata")

    error = provoke(case, client.export_metadata)

    assert len(waits) == case.passes
    assert_silent(error)


@pytest.mark.parametrize("case", PASSING, ids=lambda case: case.name)
def test_what_passes_by_itself_is_overcome(
    case: Case, sandbox: Sandbox, waits: list[float]
) -> None:
    sandbox.inject(case.fault, content="record", times=1)

    check_whole(case.client(sandbox))
    assert len(waits) == 1


def check_whole(client: REDCapClient) -> None:
    assert list(client.export_records()["record_id"]) == [*IDS[1:], CANARY]


@pytest.mark.parametrize(
    "fault",
    [
        SlowFirstByte(0.01),
        SlowTrickle(pause=0.001, piece=64),
        Cost(per_record=0.0001, per_cell=0.00001),
        Cost(per_record=1, at_most=0.01),
        Ban(600),
        MemoryLimit(CELLS),
        Firewall(0),
        DroppedRecords(0),
    ],
)
def test_what_is_only_slow_or_within_limits_is_whole(
    fault: Fault, sandbox: Sandbox, client: REDCapClient, waits: list[float]
) -> None:
    sandbox.inject(fault, content="record")

    check_whole(client)
    assert not waits


def test_asking_for_less_helps_against_limits(sandbox: Sandbox, client: REDCapClient) -> None:
    sandbox.inject(MemoryLimit(CELLS - 1), content="record")
    check_whole(client)  # by itself it asks for less as well
    sandbox.inject(Firewall(2), content="record")

    assert list(client.export_records(records=IDS[:2])["record_id"]) == [IDS[1], IDS[0]]
    assert len(client.export_records(fields=["name"])) == len(IDS)


def test_an_empty_answer_is_no_data(sandbox: Sandbox, client: REDCapClient) -> None:
    sandbox.inject(EMPTY, content="record", times=1)

    check_whole(client)  # the second request, for JSON, tells of rows; the third brings them


def rows_of_three_records_less(sandbox: Sandbox) -> Cut:
    """Cut between two rows, where the CSV that is left is faultless."""
    asked = {"token": TOKEN, "content": "record", "format": "csv"}
    lines = requests.post(sandbox.url, asked, timeout=120).content.splitlines(keepends=True)
    return Cut((sum(map(len, lines[:-3])) + 0.5) / sum(map(len, lines)), "whole")


@pytest.mark.parametrize(
    "fault",
    [lambda _: DroppedRecords(3), rows_of_three_records_less],
    ids=["dropped", "cut between two rows"],
)
def test_records_that_are_left_out_are_noticed(
    fault: Callable[[Sandbox], Fault],
    sandbox: Sandbox,
    assert_silent: Callable[[BaseException], None],
) -> None:
    client = REDCapClient(sandbox.url, TOKEN, max_cells=None)
    census = client.export_census()
    sandbox.inject(fault(sandbox), content="record", times=1)

    export = client.export_records_table()
    with pytest.raises(IncompleteExportError, match="that REDCap lists") as caught:
        client.check_complete(export, census)

    assert caught.value.missing == 3
    assert_silent(caught.value)


def test_rights_lost_between_two_calls(
    sandbox: Sandbox, client: REDCapClient, assert_silent: Callable[[BaseException], None]
) -> None:
    lose = Meanwhile(lambda: sandbox.set_rights(TOKEN, {"api_export": 0}))
    sandbox.inject(lose, content="record", after=2, times=1)

    check_whole(client)
    try:
        # In another language, only what else is refused tells, and this user may ask for nothing.
        understood = sandbox.dialect.sentences == "English"
        told = (RightsError, "API Export") if understood else (TokenError, "API rights")
        with pytest.raises(told[0], match=told[1]) as caught:
            client.export_records()
    finally:
        sandbox.set_rights(TOKEN, {"api_export": 1})
    assert_silent(caught.value)


def test_an_access_group_given_between_two_calls(sandbox: Sandbox) -> None:
    # What REDCap says is the same as if the others had been deleted: only a look at what was
    # there before can tell.
    group = {"redcap_data_access_group": "north"}
    token = sandbox.add_project(
        exports={"metadata": METADATA}, records=[RECORDS[1] | group, RECORDS[2]]
    )
    client = REDCapClient(sandbox.url, token)
    give = Meanwhile(lambda: sandbox.set_rights(token, {"data_access_group": "north"}))
    sandbox.inject(give, content="record", after=1, times=1)

    census = client.export_census()
    export = client.export_records_table()

    assert (census.num_rows, export.num_rows) == (2, 1)
    client.check_complete(export, census)


# -- changes --------------------------------------------------------------------------------------

NEVER_DONE = ("status 429", "status 403", "status 404", "redirect", "ban")


@pytest.mark.parametrize("case", EVERYWHERE + IN_STRUCTURE, ids=lambda case: case.name)
def test_a_change_is_sent_once_and_its_outcome_is_unknown(
    case: Case, sandbox: Sandbox, waits: list[float]
) -> None:
    token = sandbox.add_project(exports={"metadata": METADATA})
    change = {"content": "record", "action": "import", "format": "json", "returnFormat": "json"}
    change["data"] = json.dumps([{"record_id": CANARY, "name": CANARY}])
    transport = Transport(sandbox.url, token, read_timeout=case.read_timeout)
    sandbox.inject(case.fault, content="record")
    before = len(sandbox.requests)

    with pytest.raises(REDCapError) as caught:
        transport.post_once("record import", change, read_json)

    wait_until(lambda: len(sandbox.requests) > before)
    assert len(sandbox.requests) == before + 1
    assert not waits
    assert CANARY not in str(caught.value)
    sandbox.clear_faults()
    done = len(REDCapClient(sandbox.url, token).export_records()) == 1
    if case.name in NEVER_DONE:
        assert (type(caught.value), done) == (case.error, False)
    else:
        assert type(caught.value) is OutcomeUnknownError
        assert done == (type(case.fault) in (Cut, Reset, SlowFirstByte, SlowTrickle, Latin1))


# -- the page -------------------------------------------------------------------------------------


def test_the_page_names_every_fault_and_its_tests() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    for kind in KINDS:
        assert f"| `{kind}" in page
    for test in re.findall(r"`(test_\w+)`", page):
        assert test in globals()
    for error in re.findall(r"`(\w+Error)`", page):
        assert hasattr(api, error)
    for fault in re.findall(r"\| `([A-Z]\w+)[(`](?<!Error`)", page):
        assert hasattr(faults, fault)
    for text in re.findall(r"\| `([a-z][a-z0-9-]*(?: [^`]*)?)` \|", page):
        read_fault(text)
