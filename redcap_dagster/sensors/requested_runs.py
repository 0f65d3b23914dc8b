"""The runs that a change sensor requested: those on their way, and those that failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

AGAIN = timedelta(hours=1)
"""How long after a run failed what it did not store is requested again."""

_DEAD = timedelta(days=1)
"""A run whose state has not changed for so long is taken for one that died without a word."""

_MOST = 500
"""Runs that are looked at, the newest first."""

_ON_THEIR_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

_SETTLED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED}


@dataclass(frozen=True)
class Unfinished:
    """What a run that failed did not store, and nothing else has stored since.

    Attributes:
        run_id: The run.
        bucket: The partition; blank where there is none.
        keys: The assets.
    """

    run_id: str
    bucket: str
    keys: tuple[dg.AssetKey, ...]


def are_on_their_way(context: dg.SensorEvaluationContext) -> bool:
    """Whether runs that this sensor requested have not ended: their tables are about to change."""
    alive = datetime.now(UTC) - _DEAD
    wanted = dg.RunsFilter(tags=_of(context), statuses=_ON_THEIR_WAY, updated_after=alive)
    return bool(context.instance.get_runs(wanted, limit=1))


def unfinished(context: dg.SensorEvaluationContext, now: datetime) -> Iterator[Unfinished]:
    """Give what runs of this sensor failed to store, an hour after they failed.

    The change that asked for it is behind the sensor's mark by then: nothing else would. Of a
    table, its newest run tells. A run that somebody cancelled was not wanted. None is on its way.
    """
    told: set[tuple[str, dg.AssetKey]] = set()
    for record in context.instance.get_run_records(dg.RunsFilter(tags=_of(context)), limit=_MOST):
        run = record.dagster_run
        bucket = run.tags.get("dagster/partition", "")
        own = {key for key in run.asset_selection or () if (bucket, key) not in told}
        told |= {(bucket, key) for key in own}
        ended = record.update_timestamp.replace(tzinfo=UTC)
        if run.status in _SETTLED or now - ended < AGAIN:
            continue
        began = record.create_timestamp.replace(tzinfo=UTC)
        lacking = sorted(key for key in own if not _is_stored(context, key, bucket, began))
        if lacking:
            yield Unfinished(run.run_id, bucket, tuple(lacking))


def _of(context: dg.SensorEvaluationContext) -> dict[str, str]:
    return {"dagster/sensor_name": context.sensor_name}


def _is_stored(
    context: dg.SensorEvaluationContext, key: dg.AssetKey, bucket: str, since: datetime
) -> bool:
    wanted = dg.AssetRecordsFilter(
        key, asset_partitions=[bucket] if bucket else None, after_timestamp=since.timestamp()
    )
    return bool(context.instance.fetch_materializations(wanted, limit=1).records)
