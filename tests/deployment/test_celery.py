"""Steps spread over machines by Celery: Redis hands them out, PostgreSQL keeps Dagster's history.

This is the recipe of docs/how-to/machines.md, on loopback; all share the folder of the tables.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import dagster as dg
import pytest

from redcap_dagster.sandbox.faults import Meanwhile
from tests.dagster_runs import studying
from tests.deployment.databases import postgresql, redis
from tests.deployment.deployment import REPOSITORY, Deployment
from tests.deployment.location import (
    BROKER,
    ONCE_A_RUN,
    STUDY,
    Spread,
    assert_same,
    in_one_process,
)
from tests.deployment.programs import PATIENCE

DATABASE = "DAGSTER_DATABASE"
RECIPE = REPOSITORY / "docs" / "how-to" / "machines.md"
ONE_STEP_AT_A_TIME = ("--", "--concurrency", "1", "--disable-prefetch")


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run Redis and PostgreSQL, and say where they are."""
    with redis() as broker, postgresql() as database:
        monkeypatch.setenv(BROKER, broker)
        monkeypatch.setenv(DATABASE, database)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("servers")
def test_two_workers_make_the_tables_of_one_process(tmp_path: Path) -> None:
    with studying(tmp_path, **STUDY) as study:
        one = in_one_process(study, "parquet", tmp_path / "one")
        many = Spread(study.sandbox.url, "parquet", str(tmp_path / "many"), 4, by_celery=True)
        deployment = Deployment.make(tmp_path / "home", many, of_recipe("dagster.yaml"))
        # The first two wait for each other, and a worker has room for one: so both have to work.
        two = Barrier(2, timeout=PATIENCE / 2)
        study.sandbox.inject(Meanwhile(two.wait), content=ONCE_A_RUN, times=2)
        with worker(deployment, "a"), worker(deployment, "b"):
            runs = deployment.backfill()
    steps = [step for log in runs for step in executed(log)]
    assert Counter(step for step, _ in steps) == {"study__tables": 4, "adults": 4}
    assert {name.split("@")[0] for _, name in steps} == {"a", "b"}
    assert_same(many, one)


def of_recipe(file: str) -> str:
    """Give the file that the recipe tells to write: the first block with its name."""
    block = re.search(rf"^```yaml\n# {file}\n(.*?)^```", RECIPE.read_text(), re.M | re.S)
    assert block is not None
    return block[1]


@contextmanager
def worker(deployment: Deployment, name: str) -> Iterator[None]:
    """Run a worker, as a machine of its own would."""
    settings = deployment.home / "celery.yaml"
    settings.write_text(of_recipe("celery.yaml"))
    with deployment.running(
        "dagster-celery", "worker", "start", "-A", "dagster_celery.app", "-y", settings,
        "-n", name, *ONE_STEP_AT_A_TIME,
    ) as program:  # fmt: skip
        program.wait_until(lambda line: line.endswith(" ready.\n"))
        yield


def executed(log: Iterable[dg.EventLogEntry]) -> Iterator[tuple[str, str]]:
    """Name the steps that workers executed in a run, each with its worker."""
    for event in (entry.dagster_event for entry in log):
        if event is not None and event.is_engine_event:
            told = event.engine_event_data.metadata
            if "Celery worker" in told:
                yield str(event.step_key), str(told["Celery worker"].value)
