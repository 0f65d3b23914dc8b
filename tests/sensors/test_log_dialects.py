"""The log as servers differ in it: wording, language, columns, clocks, and what cannot be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api import (
    BlockedError,
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    NotUTF8Error,
    REDCapClient,
    REDCapError,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.methods.log import Log
from redcap_dagster.sandbox.dialects import DIALECTS, Dialect
from redcap_dagster.sensors.change_detection import start_cursor
from redcap_dagster.sensors.log_entries import LogEntry
from tests.sensors.test_project_watch import ID, Watched, bucket, watch_project

ROLE = {"unique_role_name": "", "role_label": "Nurse", "design": "1"}

NOT_CHANGES = [
    "Add user joe",
    "Created User joe",
    "Granted access to joe",
    "Edit user joe",
    "Updated User joe",
    "Changed user privileges of joe",
    "Delete user joe",
    "Revoked access of joe",
    "User assigned to role nurse",
    "Assign user to role nurse",
    "Create user role nurse",
    "New role nurse",
    "Edit user role",
    "Rename role nurse",
    "Lock/Unlock Record joe",
    "Lock record joe",
    "Record unlocked joe",
    "E-signature joe",
    "Save e-signature joe",
    "Negate e-signature joe",
    "Data export (API) ",
]

CHANGES = {
    "Create record (API) 7": "add",
    "Created Record 7": "add",
    "Update record (import) 7": "edit",
    "Update Response 7": "edit",
    "Updated Record (API) 7": "edit",
    "Delete record 7": "delete",
    "Deleted Record 7": "delete",
    "Update record user role 7": "edit",
    "Deleted Document 7": "unknown",
    "Create data access group north": "unknown",
    "Enregistrement 7": "unknown",
}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("record", ["joe", "", None])
@pytest.mark.parametrize("action", NOT_CHANGES)
def test_users_roles_locks_and_signatures_are_not_changes(action: str, record: str | None) -> None:
    row = {"timestamp": "2024-11-02 08:00", "action": action, "details": "user = 'joe'"}
    assert LogEntry.from_row(row if record is None else row | {"record": record}).kind == ""


@pytest.mark.parametrize("has_record", [True, False])
@pytest.mark.parametrize("action", CHANGES)
def test_wording_of_records_is_a_change_in_any_version(action: str, has_record: bool) -> None:
    row = {"timestamp": "2024-11-02 08:00", "action": action, "details": "age = '40'"}
    entry = LogEntry.from_row(row | ({"record": "7"} if has_record else {}))
    assert entry.kind == CHANGES[action]
    if not has_record and entry.kind != "unknown":
        assert (entry.record or "7").endswith("7")


@given(st.dictionaries(st.sampled_from(["timestamp", "action", "details", "record"]), ANYTHING))
def test_any_row_is_an_entry(row: dict[str, Any]) -> None:
    entry = LogEntry.from_row(row)
    assert (entry.record or "").encode() is not None


@contextmanager
def watching(dialect: Dialect = DIALECTS["default"], *, log: bool = True) -> Iterator[Watched]:
    yield from watch_project(log=log, dialect=dialect)


SPOKEN = [
    *DIALECTS.values(),
    Dialect(name="foreign, older", sentences="foreign", version="11.4.4", log_actions="updated"),
    Dialect(name="foreign, changed", sentences="foreign", log_actions="changed"),
    *(Dialect.draw(seed) for seed in range(2)),
]


@pytest.mark.parametrize("dialect", SPOKEN, ids=lambda dialect: dialect.name)
def test_a_log_in_any_words_shows_records_and_nothing_of_users(dialect: Dialect) -> None:
    with watching(dialect) as watched:
        client, sandbox = watched.client, watched.sandbox

        def see() -> set[str]:
            watched.passes(minutes=1)
            found = watched.look()
            assert not found.structure
            assert not found.note
            return set(found.instruments)

        see()
        client.users.import_([{"username": ID, "design": "1"}])
        client.users.import_([{"username": ID, "design": "0"}])
        client.roles.import_([ROLE])
        (role,) = client.roles.export()
        client.roles.import_mapping(
            [{"username": ID, "unique_role_name": role["unique_role_name"]}]
        )
        client.users.delete([ID])
        for number in range(4):
            sandbox.lock_record(watched.token, str(number))
            sandbox.sign_record(watched.token, str(number))
        assert see() == set()
        client.records.import_([{"record_id": "7", "dose": "3"}])
        assert bucket("7") in see()
        client.records.import_([{"record_id": ID, "age": "3"}])
        assert bucket(ID) in see()
        client.records.delete(["8"])
        assert bucket("8") in see()
        client.records.rename("9", "new")
        assert {bucket("9"), bucket("new")} <= see()
        assert see() == set()


# -- clocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [{"minutes": 5}, {"seconds": 20}])
@pytest.mark.parametrize(
    ("back", "log"),
    [
        ({"hours": 1.5}, True),
        ({"days": 3}, True),
        ({"days": 90}, True),
        ({"hours": 1.5}, False),
        ({"days": 3}, False),
    ],
)
def test_a_server_whose_clock_goes_back_is_seen_to_change(
    back: dict[str, float], step: dict[str, float], log: bool
) -> None:
    with watching(log=log) as watched:
        ours = [watched.now[0]]
        watched.project = replace(watched.project, clock=lambda: ours[0])

        def passes(**span: float) -> None:
            watched.passes(**span)
            ours[0] += timedelta(**span)

        passes(days=2)  # no date of a record is recent
        watched.look()
        for _ in range(2):
            passes(**step)
            watched.client.records.import_([{"record_id": "6", "age": "1"}])
            watched.look()
        watched.client.records.import_([{"record_id": "6", "age": "2"}])
        watched.now[0] -= timedelta(**back)
        concerned: list[set[str]] = []
        for number in range(5):
            passes(**step)
            watched.client.records.import_([{"record_id": number, "dose": "9"}])
            concerned.append(set(watched.look().instruments))
        for number in range(4):
            assert bucket(str(number)) in set().union(*concerned[number : number + 2])
        passes(minutes=5)
        assert not watched.look().instruments


@pytest.mark.parametrize(
    "wrong",
    ["2999-01-01 00:00", "0001-01-01 00:00", "0000-00-00 00:00", "11/02/2024 8:00am", "", None],
)
@pytest.mark.parametrize("place", ["first", "last"])
def test_an_entry_of_an_impossible_time_hides_nothing(
    wrong: str | None, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Log.export

    def told_wrong(log: Log, **wanted: Any) -> list[dict[str, Any]]:
        rows = export(log, **wanted)
        edit = {"action": "Update record 5", "details": "age = '1'", "record": "5"}
        entry = {"timestamp": wrong, "username": "x", **edit}
        if wanted.get("logtype") == "manage":
            return rows
        return [entry, *rows] if place == "first" else [*rows, entry]

    with watching() as watched:
        monkeypatch.setattr(Log, "export", told_wrong)
        seen: set[str] = set()
        for number in range(3):
            watched.client.records.import_([{"record_id": number, "dose": "3"}])
            watched.passes(minutes=5)
            found = watched.look()
            assert bucket(str(number)) in found.instruments
            assert not found.note
            seen |= set(found.instruments)
            latest = watched.now[0].timestamp()
            assert all(latest - 700 < when <= latest for when in found.last_changed.values())
        assert bucket("5") in seen


def test_a_clock_that_was_wrong_for_a_while_hides_nothing() -> None:
    """What was logged in 2999 remains in the log."""
    with watching() as watched:
        right = watched.now[0]
        watched.now[0] = right.replace(year=2999)
        watched.client.records.import_([{"record_id": "5", "dose": "3"}])
        watched.now[0] = right
        watched.project = replace(watched.project, clock=lambda: right)
        concerned = []
        for number in range(3):
            watched.client.records.import_([{"record_id": number, "dose": "3"}])
            concerned.append(set(watched.look().instruments))
            assert bucket(str(number)) in concerned[-1]
        assert bucket("5") in concerned[0]


@pytest.mark.parametrize("ahead", [{"hours": 22}, {"days": 3}, {"days": 365_000}])
def test_a_server_whose_clock_is_far_ahead_is_watched_by_dates(ahead: dict[str, float]) -> None:
    with watching() as watched:
        ours = [watched.now[0]]
        watched.project = replace(watched.project, clock=lambda: ours[0])
        watched.passes(**ahead)

        def look() -> dict[str, set[str]]:
            watched.passes(minutes=5)
            ours[0] += timedelta(minutes=5)
            found = watched.look()
            assert "log was not used" in found.note
            return dict(found.instruments)

        look()
        for number in ("3", "4"):
            for _ in range(3):
                assert not look()
            watched.client.records.import_([{"record_id": number, "dose": "9"}])
            assert look() == {bucket(number): {"drug"}}


def test_a_log_that_stopped_is_done_without_until_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with watching() as watched:
        stopped = watched.client.log.export()

        def export(_: Log, **wanted: Any) -> list[dict[str, Any]]:
            begin = wanted.get("begin_time")
            earliest = "" if begin is None else begin.strftime("%Y-%m-%d %H:%M")
            return [row for row in stopped if row["timestamp"] >= earliest]

        with monkeypatch.context() as patch:
            patch.setattr(Log, "export", export)
            watched.passes(minutes=5)
            watched.look()
            for _ in range(3):
                watched.passes(minutes=5)
                found = watched.look()
                assert not found.instruments
                assert "log was not used" in found.note
        watched.client.records.import_([{"record_id": "3", "dose": "9"}])
        watched.passes(minutes=5)
        found = watched.look()
        assert bucket("3") in found.instruments
        assert not found.note


# -- a log that cannot be used ---------------------------------------------------------------------

UNUSABLE = {
    "a byte that is not UTF-8": NotUTF8Error("not UTF-8"),
    "no JSON": MalformedResponseError("not JSON"),
    "nothing": EmptyResponseError("blank"),
    "no memory": ServerMemoryError("no memory"),
    "no right": RightsError("no right"),
    "refused": RefusedError("refused"),
}

NOT_THERE = {
    "blocked": BlockedError("status 403"),
    "not found": WrongURLError("status 404"),
}
PASSING = {
    "failed": ServerError("status 500"),
    "a web page": WebPageError("a web page"),
    "no response": NetworkError("no response"),
}


@pytest.mark.parametrize("error", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_without_the_log_it_goes_by_dates_then_by_a_full_look(
    error: REDCapError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with watching() as watched:
        monkeypatch.setattr(Log, "export", fail)
        for number in (5, 6):
            watched.client.records.import_([{"record_id": number, "dose": number}])
            watched.passes(minutes=5)
            found = watched.look()
            assert bucket(str(number)) in found.instruments
            assert not found.structure
            assert "log was not used" in found.note
            assert str(error) in found.note
        assert set(found.instruments) == {bucket("6")}
        if isinstance(error, RightsError):
            return
        monkeypatch.setattr(REDCapClient, "export_records_table", fail)
        for minutes, everything in ((5, True), (5, False), (50, False), (10, True), (5, False)):
            watched.passes(minutes=minutes)
            found = watched.look()
            assert found.structure is everything
            assert "Neither the log nor" in found.note
        monkeypatch.undo()
        watched.passes(minutes=5)
        watched.look()
        watched.client.records.import_([{"record_id": "3", "dose": "9"}])
        watched.passes(minutes=5)
        found = watched.look()
        assert found.instruments == {bucket("3"): {"drug"}}
        assert not found.note


def test_a_first_cursor_needs_neither_log_nor_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise NotUTF8Error("not UTF-8")

    with watching() as watched:
        monkeypatch.setattr(Log, "export", fail)
        *_, by_dates = start_cursor(watched.project)
        assert not by_dates.is_blank
        monkeypatch.setattr(REDCapClient, "export_records_table", fail)
        *_, blank = start_cursor(watched.project)
        assert blank.is_blank


def test_a_log_that_fails_for_an_hour_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ServerError("status 500")

    with watching() as watched:
        monkeypatch.setattr(Log, "export", fail)
        watched.client.records.import_([{"record_id": "5", "dose": "3"}])
        watched.passes(minutes=50)
        with pytest.raises(ServerError):
            watched.look()
        watched.passes(minutes=11)
        assert bucket("5") in watched.look().instruments


@pytest.mark.parametrize("error", NOT_THERE.values(), ids=NOT_THERE.keys())
def test_a_log_that_is_blocked_is_done_without(
    error: REDCapError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with watching() as watched:
        monkeypatch.setattr(Log, "export", fail)
        watched.client.records.import_([{"record_id": "5", "dose": "3"}])
        watched.passes(minutes=5)
        found = watched.look()
        assert bucket("5") in found.instruments
        assert str(error) in found.note
        monkeypatch.setattr(REDCapClient, "export_project_info", fail)
        with pytest.raises(type(error)):
            watched.look()


@pytest.mark.parametrize("error", (NOT_THERE | PASSING).values(), ids=(NOT_THERE | PASSING).keys())
def test_a_first_cursor_does_not_need_a_log_that_fails(
    error: REDCapError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with watching() as watched:
        monkeypatch.setattr(Log, "export", fail)
        *_, watched.cursor = start_cursor(watched.project)
        for number in ("5", "6"):
            watched.client.records.import_([{"record_id": number, "dose": "3"}])
            watched.passes(minutes=5)
            found = watched.look()
            assert found.instruments == {bucket(number): {"drug"}}
            assert str(error) in found.note
        monkeypatch.setattr(REDCapClient, "export_project_info", fail)
        with pytest.raises(type(error)):
            next(start_cursor(watched.project))


@pytest.mark.parametrize("since", ["1970-01-01 00:00", "2024-11-02 08:00", ""])
def test_everything_is_requested_once_after_a_cursor_of_long_ago(since: str) -> None:
    with watching() as watched:
        assert watched.cursor is not None
        watched.cursor = replace(watched.cursor, looked=0.0, since=since)
        before = len(watched.sandbox.requests)
        found = watched.look()
        assert found.structure
        assert "older than 30 days" in found.note
        assert len(watched.sandbox.requests) < before + 30
        watched.passes(minutes=5)
        found = watched.look()
        assert not found.structure
        assert not found.instruments
        assert not found.note


def test_a_log_of_one_access_group_does_not_show_the_clock() -> None:
    """It lacks the requests of the sensor, so that nothing tells when the clock is put back."""
    with watching() as watched:
        client = watched.client
        client.groups.import_([{"data_access_group_name": "North", "unique_group_name": ""}])
        row = {"record_id": "5", "dose": "1", "redcap_data_access_group": "north"}
        client.records.import_([row])
        token = watched.sandbox.add_user(
            watched.token, "north", rights={"data_access_group": "north"}
        )
        theirs = REDCapClient(watched.sandbox.url, token)
        watched.project = replace(watched.project, client=theirs, project=theirs.export_project())
        *_, watched.cursor = start_cursor(watched.project)
        for dose in ("2", "3"):
            client.records.import_([{"record_id": "5", "dose": dose}])
            watched.passes(minutes=5)
            found = watched.look()
            assert found.instruments == {bucket("5"): {"drug"}}
            assert "data access group" in found.note
