"""Responses that lose rows now and then, listings too: no row that one of them showed is lost."""

import csv
import io
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

import pyarrow as pa
import pytest

from redcap_dagster.api import (
    MAX_PARAMETERS,
    IncompleteExportError,
    MalformedResponseError,
    REDCapClient,
    ResponseMismatchError,
)
from redcap_dagster.api.calls.project_structure import ProjectStructure, export_structure
from redcap_dagster.api.export.download.fetcher import ExportSettings
from redcap_dagster.api.export.plan.query import Among
from redcap_dagster.api.export.plan.record_requests import Limits
from redcap_dagster.api.export.small_export import export_table
from redcap_dagster.api.export.snapshot import take_snapshot
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.http.handlers import handle_request
from redcap_dagster.sandbox.http.response_rows import split_csv
from redcap_dagster.sandbox.protocol.parameters import Parameters
from tests.api.export.test_snapshot import INSTANCES, METADATA, RECORDS, REPEATING, even
from tests.fake_server import Reply, Server

T = TypeVar("T")
Key = tuple[str | None, ...]

KEYS = ("record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
CHANCE = 0.3
"""The share of responses that lose a row."""


@dataclass(frozen=True)
class Project:
    """A project in a sandbox, which is asked without HTTP, once for each request."""

    sandbox: Sandbox
    token: str
    bodies: dict[tuple[tuple[str, str], ...], bytes] = field(default_factory=dict)

    def respond(self, parameters: Mapping[str, str]) -> bytes:
        pairs = tuple(parameters.items())
        if pairs not in self.bodies:
            form = Parameters.from_pairs([("token", self.token), *pairs])
            self.bodies[pairs] = handle_request(self.sandbox._get_store(), form, {}).body
        return self.bodies[pairs]


@dataclass
class LossyTransport:
    """A connection of which each response with records may lose a random row.

    Attributes:
        shown: The keys of all rows that arrived.
        gone: Record ids that were deleted, before which of the requests.
    """

    project: Project
    draw: random.Random
    chance: float = CHANCE
    gone: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    server_time: None = None
    max_parameters: int = MAX_PARAMETERS
    shown: set[Key] = field(default_factory=set)

    def post(
        self,
        request: str,
        parameters: Mapping[str, str],
        receive: Callable[[Response], T],
        should_retry: object = None,  # noqa: ARG002
    ) -> T:
        self.sent += 1
        body = self.project.respond(parameters)
        if parameters["content"] == "record":
            body = self._lose_rows(body)
            self.shown.update(read_keys(body))
        return receive(Response(request, "", 200, {}, iter([body]), lambda: None))

    def _lose_rows(self, body: bytes) -> bytes:
        header, *rows = split_csv(body)
        deleted = [record for record, since in self.gone.items() if self.sent >= since]
        rows = [row for row in rows if row.split(b",")[0].strip().decode() not in deleted]
        if rows and self.draw.random() < self.chance:
            rows.pop(self.draw.randrange(len(rows)))
        return header + b"".join(rows)

    def fork(self) -> Self:
        return self

    def stop(self) -> None: ...

    def close(self) -> None: ...


def read_keys(body: bytes) -> Iterator[Key]:
    for row in csv.DictReader(io.StringIO(body.decode())):
        yield tuple(row.get(name) or None for name in KEYS)


def keys_of(table: pa.Table) -> set[Key]:
    return {tuple(row.get(name) for name in KEYS) for row in table.to_pylist()}


def export(
    transport: LossyTransport,
    structure: ProjectStructure,
    selection: Any,
    max_cells: int | None,
    among: Among | None = None,
) -> pa.Table:
    settings = ExportSettings(Limits(max_cells), concurrency=1)
    connection = cast("Transport", transport)
    if among:
        return take_snapshot(connection, structure, selection, settings, among).table
    return export_table(connection, structure.metadata, lambda: structure, selection, settings)


STUDIES: dict[str, dict[str, Any]] = {
    "classic": {"exports": {"metadata": METADATA}, "records": RECORDS[:12]},
    "repeating": {"exports": REPEATING, "records": INSTANCES[:20]},
}
CASES: dict[str, tuple[str, Any, int | None, Among | None]] = {
    "one request": ("classic", {}, None, None),
    "several requests": ("classic", {}, 20, None),
    "named records": ("classic", {"records": [str(n) for n in range(1, 13)]}, None, None),
    "a bucket": ("classic", {}, None, even),
    "labels": ("classic", {"raw_or_label": "label"}, 20, None),
    "events": ("repeating", {}, None, None),
    "events, several requests": ("repeating", {}, 40, None),
    "an instrument with instances": ("repeating", {"forms": ["drug"]}, 40, None),
}


@pytest.mark.parametrize("deletion", [False, True], ids=["all stay", "one is deleted"])
@pytest.mark.parametrize("case", CASES)
def test_no_row_is_lost_that_a_response_showed(sandbox: Sandbox, case: str, deletion: bool) -> None:
    study, selection, max_cells, among = CASES[case]
    project = Project(sandbox, sandbox.add_project(**STUDIES[study]))
    quiet = LossyTransport(project, random.Random(0), chance=0)  # noqa: S311
    structure = export_structure(cast("Transport", quiet))
    whole = keys_of(export(quiet, structure, selection, max_cells, among))
    refused = 0
    for seed in range(20):
        draw = random.Random(seed)  # noqa: S311
        deleted = {"8": draw.randrange(1, 8)} if deletion else {}
        lossy = LossyTransport(project, draw, gone=deleted)
        try:
            found = keys_of(export(lossy, structure, selection, max_cells, among))
        except IncompleteExportError:
            refused += 1
            continue
        lost = {key for key in whole - found if key[0] not in deleted}
        assert not lost & lossy.shown, f"seed {seed}"
    assert refused < 10


@dataclass
class ForeignRowTransport(LossyTransport):
    """A connection whose first response with values has a row more, of a record that never was."""

    chance: float = 0

    def _lose_rows(self, body: bytes) -> bytes:
        header, *rows = split_csv(body)
        if b"_complete" not in header or any(key[0] == "999" for key in self.shown):
            return body
        return b"".join([header, *rows, b"999" + rows[-1][rows[-1].index(b",") :]])


@pytest.mark.parametrize("case", ["one request", "labels"])
def test_a_row_of_one_response_that_no_listing_has_is_not_exported(
    sandbox: Sandbox, case: str
) -> None:
    study, selection, _, _ = CASES[case]
    project = Project(sandbox, sandbox.add_project(**STUDIES[study]))
    draw = random.Random(0)  # noqa: S311
    quiet = LossyTransport(project, draw, chance=0)
    structure = export_structure(cast("Transport", quiet))
    whole = export(quiet, structure, selection, None)
    foreign = ForeignRowTransport(project, draw)
    snapshot = take_snapshot(
        cast("Transport", foreign), structure, selection, ExportSettings(Limits(None))
    )

    assert "999" in {key[0] for key in foreign.shown}
    assert snapshot.table.equals(whole)
    assert snapshot.consistent
    assert snapshot.census.num_rows == len({key[:2] for key in keys_of(whole)})
    foreign = ForeignRowTransport(project, draw)
    assert export(foreign, structure, selection, None).equals(whole)
    assert "999" in {key[0] for key in foreign.shown}


def test_a_row_that_no_listing_has_is_not_exported_where_ids_are_hidden(sandbox: Sandbox) -> None:
    metadata = [METADATA[0] | {"identifier": "y"}, *METADATA[1:]]
    token = sandbox.add_project(
        exports={"metadata": metadata}, records=RECORDS, rights={"forms_export": {"visit": 3}}
    )
    project, draw = Project(sandbox, token), random.Random(0)  # noqa: S311
    quiet = LossyTransport(project, draw, chance=0)
    structure = export_structure(cast("Transport", quiet))
    whole = export(quiet, structure, {}, None)
    foreign = ForeignRowTransport(project, draw)

    found = take_snapshot(cast("Transport", foreign), structure, {}, ExportSettings(Limits(20)))

    assert "999" in {key[0] for key in foreign.shown}
    assert found.table.equals(whole)


@dataclass
class ForeignRowsTransport(LossyTransport):
    """A connection whose responses with values all have a row more, of a record that never was."""

    chance: float = 0

    def _lose_rows(self, body: bytes) -> bytes:
        header, *rows = split_csv(body)
        foreign = b"999" + header.count(b",") * b"," + b"\n"
        return body if b"_complete" not in header else b"".join([header, *rows, foreign])


@pytest.mark.parametrize("selection", [{}, {"filter_logic": "[age] = 'none'"}])
def test_rows_are_refused_where_every_listing_is_empty(sandbox: Sandbox, selection: Any) -> None:
    records = RECORDS[:2] if selection else []
    token = sandbox.add_project(exports={"metadata": METADATA}, records=records)
    project, draw = Project(sandbox, token), random.Random(0)  # noqa: S311
    quiet = LossyTransport(project, draw, chance=0)
    structure = export_structure(cast("Transport", quiet))
    assert not keys_of(export(quiet, structure, selection, None))

    foreign = ForeignRowsTransport(project, draw)
    with pytest.raises(ResponseMismatchError, match="1 rows are of records that REDCap does"):
        export(foreign, structure, selection, None)
    connection = cast("Transport", foreign)
    with pytest.raises(ResponseMismatchError, match="1 rows are of records that REDCap does"):
        take_snapshot(connection, structure, selection, ExportSettings())


def test_a_deletion_takes_two_listings_that_agree(server: Server, client: REDCapClient) -> None:
    """Of a caller's own export: the second census lacks the record, the third one has it."""
    listings = [b"record_id\n1\n", b"record_id\n1\n2\n"]
    server.say("record", *(Reply(body) for body in (listings[1], *listings)))
    census, export = client.export_census(), pa.table({"record_id": ["1"]})

    with pytest.raises(IncompleteExportError):
        client.check_complete(export, census)

    server.say("record", Reply(listings[0]))
    client.check_complete(export, census)


@pytest.mark.parametrize("rows", [b"1\n\n3\n", b"1\n2\n\n", b"\n2\n3\n"])
def test_a_blank_line_in_a_listing_is_not_a_record_less(
    server: Server, client: REDCapClient, rows: bytes
) -> None:
    server.say("record", Reply(b"record_id\n" + rows))

    with pytest.raises(MalformedResponseError, match="1 rows have no record id"):
        client.export_census()
