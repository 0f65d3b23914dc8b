"""The change sensor, in ticks as Dagster makes them."""

import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redcap_dagster import REDCapResource, build_redcap_change_sensor
from redcap_dagster.api import REDCapClient
from redcap_dagster.automation import FOLLOWS_CHANGES
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.sandbox.dialects import DIALECTS
from redcap_dagster.sandbox.faults import Cost, Status
from redcap_dagster.sensors import change_sensor as sensor
from redcap_dagster.sensors import requested_runs as runs
from redcap_dagster.sensors.cursor import Cursor
from tests.dagster_runs import TOKEN_VARIABLE, Study, studying
from tests.dictionary import field
from tests.execution.test_buckets import METADATA, PROJECT, RECORDS, definitions, run
from tests.sensors.test_project_watch import ID
from tests.waiting import wait_until

STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}


class Ticks:
    """A sensor and its cursor."""

    def __init__(self, study: Study, **options: Any) -> None:
        self.study = study
        self.defs = definitions(study, change_sensor=True, **options)
        self.sensor = self.defs.resolve_sensor_def("study__changes")
        self.resource = self.defs.resources["study__redcap"]  # type: ignore[index]
        self.cursor: str | None = None

    def tick(self) -> Any:
        with dg.build_sensor_context(
            instance=self.study.instance,
            cursor=self.cursor,
            definitions=self.defs,
            resources={"study__redcap": self.resource},
            sensor_name="study__changes",
        ) as context:
            found = self.sensor.evaluate_tick(context)
        self.cursor = found.cursor or self.cursor
        return found

    def run_keys(self) -> list[str]:
        return [str(request.run_key) for request in self.tick().run_requests or []]

    def requested(self) -> set[tuple[str | None, str]]:
        return {
            (request.partition_key, key.to_user_string())
            for request in self.tick().run_requests or []
            for key in request.asset_selection or []
        }


def client(study: Study) -> REDCapClient:
    return REDCapClient(study.sandbox.url, study.token)


def test_an_edit_requests_its_instrument_in_its_bucket(study: Study) -> None:
    ticks = Ticks(study)
    assert not ticks.tick().run_requests
    assert not ticks.tick().run_requests
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    requested = ticks.requested()
    (bucket,) = {partition for partition, _ in requested}
    assert bucket in bucket_keys(4)
    assert {key for _, key in requested} == {
        "study/records/_census",
        "study/records/drug",
        "study/clean/drug",
    }
    assert not ticks.tick().run_requests


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its log is understood.
def test_to_keep_up_costs_few_requests_and_sends_one_bucket(study: Study) -> None:
    ticks = Ticks(study)
    ticks.tick()
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    before = len(study.sandbox.requests)
    (request,) = ticks.tick().run_requests or []
    assert request.tags[FOLLOWS_CHANGES] == "true"
    bucket = str(request.partition_key)
    assert run(study, [bucket]).success
    sent = study.sandbox.requests[before:]
    assert len(sent) <= 15
    exports = [one.parameters for one in sent if one.content == "record"]
    assert any("records" in asked for asked in exports)
    # What names no record lists ids, and no more.
    assert all("records" in asked or "fields" in asked for asked in exports)


def test_without_buckets_there_is_one_request(study: Study) -> None:
    ticks = Ticks(study, count=None)
    ticks.tick()
    client(study).records.delete(["3", "4"])
    (request,) = ticks.tick().run_requests or []
    assert request.partition_key is None
    assert len(request.asset_selection or []) == 5


def test_a_changed_dictionary_requests_everything(study: Study) -> None:
    ticks = Ticks(study)
    ticks.tick()
    typed = [{"field_type": "text", **row} for row in METADATA]
    more = field("weight", "drug")
    client(study).design.import_metadata([*typed, more])
    requested = ticks.requested()
    assert (None, "study/metadata/fields") in requested
    every = {(key, f"study/clean/{form}") for key in bucket_keys(4) for form in ("visit", "drug")}
    assert every <= requested


@pytest.mark.parametrize("rights", [None, {"logging": 0}])
def test_what_changes_again_is_requested_again(
    rights: dict[str, int] | None, tmp_path: Path, redcap_dialect: str
) -> None:
    with studying(
        tmp_path,
        exports={"metadata": METADATA},
        records=RECORDS,
        rights=rights,
        dialect=redcap_dialect,
    ) as study:
        ticks, keys = Ticks(study), list[str]()
        ticks.tick()
        typed = [{"field_type": "text", **row} for row in METADATA]
        for number in range(2):
            client(study).records.import_([{"record_id": "7", "dose": "3"}])
            keys += ticks.run_keys()
            client(study).records.import_([{"record_id": "7", "dose": "4"}])
            keys += ticks.run_keys()
            client(study).records.delete(["9"])
            keys += ticks.run_keys()
            client(study).records.import_([{"record_id": "9", "dose": "3"}])
            keys += ticks.run_keys()
            more = field(f"w{number}", "drug")
            client(study).design.import_metadata([*typed, more])
            keys += ticks.run_keys()
        assert len(keys) >= 2 * (4 + 5)
        assert len(keys) == len(set(keys))


def failed_run(ticks: Ticks, request: dg.RunRequest) -> dg.DagsterRun:
    """Let a run that the sensor requested have failed, as the daemon would launch it."""
    job = ticks.defs.resolve_implicit_global_asset_job_def()
    return ticks.study.instance.create_run_for_job(
        job,
        status=dg.DagsterRunStatus.FAILURE,
        tags={
            "dagster/sensor_name": "study__changes",
            "dagster/partition": str(request.partition_key),
        },
        asset_selection=frozenset(request.asset_selection or ()),
    )


def test_what_a_run_failed_to_store_is_requested_again_after_a_while(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(study)
    ticks.tick()
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    (request,) = ticks.tick().run_requests or []
    failed_run(ticks, request)
    assert not ticks.tick().run_requests
    monkeypatch.setattr(runs, "RETRY_AFTER", timedelta())
    (again,) = ticks.tick().run_requests or []
    assert again.partition_key == request.partition_key
    assert set(again.asset_selection) == set(request.asset_selection)
    assert again.run_key != request.run_key
    # What was stored since, by whatever run, is not asked for any more.
    bucket = str(request.partition_key)
    assert run(study, [bucket], select=["study/records/drug", "study/records/_census"]).success
    (rest,) = ticks.tick().run_requests or []
    assert [key.to_user_string() for key in rest.asset_selection] == ["study/clean/drug"]
    assert run(study, [bucket]).success
    assert not ticks.tick().run_requests


def test_a_run_that_died_does_not_hold_the_sensor_for_ever(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(study)
    ticks.tick()
    job = ticks.defs.resolve_implicit_global_asset_job_def()
    study.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/sensor_name": "study__changes"}
    )
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    assert not ticks.tick().run_requests
    monkeypatch.setattr(runs, "_DEAD_AFTER", timedelta())
    assert ticks.tick().run_requests


def test_records_alone_do_not_take_in_what_changed(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensor, "_MARGIN", -120)  # as if each change were two minutes older
    ticks = Ticks(study, count=None)
    ticks.tick()
    assert study.run(ticks.defs).success
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    assert study.run(ticks.defs, select=["study/records/drug"]).success
    assert ticks.tick().run_requests
    client(study).records.import_([{"record_id": "7", "dose": "4"}])
    assert study.run(ticks.defs).success
    assert not ticks.tick().run_requests


@pytest.mark.parametrize("cursor", ["null", '{"version":0}', "none"])
def test_after_a_cursor_that_cannot_be_read_everything_is_requested_once(
    study: Study, cursor: str
) -> None:
    ticks = Ticks(study)
    ticks.cursor = cursor
    requested = ticks.requested()
    every = {(key, f"study/clean/{form}") for key in bucket_keys(4) for form in ("visit", "drug")}
    assert every <= requested
    assert not ticks.tick().run_requests


TEXTS = st.text(st.characters(exclude_categories=[]))  # surrogates too
STORED = {
    "version": st.just(1) | st.integers(),
    "looked": st.floats() | st.integers() | st.sampled_from([0, 1e18, 10**400]),
    "since": st.sampled_from(["", "0001-01-01 00:00", "9999-12-31 23:59", "2024-02-30 00:00"])
    | st.datetimes().map(lambda time: f"{time:%Y-%m-%d %H:%M}"),
    "newest": TEXTS,
    "buckets": st.just(4) | st.integers(),
    "structure": TEXTS,
    "census": st.none() | st.dictionaries(st.sampled_from(bucket_keys(4)) | TEXTS, st.integers()),
    "seen": st.lists(TEXTS, max_size=3),
}
CURSORS = (
    TEXTS
    | st.fixed_dictionaries({}, optional=STORED).map(json.dumps)
    | st.fixed_dictionaries({**STORED, "version": st.just(1), "buckets": st.just(4)}).map(
        json.dumps
    )
    | st.sampled_from(["[" * 200_000, '{"census":' * 100_000, "9" * 100_000, "\0"])
)


@given(CURSORS)
def test_a_cursor_is_read_as_it_was_written_or_not_at_all(text: str) -> None:
    cursor = Cursor.from_json(text)
    if cursor is not None:
        assert Cursor.from_json(cursor.to_json()) == cursor


def test_any_cursor_gives_a_look_and_a_cursor_that_works(study: Study) -> None:
    """An instant later, the next tick works from the cursor that the tick left."""
    ticks = Ticks(study)
    ticks.tick()
    usual = json.loads(ticks.cursor or "")
    keys = {None, *bucket_keys(4)}

    @settings(max_examples=20)
    @given(
        CURSORS
        | st.sampled_from([*usual]).flatmap(
            lambda name: STORED[name].map(lambda value: json.dumps({**usual, name: value}))
        )
    )
    @example("\ud800")
    @example(json.dumps({**usual, "looked": time.time() - 31 * 86_400}))
    def look(cursor: str) -> None:
        ticks.cursor = cursor
        found = ticks.tick()
        assert found.cursor
        assert "unexpected" not in str(found.skip_message)
        assert {request.partition_key for request in found.run_requests or []} <= keys
        if Cursor.from_json(cursor) is None and cursor:
            assert len(found.run_requests or []) == 5
        assert not ticks.tick().run_requests

    look()


def test_a_byte_that_is_not_utf8_in_the_log_does_not_stop_the_sensor(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with studying(tmp_path, **STUDY, dialect=DIALECTS["php"]) as study:
        ticks = Ticks(study)
        ticks.tick()
        study.sandbox.edit(study.token, record="7", field="dose", value="5\xa0mg")
        study.sandbox.edit(study.token, record="7", field="dose", value="5")  # the log has both
        assert "study/clean/drug" in {key for _, key in ticks.requested()}
        assert "not UTF-8" in "".join(capfd.readouterr())  # the log of the tick
        found = ticks.tick()
        assert not found.run_requests
        assert "Nothing changed. The log was not used" in found.skip_message
        study.sandbox.edit(study.token, record="7", field="dose", value="5\xa0mg")
        assert len(ticks.run_keys()) == 5
        found = ticks.tick()
        assert not found.run_requests
        assert "Everything was requested less than an hour ago" in found.skip_message


def test_a_failure_names_the_project(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = Ticks(study)
    monkeypatch.setenv(TOKEN_VARIABLE, "0" * 32)
    assert ticks.tick().skip_message.startswith("REDCap project study: ")
    monkeypatch.delenv(TOKEN_VARIABLE)
    with pytest.raises(Exception, match="REDCap project study: .*" + TOKEN_VARIABLE):
        ticks.tick()


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its log is understood.
def test_a_census_that_takes_too_long_is_done_without(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_for_first(query: sensor._Query, _: float) -> None:
        """Reach the deadline as soon as something was found, with the census still to come."""
        wait_until(lambda: query.found is not None)

    monkeypatch.setattr(sensor._Query, "join", wait_for_first)
    study.sandbox.inject(Cost(per_record=10), content="record")
    ticks = Ticks(study)
    assert not ticks.tick().run_requests
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    (request,) = ticks.tick().run_requests or []
    assert request.partition_key in bucket_keys(4)
    study.sandbox.clear_faults()
    monkeypatch.undo()
    for thread in threading.enumerate():
        if isinstance(thread, sensor._Query):
            thread.join(60)
            assert not thread.is_alive()


def test_the_same_changes_have_the_same_run_key_and_tell_no_record(study: Study) -> None:
    ticks = Ticks(study)
    ticks.tick()
    before = ticks.cursor
    client(study).records.import_([{"record_id": ID, "dose": "3"}])
    (first,) = ticks.tick().run_requests or []
    ticks.cursor = before  # as if the tick had died before its cursor was kept
    (again,) = ticks.tick().run_requests or []
    assert first.run_key == again.run_key
    assert ID not in f"{first} {ticks.cursor}"


def test_its_own_runs_and_other_exports_are_no_changes(study: Study) -> None:
    ticks = Ticks(study)
    ticks.tick()
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    (request,) = ticks.tick().run_requests or []
    assert run(study, [str(request.partition_key)]).success
    client(study).export_records()
    assert not ticks.tick().run_requests


@pytest.mark.slow
def test_what_a_run_took_in_after_it_changed_is_not_requested(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(study)
    ticks.tick()
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    for key in bucket_keys(4):
        assert run(study, [key]).success
    monkeypatch.setattr(sensor, "_MARGIN", -120)  # as if it had been two minutes before
    result = ticks.tick()
    assert not result.run_requests
    assert result.skip_message == "The changes are already in the tables."


def test_while_a_run_is_on_its_way_nothing_is_asked(study: Study) -> None:
    ticks = Ticks(study)
    ticks.tick()
    job = ticks.defs.resolve_implicit_global_asset_job_def()
    waiting = study.instance.create_run_for_job(
        job,
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/sensor_name": "study__changes"},
    )
    before = len(study.sandbox.requests)
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    asked = len(study.sandbox.requests)
    assert asked > before
    assert not ticks.tick().run_requests
    assert len(study.sandbox.requests) == asked
    study.instance.delete_run(waiting.run_id)
    assert ticks.tick().run_requests


def test_a_server_that_is_down_skips_and_loses_nothing(study: Study) -> None:
    token = dg.EnvVar(TOKEN_VARIABLE)
    ticks = Ticks(study, redcap=REDCapResource(url=study.sandbox.url, token=token, retries=0))
    ticks.tick()
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    study.sandbox.inject(Status(500), content="log", times=1)
    result = ticks.tick()
    assert not result.run_requests
    assert result.skip_message
    assert ticks.tick().run_requests


def test_a_server_that_hangs_cannot_hold_a_tick(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(study)
    ticks.tick()
    monkeypatch.setattr(sensor, "DEADLINE", 0)
    began = time.monotonic()
    result = ticks.tick()
    assert "The next tick tries again" in str(result.skip_message)
    assert time.monotonic() - began < 60
    monkeypatch.undo()
    client(study).records.import_([{"record_id": "7", "dose": "3"}])
    assert ticks.tick().run_requests


def test_sensors_of_many_projects_do_not_ask_at_once() -> None:
    spans = [
        build_redcap_change_sensor(
            name=f"p{n}",
            project=PROJECT,
            assets=[],
        ).minimum_interval_seconds
        for n in range(300)
    ]
    assert {300 <= span <= 360 for span in spans if span} == {True}
    assert len(set(spans)) > 50


def test_what_fails_unforeseen_shows_no_value(
    study: Study, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ticks = Ticks(study)
    ticks.tick()

    def broken(*_: object, **__: object) -> None:
        raise ValueError(f"cannot read {ID}")

    monkeypatch.setattr(sensor, "find_changes", broken)
    found = ticks.tick()
    assert not found.run_requests
    assert "unexpected ValueError at" in found.skip_message
    assert ID not in found.skip_message
    assert ID not in "".join(capfd.readouterr())
