"""A Dagster of its own, whose daemon, runs and workers are processes."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from tests.deployment import location
from tests.deployment.location import ALL, KEYS, Spread
from tests.deployment.programs import Program, running

REPOSITORY = Path(__file__).parents[2]
FOUR_RUNS = """\
concurrency:
  runs:
    max_concurrent_runs: 4
"""
NO_TELEMETRY = """\
telemetry:
  enabled: false
"""
BACKFILL = "backfill"
ENDED = {
    BulkActionStatus.COMPLETED_SUCCESS,
    BulkActionStatus.COMPLETED_FAILED,
    BulkActionStatus.FAILED,
}


@dataclass(frozen=True)
class Deployment:
    """What the processes of a Dagster have in common."""

    home: Path
    spread: Spread

    @classmethod
    def make(cls, home: Path, spread: Spread, settings: str = FOUR_RUNS) -> "Deployment":
        """Make its home, with what is to be in ``dagster.yaml``."""
        home.mkdir()
        (home / "dagster.yaml").write_text(settings + NO_TELEMETRY)
        return cls(home, spread)

    @contextmanager
    def running(self, program: str, *arguments: str | Path) -> Iterator[Program]:
        """Run one of the programs that are installed beside Python."""
        beside = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
            "DAGSTER_HOME": str(self.home),
            "SPREAD": json.dumps(asdict(self.spread)),
        }
        with running(beside / program, *arguments, folder=REPOSITORY, env=environment) as started:
            yield started

    def backfill(self) -> Sequence[Sequence[dg.EventLogEntry]]:
        """Launch all buckets of all tables as the UI does, and give the log of each of the runs.

        The daemon takes it up, and starts a process for each run.
        """
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            asked = PartitionBackfill.from_asset_partitions(
                backfill_id=BACKFILL,
                asset_graph=self.spread.definitions().resolve_asset_graph(),
                partition_names=KEYS,
                asset_selection=[dg.AssetKey.from_user_string(name) for name in ALL],
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
            instance.add_backfill(asked)
            with self.running("dagster-daemon", "run", "-m", location.__name__) as daemon:
                daemon.wait_until(lambda _: _status(instance) in ENDED)
            assert _status(instance) is BulkActionStatus.COMPLETED_SUCCESS
            runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": BACKFILL}))
            return [instance.all_logs(run.run_id) for run in runs]


def _status(instance: dg.DagsterInstance) -> BulkActionStatus:
    found = instance.get_backfill(BACKFILL)
    assert found is not None
    return found.status
