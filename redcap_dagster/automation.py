"""When tables are made anew, and how old they may be: conditions, schedules, freshness."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg

SPAN = re.compile(r"(\d+)\s*([mhdw])")
"""How a span of time is written."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def on_change() -> dg.AutomationCondition[Any]:
    """Give the condition that makes an asset anew when what it is made from has changed.

    `dagster.AutomationCondition.eager` does so whenever an upstream asset was materialized. The
    tables of a project are materialized night after night, mostly with the data of the night
    before; their data versions say so, and this condition looks at those.

    Give it to assets of yours that are made from the tables of a project. Given to these tables
    (as the option ``automation_condition``), it makes records anew where the dictionary changed,
    and clean tables where records did: what changes in REDCap itself only an export can tell, for
    which there are schedules and sensors. The first time is not its business.

    Dagster evaluates conditions where its sensor ``default_automation_condition_sensor`` is
    switched on; it is off by default.

    Returns:
        The condition, which can be combined with others.

    Example:
        >>> @dg.asset(deps=[["trial", "clean", "visit"]], automation_condition=on_change())
        ... def report() -> None: ...
    """
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    return (
        dg.AutomationCondition.eager().replace("any_deps_updated", changed).with_label("on_change")
    )


def fresh_within(fail_after: str, warn_after: str | None = None) -> dg.FreshnessPolicy:
    """Say in plain words how old a table may be.

    Args:
        fail_after: Older than this is a failure: a number and ``m``, ``h``, ``d`` or ``w``.
        warn_after: Older than this is a warning.

    Raises:
        ValueError: One of them is no span of time.

    Example:
        >>> policy = fresh_within("36h", warn_after="1d")
        >>> policy.warn_window.to_timedelta()
        datetime.timedelta(days=1)
    """
    warning = None if warn_after is None else time_span(warn_after)
    return dg.FreshnessPolicy.time_window(time_span(fail_after), warning)


@dataclass(frozen=True)
class REDCapSchedule:
    """When all tables of a project are made anew; for `build_redcap_definitions`.

    Attributes:
        cron: A cron expression.
        timezone: Its time zone, such as ``Europe/Berlin``.
        default_status: ``RUNNING`` starts it without being switched on in the UI.

    Example:
        >>> schedule = REDCapSchedule("0 3 * * *", timezone="Europe/Berlin")
        >>> schedule.definition("trial", []).name
        'trial__schedule'
    """

    cron: str
    timezone: str = "UTC"
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED

    def definition(self, name: str, assets: Sequence[dg.AssetsDefinition]) -> dg.ScheduleDefinition:
        """Give the schedule ``NAME__schedule`` of a project's assets.

        Records in buckets have a run for each bucket, or for as many as their backfill policy says.
        """
        keys = [key for made in assets for key in made.keys]

        def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
            tick = context.scheduled_execution_time.isoformat()
            for made in assets:
                yield from _whole(made, tick)

        partitioned = any(made.partitions_def for made in assets)
        return dg.ScheduleDefinition(
            name=f"{name}__schedule",
            target=dg.AssetSelection.assets(*keys),
            cron_schedule=self.cron,
            execution_timezone=self.timezone,
            default_status=self.default_status,
            execution_fn=requests if partitioned else None,
        )


@dataclass(frozen=True)
class REDCapChangeSensor:
    """How often REDCap is asked what changed; for `build_redcap_definitions`.

    Attributes:
        every: Seconds from one time to the next; see `build_redcap_change_sensor`.
        default_status: ``RUNNING`` starts it without being switched on in the UI.

    Raises:
        ValueError: Less than a second.

    Example:
        >>> REDCapChangeSensor(every=600).default_status.name
        'STOPPED'
    """

    every: int = 300
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: give seconds, from 1 on; got {self.every}.")


def _whole(assets: dg.AssetsDefinition, tick: str) -> Iterator[dg.RunRequest]:
    """Request all of some assets, as many partitions in a run as their backfill policy says."""
    keys = list(assets.keys)
    if assets.partitions_def is None:
        yield dg.RunRequest(run_key=f"{tick}-{assets.node_def.name}", asset_selection=keys)
        return
    partitions = assets.partitions_def.get_partition_keys()
    policy = assets.backfill_policy or dg.BackfillPolicy.multi_run()
    in_a_run = policy.max_partitions_per_run or len(partitions)
    for first in range(0, len(partitions), in_a_run):
        some = partitions[first : first + in_a_run]
        of_several = {
            "dagster/asset_partition_range_start": some[0],
            "dagster/asset_partition_range_end": some[-1],
        }
        yield dg.RunRequest(
            run_key=f"{tick}-{some[0]}",
            asset_selection=keys,
            partition_key=some[0] if len(some) == 1 else None,
            tags=of_several if len(some) > 1 else {},
        )


def time_span(text: str) -> timedelta:
    """Read a span of time in plain words.

    Raises:
        ValueError: It is none.

    Example:
        >>> time_span("36h")
        datetime.timedelta(days=1, seconds=43200)
    """
    match = SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no span of time: write a number and m, h, d or w, as 36h.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
