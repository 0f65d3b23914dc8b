"""A responder that sends what belongs to other requests: an export is exact, or a typed error."""

import csv
import io
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar, cast

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.api import MAX_PARAMETERS, REDCapClient, REDCapError
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.retries import is_temporary
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.http.response_rows import split_csv
from tests.api.export.test_lost_rows import Project
from tests.api.export.test_snapshot import INSTANCES, METADATA, RECORDS, REPEATING, even

T = TypeVar("T")

MEMORY = 4
"""How many responses a cache remembers."""


@dataclass
class HostileTransport:
    """A connection on which one response with records is not what was requested.

    Attributes:
        trick: What is wrong with it.
        at: Which of the responses with records it is, and, if `always`, all after it.
    """

    project: Project
    trick: str
    at: int
    always: bool
    draw: random.Random
    url: str = "https://redcap.example.edu/api/"
    sent: int = 0
    server_time: None = None
    max_parameters: int = MAX_PARAMETERS
    before: list[bytes] = field(default_factory=list)

    def post(
        self,
        request: str,
        parameters: Mapping[str, str],
        receive: Callable[[Response], T],
        should_retry: Callable[[BaseException, int], bool] = is_temporary,
    ) -> T:
        attempts = 0
        while True:
            attempts += 1
            try:
                return receive(self.open(request, parameters))
            except REDCapError as error:
                if attempts > 2 or not should_retry(error, attempts):
                    raise

    def open(self, request: str, parameters: Mapping[str, str]) -> Response:
        self.sent += 1
        body = self.project.respond(parameters)
        if parameters["content"] == "record" and parameters["format"] == "csv":
            number = len(self.before)
            sent = self._spoil(parameters, body) if self._is_turn(number) else body
            self.before.append(body)
            body = sent
        return Response(request, self.url, 200, {}, iter([body]), lambda: None)

    def _is_turn(self, number: int) -> bool:
        # A column that all responses lack is one that the user may not export.
        if self.always and "column" not in self.trick:
            return number >= self.at
        return number == self.at

    def _spoil(self, parameters: Mapping[str, str], body: bytes) -> bytes:
        header, *rows = split_csv(body)
        lists = {name: value for name, value in parameters.items() if name.endswith("]")}
        match self.trick:
            case "a response of before":
                return self.draw.choice(self.before[-MEMORY:]) if self.before else body
            case "the records are ignored":
                return self._respond_without(parameters, "records[")
            case "the fields are ignored":
                return self._respond_without(parameters, "fields[")
            case "the events are ignored":
                return self._respond_without(parameters, "events[")
            case "parameters are cut":
                # Records are sent first: names of columns are what a server loses.
                others = [name for name in lists if not name.startswith("records[")]
                cut = {*others[self.draw.randrange(len(others) + 1) :]}
                return self.project.respond(
                    {name: value for name, value in parameters.items() if name not in cut}
                )
            case "a row comes twice" if rows:
                row = self.draw.choice(rows)
                rows.insert(self.draw.randrange(len(rows) + 1), row)
            case "a row of another request":
                seen = [row for other in self.before for row in split_csv(other)[1:]]
                if seen:
                    rows.insert(self.draw.randrange(len(rows) + 1), self.draw.choice(seen))
            case "the header again":
                rows.insert(self.draw.randrange(len(rows) + 1), header)
            case "two bodies":
                rows += [header, *rows] if not self.before else split_csv(self.before[-1])
            case "a column less" | "a column renamed" | "a column more" | "a NUL":
                return self._change_column(body)
        return header + b"".join(rows)

    def _respond_without(self, parameters: Mapping[str, str], name: str) -> bytes:
        others = {key: value for key, value in parameters.items() if not key.startswith(name)}
        return self.project.respond(others)

    def _change_column(self, body: bytes) -> bytes:
        header, *rows = csv.reader(io.StringIO(body.decode()))
        place = self.draw.randrange(len(header))
        match self.trick:
            case "a column less":
                for row in (header, *rows):
                    del row[place]
            case "a column renamed":
                header[place] += "_2"
            case "a column more":
                header.append("redcap_new")
                for row in rows:
                    row.append("x")
            case "a NUL":
                row = self.draw.choice([header, *rows])
                row[place] += "\0"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        return text.getvalue().encode()

    def fork(self) -> Self:
        return self

    def stop(self) -> None: ...

    def close(self) -> None: ...


TRICKS = [
    "a response of before",
    "the records are ignored",
    "the fields are ignored",
    "the events are ignored",
    "parameters are cut",
    "a row comes twice",
    "a row of another request",
    "the header again",
    "two bodies",
    "a column less",
    "a column renamed",
    "a column more",
    "a NUL",
]
SOME = [str(number) for number in range(1, 13, 2)]
STUDIES: dict[str, dict[str, Any]] = {
    "classic": {"exports": {"metadata": METADATA}, "records": RECORDS[:12]},
    "repeating": {"exports": REPEATING, "records": INSTANCES[:20]},
}


def snapshot(client: REDCapClient, **selection: Any) -> pa.Table:
    return client.export_snapshot(**selection).table


def frame(client: REDCapClient, **selection: Any) -> pd.DataFrame:
    return client.export_records(**selection)


def stream(client: REDCapClient, **selection: Any) -> pa.Table:
    return pa.Table.from_batches(client.stream_records(**selection))


def values(client: REDCapClient, **selection: Any) -> pd.DataFrame:
    return client.records.export_eav(**selection)


CASES: list[tuple[str, int | None, Callable[..., Any], dict[str, Any]]] = [
    ("classic", 20, snapshot, {}),
    ("classic", 20, snapshot, {"among": even}),
    ("classic", 7, snapshot, {"records": SOME, "fields": ["age", "dose"]}),
    ("repeating", 40, snapshot, {}),
    ("repeating", 40, snapshot, {"forms": ["drug"], "events": ["later_arm_1"]}),
    ("classic", 500_000, frame, {"records": SOME}),
    ("classic", 20, frame, {"fields": ["dose"]}),
    ("classic", None, frame, {"records": SOME, "forms": ["drug"]}),
    ("repeating", None, stream, {"records": SOME, "events": ["start_arm_1"]}),
    ("classic", None, values, {"records": SOME, "fields": ["age"]}),
]


@pytest.fixture(scope="module")
def projects(running_sandbox: Sandbox) -> dict[str, Project]:
    return {
        name: Project(running_sandbox, running_sandbox.add_project(**study))
        for name, study in STUDIES.items()
    }


@settings(max_examples=100)
@given(
    case=st.sampled_from(CASES),
    trick=st.sampled_from(TRICKS),
    at=st.integers(0, 9),
    always=st.booleans(),
    seed=st.integers(0, 1 << 16),
)
def test_an_export_is_exact_or_a_typed_error(
    projects: dict[str, Project],
    case: tuple[str, int | None, Callable[..., Any], dict[str, Any]],
    trick: str,
    at: int,
    always: bool,
    seed: int,
) -> None:
    study, max_cells, export, selection = case

    def run(trick: str) -> Any:
        client = REDCapClient(
            "https://redcap.example.edu/api/", "0" * 32, max_cells=max_cells, concurrency=1
        )
        draw = random.Random(seed)  # noqa: S311
        hostile = HostileTransport(projects[study], trick, at, always, draw)
        connection = cast("Transport", hostile)
        client._transport = client._names._transport = connection
        client.records = replace(client.records, _transport=connection)
        return export(client, **selection)

    right = run("none")
    try:
        found = run(trick)
    except REDCapError:
        return
    # Without rows, a column that all responses lack is one that the user may not export.
    assert found.equals(right) or (always and len(found) == len(right) == 0)
