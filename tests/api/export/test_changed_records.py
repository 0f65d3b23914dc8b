"""The server's clock, of which REDCap tells nothing: what was changed meanwhile is found by it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.api.calls.rows import export_rows
from redcap_dagster.api.export import snapshot
from redcap_dagster.api.export.verification import changed_records as changes
from redcap_dagster.api.export.verification import consistency as settling
from redcap_dagster.api.export.verification.changed_records import ServerClock
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import Meanwhile, Status
from tests.api.export.test_snapshot import METADATA, RECORDS

NEW_YORK = ZoneInfo("America/New_York")
SPRING = datetime(2024, 3, 10, 6, 50, tzinfo=UTC)
"""Ten minutes before the clocks of New York go from 2:00 to 3:00."""
FALL = datetime(2024, 11, 3, 5, 57, tzinfo=UTC)
"""Three minutes before they go from 2:00 to 1:00."""
WINTER = datetime(2024, 2, 8, 6, 50, tzinfo=UTC)


class Clock:
    """The clock of this machine and of the server."""

    def __init__(self) -> None:
        self.now = WINTER

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    class At(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            assert tz is UTC
            return clock.now

    for room in (changes, settling, snapshot):
        monkeypatch.setattr(room, "datetime", At)
    return clock


@pytest.fixture
def sandbox(clock: Clock, redcap_dialect: str) -> Iterator[Sandbox]:
    with Sandbox(time_zone=NEW_YORK, clock=clock, dialect=redcap_dialect) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    "shown", ["2999-01-01 00:00", "0001-01-01 00:00", "0000-00-00 00:00", None]
)
def test_an_entry_of_an_impossible_time_makes_no_mix_of_two_moments(
    shown: str | None, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_wrong(*asked: Any) -> list[dict[str, Any]]:
        return [{"timestamp": shown, "action": "Data export", "record": ""}, *export_rows(*asked)]

    monkeypatch.setattr(changes, "export_rows", told_wrong)
    token = sandbox.add_project(exports={"metadata": METADATA}, records=RECORDS)
    others = REDCapClient(sandbox.url, sandbox.add_user(token, "others"))

    def change() -> None:
        others.records.import_([{"record_id": "1", "age": "99"}])

    sandbox.inject(Meanwhile(change), content="record", after=4, times=1)

    export_ = REDCapClient(sandbox.url, token, max_cells=40, concurrency=1).export_snapshot()

    sandbox.clear_faults()
    assert export_.table["age"][0].as_py() == "99"
    assert export_.consistent


@pytest.mark.parametrize("logging", [0, 1])
@pytest.mark.parametrize("days", [-400, -3, 3])
def test_a_server_whose_clock_is_wrong_by_days_makes_no_mix_of_two_moments(
    days: int, logging: int
) -> None:
    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(days=days)

    with Sandbox(clock=clock) as sandbox:
        rights = {"logging": logging}
        token = sandbox.add_project(exports={"metadata": METADATA}, records=RECORDS, rights=rights)
        others = REDCapClient(sandbox.url, sandbox.add_user(token, "others"))

        def change() -> None:
            others.records.import_([{"record_id": "1", "age": "99"}])

        sandbox.inject(Meanwhile(change), content="record", after=4, times=1)
        client = REDCapClient(sandbox.url, token, max_cells=40, concurrency=1)
        export = client.export_snapshot()
        assert export.table["age"][0].as_py() == "99"
        assert export.consistent


@pytest.mark.parametrize("after", range(2, 7))
@pytest.mark.parametrize("start", [WINTER, SPRING, FALL])
def test_what_was_changed_while_clocks_are_put_is_asked_for_again(
    sandbox: Sandbox, clock: Clock, start: datetime, after: int
) -> None:
    token = sandbox.add_project(exports={"metadata": METADATA}, records=RECORDS)
    others = REDCapClient(sandbox.url, sandbox.add_user(token, "others"))
    client = REDCapClient(sandbox.url, token, max_cells=40, concurrency=1)
    structure = client.export_structure()
    clock.now = start

    def change() -> None:
        clock.now += timedelta(minutes=2)
        others.records.import_([{"record_id": "1", "age": "99"}])
        clock.now += timedelta(minutes=10)

    sandbox.inject(Meanwhile(change), content="record", after=after, times=1)

    export = client.export_snapshot(structure)

    sandbox.clear_faults()
    assert export.table["age"][0].as_py() == "99"
    assert export.consistent


@pytest.mark.parametrize(
    ("at", "since", "back"),
    [
        (WINTER, WINTER - timedelta(hours=1), 62),
        (SPRING + timedelta(hours=1), SPRING, 122),
        (SPRING + timedelta(hours=9), SPRING + timedelta(hours=8), 62),
    ],
)
def test_it_reaches_back_further_only_where_clocks_were_put(
    clock: Clock, at: datetime, since: datetime, back: int
) -> None:
    clock.now = at
    local = at.astimezone(NEW_YORK).replace(tzinfo=None)
    ahead = local - at.replace(tzinfo=None)

    begin = ServerClock(ahead, at).earliest_local_time(since)

    assert local - begin == timedelta(minutes=back)


def test_the_newest_entry_may_be_of_before_the_clock_was_put_back(clock: Clock) -> None:
    clock.now = FALL + timedelta(minutes=5)
    ahead = timedelta(hours=-4, minutes=-5)  # 1:57, as it was logged, and now 6:02 in UTC

    begin = ServerClock(ahead, clock.now).earliest_local_time(FALL)

    assert begin < datetime(2024, 11, 3, 1, 2)  # noqa: DTZ001 what the clock shows now


def test_a_log_that_fails_is_asked_for_once(redcap_dialect: str) -> None:
    with Sandbox(dialect=redcap_dialect) as sandbox:
        token = sandbox.add_project(exports={"metadata": METADATA}, records=RECORDS)
        sandbox.inject(Status(504), content="log")

        client = REDCapClient(sandbox.url, token, max_cells=40, backoff=0.001)
        export = client.export_snapshot()

        assert sum(one.content == "log" for one in sandbox.requests) == 1
        assert export.table.num_rows == 40
