"""What wakes an asset, on an instance that keeps its history in files; spans of time."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import fresh_within, on_change
from redcap_dagster.api import REDCapClient
from redcap_dagster.automation import time_span
from tests.dagster_runs import Study, studying
from tests.dictionary import field

VISIT = dg.AssetKey(["study", "clean", "visit"])
STUDY: dict[str, Any] = {
    "exports": {
        "metadata": [
            field("id", "base"),
            field("weight"),
        ]
    },
    "records": [{"id": "1", "weight": "70", "base_complete": "2", "visit_complete": "2"}],
}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with (
        dg.instance_for_test(temp_dir=str(tmp_path)) as instance,
        studying(tmp_path, **STUDY) as study,
    ):
        yield replace(study, instance=instance)


def _change(study: Study, weight: str) -> None:
    """Type another weight into REDCap."""
    client = REDCapClient(study.sandbox.url, study.token)
    client.records.import_([{"id": "1", "weight": weight}])


@dg.asset(deps=[VISIT], automation_condition=dg.AutomationCondition.eager())
def woken_by_any_run() -> None: ...


@dg.asset(deps=[VISIT], automation_condition=on_change())
def woken_by_change() -> None: ...


@dataclass
class Daemon:
    """Evaluates conditions tick by tick, and runs what they ask for."""

    study: Study
    definitions: dg.Definitions
    cursor: Any = dataclasses.field(default=None)

    def tick(self, time: datetime | None = None) -> set[str]:
        """Name what is asked for, now or at another time."""
        result = dg.evaluate_automation_conditions(
            self.definitions, self.study.instance, cursor=self.cursor, evaluation_time=time
        )
        self.cursor = result.cursor
        return {
            key.to_user_string()
            for key in self.definitions.resolve_all_asset_keys()
            if result.get_num_requested(key)
        }

    def tick_and_run(self) -> set[str]:
        """Name what is asked for, and run it."""
        asked = self.tick()
        if asked:
            assert self.study.run(self.definitions, select=sorted(asked)).success
        return asked


@pytest.fixture
def downstream(study: Study) -> Daemon:
    """Two assets of a user's own, up to date."""
    own = dg.Definitions(assets=[woken_by_any_run, woken_by_change])
    daemon = Daemon(study, dg.Definitions.merge(study.definitions(), own))
    daemon.tick()
    assert study.run(daemon.definitions).success
    assert daemon.tick() == set()
    return daemon


def test_the_same_data_wakes_eager_alone_and_changed_data_both(downstream: Daemon) -> None:
    tables = ["study/records/visit", "study/clean/visit"]
    downstream.study.run(downstream.definitions, select=tables)
    assert downstream.tick_and_run() == {"woken_by_any_run"}
    assert downstream.tick() == set()
    _change(downstream.study, "71")
    downstream.study.run(downstream.definitions, select=tables)
    assert downstream.tick_and_run() == {"woken_by_any_run", "woken_by_change"}
    assert downstream.tick() == set()


def test_changed_data_wakes_nothing_that_the_same_run_made(downstream: Daemon) -> None:
    _change(downstream.study, "71")
    assert downstream.study.run(downstream.definitions).success
    assert downstream.tick() == set()


def test_a_projects_own_tables_follow_what_they_are_made_from(study: Study) -> None:
    daemon = Daemon(study, study.definitions(automation=on_change()))
    daemon.tick()
    assert study.run(daemon.definitions).success
    assert daemon.tick() == set()
    _change(study, "71")
    study.run(daemon.definitions, select=["study/records/base", "study/records/visit"])
    assert daemon.tick() == {"study/clean/visit"}


def test_a_tick_of_the_clock_wakes_all_tables_at_once(study: Study) -> None:
    condition = dg.AutomationCondition.on_cron("0 3 * * *", "Europe/Berlin")
    daemon = Daemon(study, study.definitions(automation=condition))
    assert daemon.tick(datetime(2026, 7, 1, 0, 59, tzinfo=UTC)) == set()
    everything = {key.to_user_string() for key in daemon.definitions.resolve_all_asset_keys()}
    assert daemon.tick(datetime(2026, 7, 1, 1, 1, tzinfo=UTC)) == everything
    assert daemon.tick(datetime(2026, 7, 1, 1, 2, tzinfo=UTC)) == set()


@pytest.mark.parametrize(
    ("text", "hours"), [("90m", 1.5), ("36h", 36), ("2d", 48), ("1w", 168), (" 12 h ", 12)]
)
def test_spans_of_time(text: str, hours: float) -> None:
    assert time_span(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "36", "h", "-1h", "1.5h", "1 month"])
def test_no_spans_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="36h"):
        time_span(text)


def test_freshness_in_plain_words() -> None:
    assert fresh_within("36h") == dg.FreshnessPolicy.time_window(timedelta(hours=36))
    assert fresh_within("2d", warn_after="1d") == dg.FreshnessPolicy.time_window(
        timedelta(days=2), timedelta(days=1)
    )
