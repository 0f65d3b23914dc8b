"""The changes of a project since a cursor, by the log and by dates."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.api.methods.log import Log
from redcap_dagster.partitions import assign_buckets
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import Dialect
from redcap_dagster.sensors.change_detection import find_changes, start_cursor
from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.cursor import Cursor
from redcap_dagster.sensors.watched_project import WatchedProject
from tests.dictionary import field

METADATA = [
    field("record_id"),
    field("age"),
    field("race", type="checkbox", choices="1, A | 2, B"),
    field("dose", "drug"),
]
FORMS = {"visit", "drug"}
ID = "Xanthippe-4711"
VALUE = "471147114711471"  # too long to come up in a digest by chance


@dataclass
class Watched:
    """A project in a sandbox whose clock a test moves, and what a change sensor knows of it."""

    sandbox: Sandbox
    token: str
    now: list[datetime]
    project: WatchedProject
    cursor: Cursor | None = None

    @property
    def client(self) -> REDCapClient:
        return self.project.client

    def passes(self, **span: float) -> None:
        self.now[0] += timedelta(**span)

    def look(self, until: float | None = None) -> Changes:
        assert self.cursor is not None
        reached = time.monotonic() + 60 if until is None else until
        *_, (self.cursor, found) = find_changes(self.project, self.cursor, until=reached)
        return found

    def forms(self) -> dict[str, set[str]]:
        return dict(self.look().instruments)


def bucket(record: str) -> str:
    (found,) = assign_buckets(pa.chunked_array([[record]]), 8).to_pylist()
    return str(found)


@pytest.fixture(params=["log", "dates"])
def watched(request: pytest.FixtureRequest, redcap_dialect: str) -> Iterator[Watched]:
    yield from watch_project(log=request.param == "log", dialect=redcap_dialect)


@pytest.fixture
def by_log(redcap_dialect: str) -> Iterator[Watched]:
    yield from watch_project(log=True, dialect=redcap_dialect)


def _sandbox(now: list[datetime], dialect: str | Dialect) -> Sandbox:
    zone = ZoneInfo("America/New_York")
    return Sandbox(time_zone=zone, clock=lambda: now[0], dialect=dialect)


def watch_project(
    *, log: bool, repeating: Sequence[str] = (), dialect: str | Dialect = "default"
) -> Iterator[Watched]:
    now = [datetime(2024, 11, 2, 12, tzinfo=UTC)]
    with _sandbox(now, dialect) as sandbox:
        token = sandbox.add_project(
            exports={
                "metadata": METADATA,
                "repeatingFormsEvents": [{"form_name": form} for form in repeating],
            },
            rights=None if log else {"logging": 0},
        )
        client = REDCapClient(sandbox.url, token)
        client.records.import_([{"record_id": n, "age": 30} for n in range(20)])
        project = client.export_project()
        watched = Watched(sandbox, token, now, WatchedProject(client, project, 8, lambda: now[0]))
        watched.passes(hours=1)
        client.records.import_([{"record_id": "just before", "age": 30}])
        *_, watched.cursor = start_cursor(watched.project)
        yield watched


def test_nothing_changes_by_looking(watched: Watched) -> None:
    for _ in range(3):
        watched.passes(minutes=5)
        assert not watched.look().digests
        watched.client.export_records()


def test_an_edit_concerns_its_instrument_and_its_bucket(watched: Watched) -> None:
    watched.client.records.import_([{"record_id": "7", "dose": "3"}])
    watched.passes(minutes=1)
    assert watched.forms() == {bucket("7"): {"drug"}}
    watched.client.records.import_([{"record_id": "7", "race___2": "1"}])
    watched.passes(minutes=1)
    assert watched.forms() == {bucket("7"): {"visit"}}
    watched.passes(minutes=5)
    assert not watched.forms()


def test_records_that_come_go_and_are_renamed_concern_their_buckets(watched: Watched) -> None:
    watched.client.records.import_([{"record_id": ID, "age": "3"}])
    watched.passes(minutes=1)
    assert "visit" in watched.forms()[bucket(ID)]
    watched.client.records.rename(ID, "8888")
    watched.passes(minutes=1)
    assert watched.forms() == {bucket(ID): FORMS, bucket("8888"): FORMS}
    watched.client.records.delete(["8888"])
    watched.passes(minutes=1)
    assert watched.forms() == {bucket("8888"): FORMS}
    watched.passes(minutes=1)
    assert not watched.forms()


def test_a_changed_dictionary_concerns_everything(watched: Watched) -> None:
    more = field("weight", "drug")
    watched.client.design.import_metadata([*METADATA, more])
    watched.passes(minutes=1)
    assert watched.look().structure
    assert not watched.look().structure


def test_a_cursor_holds_no_record_id_and_is_small(watched: Watched) -> None:
    watched.client.records.import_([{"record_id": f"{ID}{n}", "age": VALUE} for n in range(50)])
    watched.passes(minutes=1)
    watched.look()
    assert watched.cursor is not None
    text = watched.cursor.to_json()
    assert ID not in text
    assert VALUE not in text
    assert len(text) < 5000
    assert Cursor.from_json(text) == watched.cursor
    assert Cursor.from_json(None) is None
    stored = (
        '{"version":1,"looked":1.5,"since":"2024-11-02 08:00","newest":"a","buckets":8,'
        '"structure":"b","census":{"1-of-8":7},"seen":["c"]}'
    )
    of_version_1 = Cursor(1.5, "2024-11-02 08:00", "a", 8, "b", {"1-of-8": 7}, ("c",))
    assert Cursor.from_json(stored) == of_version_1
    assert of_version_1.to_json() == stored
    for text in ('{"version":0}', '{"version":1}', "null", "[]", "none"):
        assert Cursor.from_json(text) is None


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its log is understood.
def test_it_takes_two_requests(by_log: Watched) -> None:
    by_log.client.records.import_([{"record_id": "7", "dose": "3"}])
    before = len(by_log.sandbox.requests)
    by_log.look()
    assert [one.content for one in by_log.sandbox.requests[before:]] == ["project", "log"]


def test_two_edits_alike_in_one_minute_are_two(by_log: Watched) -> None:
    for _ in range(2):
        by_log.client.records.import_([{"record_id": "7", "dose": "3"}])
        assert by_log.forms()
        by_log.client.records.import_([{"record_id": "7", "dose": "4"}])
        assert by_log.forms()
        assert not by_log.forms()


@pytest.mark.parametrize("change", ["2024-11-03T05:58Z", "2024-03-10T06:58Z"])
def test_clocks_that_are_changed_hide_nothing(
    by_log: Watched, change: str, redcap_dialect: str
) -> None:
    now = [datetime.fromisoformat(change)]
    with _sandbox(now, redcap_dialect) as sandbox:
        client = REDCapClient(sandbox.url, sandbox.add_project(exports={"metadata": METADATA}))
        project = replace(by_log.project, client=client, clock=lambda: now[0])
        *_, cursor = start_cursor(project)
        concerned = []
        for number in range(30):
            client.records.import_([{"record_id": number, "age": "3"}])
            now[0] += timedelta(minutes=4)
            *_, (cursor, found) = find_changes(project, cursor, until=time.monotonic() + 60)
            concerned.append(set(found.instruments))
        # Where the clock is put back, one look may find what another did before, or one later.
        for number in range(28):
            assert bucket(str(number)) in set().union(*concerned[number : number + 3])
        assert sum(map(len, concerned)) < 40


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its log is understood.
def test_a_clock_put_back_between_two_looks_far_apart_hides_nothing(
    by_log: Watched, redcap_dialect: str
) -> None:
    now = [datetime.fromisoformat("2024-11-03T05:55Z")]  # 01:55; from 06:00 on, it is 01:00 again
    with _sandbox(now, redcap_dialect) as sandbox:
        client = REDCapClient(sandbox.url, sandbox.add_project(exports={"metadata": METADATA}))
        project = replace(by_log.project, client=client, clock=lambda: now[0])
        *_, cursor = start_cursor(project)
        now[0] += timedelta(minutes=25)
        client.records.import_([{"record_id": "1", "age": "3"}])
        now[0] += timedelta(minutes=50)
        *_, (cursor, found) = find_changes(project, cursor, until=time.monotonic() + 60)
        assert found.instruments == {bucket("1"): {"visit"}}


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its log is understood.
def test_what_takes_long_comes_last_and_can_be_done_without(watched: Watched) -> None:
    first, *_ = start_cursor(watched.project)
    assert first.census is None
    watched.client.records.import_([{"record_id": "7", "dose": "3"}])
    watched.passes(minutes=1)
    (cursor, found), *_ = find_changes(watched.project, first, until=time.monotonic() + 60)
    assert found.instruments == {bucket("7"): {"drug"}}
    # Nobody knows which records there were: all buckets are concerned, once.
    watched.client.records.rename("7", ID)
    watched.passes(minutes=1)
    watched.cursor = cursor
    found = watched.look()
    assert found.structure or len(found.instruments) == 8
    assert watched.cursor.census is not None


def test_a_field_that_is_new_is_of_any_instrument(by_log: Watched) -> None:
    more = field("weight", "drug")
    by_log.client.design.import_metadata([*METADATA, more])
    by_log.look()
    by_log.client.records.import_([{"record_id": "7", "age": "3", "weight": "70"}])
    assert by_log.forms() == {bucket("7"): FORMS}


def test_a_rename_that_the_log_tells_as_an_edit_is_found(
    by_log: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Log.export

    def told_otherwise(log: Log, **wanted: Any) -> list[dict[str, Any]]:
        edit = {"action": f"Update record {ID}", "record": ID, "details": f"record_id = '{ID}'"}
        return [
            {**row, **edit} if row["details"].startswith("Rename") else row
            for row in export(log, **wanted)
        ]

    monkeypatch.setattr(Log, "export", told_otherwise)
    by_log.client.records.rename("7", ID)
    assert by_log.forms() == {bucket("7"): FORMS, bucket(ID): FORMS}


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its log is understood.
def test_the_id_of_a_record_that_is_new_is_no_rename(
    by_log: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Log.export

    def told_with_ids(log: Log, **wanted: Any) -> list[dict[str, Any]]:
        return [
            {**row, "details": f"record_id = '{row['record']}', {row['details']}"}
            if str(row["action"]).startswith("Create")
            else row
            for row in export(log, **wanted)
        ]

    monkeypatch.setattr(Log, "export", told_with_ids)
    by_log.client.records.import_([{"record_id": ID, "age": "3"}])
    before = len(by_log.sandbox.requests)
    assert by_log.forms() == {bucket(ID): {"visit"}}
    assert len(by_log.sandbox.requests) == before + 2


@pytest.mark.parametrize("log", [True, False])
def test_an_instance_that_is_gone_concerns_its_bucket(*, log: bool, redcap_dialect: str) -> None:
    for watched in watch_project(log=log, repeating=["drug"], dialect=redcap_dialect):
        dose = {"record_id": "7", "redcap_repeat_instrument": "drug", "dose": "3"}
        rows = [{**dose, "redcap_repeat_instance": number} for number in (1, 2)]
        watched.client.records.import_(rows)
        watched.passes(minutes=1)
        watched.look()
        for number in (2, 1):
            watched.client.records.delete(["7"], instrument="drug", repeat_instance=number)
            watched.passes(minutes=1)
            assert "drug" in watched.forms()[bucket("7")]


def test_a_long_log_is_read_piece_by_piece(by_log: Watched) -> None:
    for record in ("1", "2", "3"):
        by_log.passes(hours=7)
        by_log.client.records.import_([{"record_id": record, "dose": "3"}])
    found = [by_log.look(until=0).instruments.keys() for _ in range(4)]
    expected = [{bucket("1")}, {bucket("2")}, {bucket("3")}]
    assert [set(keys) for keys in found if keys] == expected
    by_log.passes(hours=40)
    by_log.client.records.import_([{"record_id": "4", "dose": "3"}])
    assert set(by_log.look().instruments) == {bucket("4")}


def test_a_value_may_look_like_a_field(by_log: Watched) -> None:
    by_log.client.records.import_([{"record_id": "5", "dose": "3, age = '4', nonsense = 1"}])
    assert by_log.forms() == {bucket("5"): {"visit", "drug"}}


def test_too_many_changes_by_dates_are_taken_together(
    monkeypatch: pytest.MonkeyPatch, redcap_dialect: str
) -> None:
    monkeypatch.setattr("redcap_dagster.sensors.date_changes.MAX_SEEN", 10)
    for watched in watch_project(log=False, dialect=redcap_dialect):
        watched.client.records.import_([{"record_id": n, "dose": "9"} for n in range(20)])
        watched.passes(minutes=1)
        assert watched.forms().keys() == {bucket(str(n)) for n in range(20)}
        assert watched.cursor is not None
        assert len(watched.cursor.seen) <= 8 * 2
        watched.passes(minutes=1)
        assert not watched.forms()
