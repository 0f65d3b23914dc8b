"""A study in 16 buckets: the code location of it that Dagster's processes load, and its tables."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.testing import assert_frame_equal

from redcap_dagster import OpSettings, PartitionSettings, REDCapResource, build_redcap_definitions
from redcap_dagster.frames import to_frame
from redcap_dagster.io_managers import TableIOManager, TablePlace
from redcap_dagster.partitions import BUCKET, assign_buckets, bucket_keys, buckets
from tests.dagster_runs import TOKEN_VARIABLE, Study
from tests.deployment.programs import PATIENCE
from tests.execution.killable_run import io_manager
from tests.execution.test_buckets import METADATA, PROJECT, TABLES, run

KEYS = bucket_keys(16)
ALL = [*TABLES, "adults"]
STUDY: Mapping[str, Any] = {
    "exports": {"metadata": METADATA},
    "records": [
        {"record_id": str(n), "age": str(20 + n % 70), "note": f"n{n}" * (n % 3), "dose": f"{n}.5"}
        for n in range(1, 401)
    ],
}
ONCE_A_RUN = "exportFieldNames"
"""What a run asks REDCap for just once."""
BROKER = "CELERY_BROKER"


@dataclass(frozen=True)
class Spread:
    """How the study is spread: over runs of so many buckets, and by Celery where it is used."""

    url: str
    kind: str
    folder: str
    buckets_per_run: int | None = None
    by_celery: bool = False

    def definitions(self) -> dg.Definitions:
        policy = dg.BackfillPolicy(self.buckets_per_run)
        token = dg.EnvVar(TOKEN_VARIABLE)
        tables = build_redcap_definitions(
            name="study",
            # It does not answer before others have asked, which takes as long as it takes.
            redcap=REDCapResource(url=self.url, token=token, read_timeout=PATIENCE),
            project=PROJECT,
            partitions=PartitionSettings(buckets=16),
            op=OpSettings(backfill_policy=policy),
            storage=self._tables(),
        )
        executor = _celery() if self.by_celery else dg.in_process_executor
        own = dg.Definitions(assets=[adults(policy)], executor=executor)
        return dg.Definitions.merge(tables, own)

    def stored(self) -> Mapping[str, pd.DataFrame]:
        """Load all buckets of all tables, in their order, and see that nothing else is there."""
        places = {name: TablePlace(dg.AssetKey.from_user_string(name)) for name in ALL}
        found = {name: self._tables().read_table(place, KEYS) for name, place in places.items()}
        for name, place in places.items():
            assert len(self._tables().read_table(place, None)) == len(found[name])
        return {name: to_frame(table) for name, table in found.items()}

    def _tables(self) -> TableIOManager:
        return io_manager(self.kind, Path(self.folder))


def adults(policy: dg.BackfillPolicy) -> dg.AssetsDefinition:
    """Give a step that begins with what another step has stored."""

    @dg.asset(
        partitions_def=buckets(16),
        ins={"visit": dg.AssetIn(["study", "clean", "visit"])},
        io_manager_key="study__io_manager",
        backfill_policy=policy,
    )
    def adults(visit: pa.Table) -> pa.Table:
        found = visit.filter(pc.greater(visit["age"], 30))
        return found.append_column(BUCKET, assign_buckets(found["record_id"], 16))

    return adults


def _celery() -> dg.ExecutorDefinition:
    from dagster_celery import celery_executor

    return celery_executor.configured({"broker": {"env": BROKER}, "backend": {"env": BROKER}})


@dg.definitions
def defs() -> dg.Definitions:
    return Spread(**json.loads(os.environ["SPREAD"])).definitions()


def in_one_process(study: Study, kind: str, folder: Path) -> Spread:
    """Materialize all tables in this process, in a single run."""
    one = Spread(study.sandbox.url, kind, str(folder))
    assert run(study, KEYS, one.definitions(), ALL).success
    return one


def assert_same(many: Spread, one: Spread) -> None:
    """Hold the tables of many runs against those of one, row by row."""
    found, expected = many.stored(), one.stored()
    assert [len(expected[name]) for name in TABLES] == [len(STUDY["records"])] * len(TABLES)
    for name in ALL:
        assert_frame_equal(found[name], expected[name])
