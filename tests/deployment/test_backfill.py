"""A backfill of a project in buckets: four runs at a time, each a process of its own."""

from pathlib import Path
from threading import Barrier

import pytest

from redcap_dagster.sandbox.faults import Meanwhile
from tests.dagster_runs import studying
from tests.deployment.deployment import Deployment
from tests.deployment.location import (
    KEYS,
    ONCE_A_RUN,
    STUDY,
    Spread,
    assert_same,
    in_one_process,
)
from tests.deployment.programs import PATIENCE


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "per_run"), [("duckdb", 2), ("parquet", 4)])
def test_four_runs_at_once_make_the_tables_of_one_process(
    kind: str, per_run: int, tmp_path: Path
) -> None:
    with studying(tmp_path, **STUDY) as study:
        one = in_one_process(study, kind, tmp_path / "one")
        many = Spread(study.sandbox.url, kind, str(tmp_path / "many"), per_run)
        four = Barrier(4, timeout=PATIENCE / 2)
        study.sandbox.inject(Meanwhile(four.wait), content=ONCE_A_RUN)  # None goes on alone.
        runs = Deployment.make(tmp_path / "home", many).backfill()
    assert len(runs) == len(KEYS) / per_run
    assert_same(many, one)
