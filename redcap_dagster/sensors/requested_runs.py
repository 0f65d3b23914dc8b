"""The runs that a change sensor requested: those in progress, and those that failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

RETRY_AFTER = timedelta(hours=1)
"""Time between the failure of a run and the next request for what it did not store."""

_DEAD_AFTER = timedelta(days=1)
"""Time without a change of state after which a run is considered dead."""

_MAX_RUNS = 500
"""Number of runs that are inspected, newest first."""

_ACTIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

_DONE = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED}


@dataclass(frozen=True)
class FailedRun:
    """The assets that a run failed to store, and that no other run has stored since.

    Attributes:
        run_id: Id of the run.
        bucket: Partition; blank without partitions.
        keys: Keys of the assets.
    """

    run_id: str
    bucket: str
    keys: tuple[dg.AssetKey, ...]


def has_active_runs(context: dg.SensorEvaluationContext) -> bool:
    """Return whether runs that the sensor requested are in progress."""
    alive = datetime.now(UTC) - _DEAD_AFTER
    active = dg.RunsFilter(tags=_build_tags(context), statuses=_ACTIVE, updated_after=alive)
    return bool(context.instance.get_runs(active, limit=1))


def find_failed_runs(context: dg.SensorEvaluationContext, now: datetime) -> Iterator[FailedRun]:
    """Yield the runs of the sensor that failed at least an hour ago, with what they did not store.

    Their changes are before the sensor's cursor: nothing else would request them again. Only the
    newest run of each table counts, and a run that somebody canceled is not requested again.

    Args:
        context: Context of a tick, without runs in progress.
        now: Current time in UTC.
    """
    seen: set[tuple[str, dg.AssetKey]] = set()
    for record in context.instance.get_run_records(
        dg.RunsFilter(tags=_build_tags(context)), limit=_MAX_RUNS
    ):
        run = record.dagster_run
        bucket = run.tags.get("dagster/partition", "")
        assets = {key for key in run.asset_selection or () if (bucket, key) not in seen}
        seen |= {(bucket, key) for key in assets}
        ended = record.update_timestamp.replace(tzinfo=UTC)
        if run.status in _DONE or now - ended < RETRY_AFTER:
            continue
        created = record.create_timestamp.replace(tzinfo=UTC)
        missing = sorted(key for key in assets if not _is_stored(context, key, bucket, created))
        if missing:
            yield FailedRun(run.run_id, bucket, tuple(missing))


def _build_tags(context: dg.SensorEvaluationContext) -> dict[str, str]:
    """Return the tags of the runs that the sensor requested."""
    return {"dagster/sensor_name": context.sensor_name}


def _is_stored(
    context: dg.SensorEvaluationContext, key: dg.AssetKey, bucket: str, since: datetime
) -> bool:
    """Return whether an asset has been materialized since a time."""
    recent = dg.AssetRecordsFilter(
        key, asset_partitions=[bucket] if bucket else None, after_timestamp=since.timestamp()
    )
    return bool(context.instance.fetch_materializations(recent, limit=1).records)
