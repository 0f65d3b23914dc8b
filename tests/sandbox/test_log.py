"""The log of a project, in the time of the server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import (
    CLASSIC,
    CLASSIC_RECORDS,
    LONGITUDINAL,
    Ask,
    asker,
    imported,
    stored,
)
from tests.sandbox.conftest import LONGITUDINAL_RECORDS as LONG_RECORDS


def ids(ask: Ask, token: str, **more: str) -> list[str]:
    return list(dict.fromkeys(row["id"] for row in stored(ask, token, **more)))


# -- the log --------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, minutes: int) -> None:
        self.time += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(time_zone=timezone(timedelta(hours=9)), clock=clock) as sandbox:
        yield sandbox


def test_the_log_in_server_time(timed: Sandbox, clock: Clock) -> None:
    ask = asker(timed)
    token = timed.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
    ask(token, content="record")
    clock.pass_by(10)
    imported(ask, token, [{"id": "11", "note": "new"}, {"id": "10", "race___1": "1"}])
    imported(ask, token, [{"id": "10", "race___1": "1"}])  # changes nothing
    clock.pass_by(10)
    ask(token, content="record", action="delete", records="11")
    ask(token, content="metadata")
    log = ask(token, content="log", format="json").json()
    assert [tuple(entry.values()) for entry in log] == [
        ("2026-03-02 08:50", "sandbox", "Manage/Design ", "Download data dictionary (API)", ""),
        ("2026-03-02 08:50", "sandbox", "Delete record 11", "", "11"),
        ("2026-03-02 08:40", "sandbox", "Update record (API) 10", "race___1 = '1'", "10"),
        ("2026-03-02 08:40", "sandbox", "Create record (API) 11", "id = '11', note = 'new'", "11"),
        (
            "2026-03-02 08:30",
            "sandbox",
            "Data export (API) ",
            "export_format: CSV, rawOrLabel: raw",
            "",
        ),
    ]
    assert list(log[0]) == ["timestamp", "username", "action", "details", "record"]


def test_filters_of_the_log(timed: Sandbox, clock: Clock) -> None:
    ask = asker(timed)
    token = timed.add_project(exports=LONGITUDINAL, records=LONG_RECORDS)
    for record, group in (("1", "north"), ("2", "south")):
        row = {"id": record, "redcap_event_name": "first_arm_1", "redcap_data_access_group": group}
        imported(ask, token, [row | {"age": "5"}])
        clock.pass_by(10)

    def records(**filters: str) -> list[str]:
        answer = ask(token, content="log", format="json", **filters)
        return [entry["record"] for entry in answer.json()]

    assert records(logtype="record") == ["2", "1"]
    assert records(logtype="record_add") == ["2"]
    assert records(record="1") == ["1"]
    assert records(dag="north") == ["1"]
    assert records(user="nobody") == []
    assert records(logtype="manage", endTime="2026-03-02 08:49") == []
    assert records(beginTime="2026-03-02 08:40", logtype="record_edit") == []
    assert records(beginTime="2026-03-02 08:30", endTime="2026-03-02 08:30") == ["1"]
    assert records(beginTime="2026-03-02 08:30:59", endTime="2026-03-02 08:30:00") == ["1"]
    assert ask(token, content="log", logtype="x").status_code == 400
    assert ask(token, content="log", beginTime="yesterday").status_code == 400


def test_date_ranges_use_the_log(timed: Sandbox, clock: Clock) -> None:
    ask = asker(timed)
    token = timed.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
    clock.pass_by(1)
    imported(ask, token, [{"id": "11", "note": "new"}])
    clock.pass_by(1)
    timed.edit(token, record="10", field="note", value="edited")
    assert ids(ask, token, dateRangeBegin="2026-03-02 08:30:00") == ["10", "11"]
    assert ids(ask, token, dateRangeBegin="2026-03-02 08:31:00") == ["10"]
    assert ids(ask, token, dateRangeEnd="2026-03-02 08:32:00") == ["11"]
    # A record is exported completely, with unchanged values.
    assert stored(ask, token, dateRangeBegin="2026-03-02 08:31:00")[0]["race____99"] == "1"
    # Neither the first records of the project nor a new name is in the log.
    ask(token, content="record", action="rename", record="9", new_record_name="12")
    assert ids(ask, token, dateRangeBegin="2000-01-01 00:00:00") == ["10", "11"]
