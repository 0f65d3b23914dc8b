"""When tables are materialized, and how old they may be: conditions, schedules, freshness."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg
from pydantic import Field

from redcap_dagster.dagster_private import is_valid_cron_schedule
from redcap_dagster.options import option, shown_name, written_as
from redcap_dagster.project.name_lists import list_names

SPAN = re.compile(r"(\d+)\s*([mhdw])")
"""How a span of time is written, such as 36h."""

FOLLOWS_CHANGES = "redcap/follows_changes"
"""Tag of runs that the change sensor requests: what they do not export did not change."""

# For a schema of YAML, which sees templates as they stand.
SpanText = Annotated[str, Field(json_schema_extra=written_as(SPAN), examples=["36h"])]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def on_change() -> dg.AutomationCondition[Any]:
    """Return the condition that materializes an asset when the data it is made from changed.

    `dagster.AutomationCondition.eager` materializes it whenever an upstream asset was materialized.
    A nightly schedule materializes all tables of a project, most of them with unchanged data. This
    condition compares their data versions, so unchanged data do not trigger the asset.

    Use it for your own assets that depend on the tables of a project. Used for the tables
    themselves (option ``automation``), it materializes records when the dictionary changed, and
    clean tables when records changed. It does not detect changes inside REDCap: use a schedule or
    the change sensor. It never materializes an asset for the first time.

    Dagster evaluates conditions while its sensor ``default_automation_condition_sensor`` is on. It
    is off by default; switch it on in the UI, under Automation.

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
    """Return a freshness policy for a table with a maximum age, such as ``36h``.

    Args:
        fail_after: Age from which the table fails: a number and ``m``, ``h``, ``d`` or ``w``.
        warn_after: Age from which the table warns. Defaults to no warning.

    Raises:
        ValueError: One of them is not a span of time.

    Example:
        >>> policy = fresh_within("36h", warn_after="1d")
        >>> policy.warn_window.to_timedelta()
        datetime.timedelta(days=1)
    """
    warning = None if warn_after is None else time_span(warn_after)
    return dg.FreshnessPolicy.time_window(time_span(fail_after), warning)


@option
class FreshnessSettings:
    """How old the tables of a project may be; for `build_redcap_definitions`.

    Attributes:
        fail_after: Age from which a table fails: a number and ``m``, ``h``, ``d`` or ``w``, such as
            ``36h``.
        warn_after: Age from which a table warns, written the same way. Defaults to no warning.

    Raises:
        ValueError: One of them is not a span of time.

    Example:
        >>> FreshnessSettings("36h", warn_after="1d").policy().warn_window.to_timedelta()
        datetime.timedelta(days=1)
    """

    fail_after: SpanText
    warn_after: SpanText | None = None

    def __post_init__(self) -> None:
        self.policy()

    def policy(self) -> dg.FreshnessPolicy:
        """Return Dagster's policy."""
        return fresh_within(self.fail_after, self.warn_after)


@option
class ScheduleSettings:
    """When all tables of a project are materialized; for `build_redcap_definitions`.

    Attributes:
        cron: Cron expression, such as ``0 3 * * *``.
        timezone: Time zone of the expression, such as ``Europe/Berlin``. Defaults to ``UTC``.
        default_status: ``RUNNING`` starts the schedule without the switch in Dagster's UI. Defaults
            to ``STOPPED``.

    Raises:
        ValueError: ``cron`` is not a cron expression, or ``timezone`` not the name of a time zone.

    Example:
        >>> schedule = ScheduleSettings("0 3 * * *", timezone="Europe/Berlin")
        >>> schedule.definition("trial", []).name
        'trial__schedule'
    """

    cron: str
    timezone: str = "UTC"
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED

    def __post_init__(self) -> None:
        check_cron(self.cron, self.timezone)

    def definition(self, name: str, assets: Sequence[dg.AssetsDefinition]) -> dg.ScheduleDefinition:
        """Return the schedule ``NAME__schedule`` of a project's assets.

        Partitioned records get one run for each bucket, or for as many buckets as their backfill
        policy allows.

        Args:
            name: Name of the project in Dagster.
            assets: What `build_redcap_assets_definitions` returned.
        """
        selection = dg.AssetSelection.assets(*(key for each in assets for key in each.keys))
        what = _describe_tables(name, assets)
        # The name of a job is what Dagster shows as the target; else it shows each key.
        job = dg.define_asset_job(
            f"{name}__all_tables", selection, description=f"Materializes {what}."
        )

        def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
            tick = context.scheduled_execution_time.isoformat()
            for each in assets:
                yield from _request_all(each, tick)

        partitioned = any(each.partitions_def for each in assets)
        return dg.ScheduleDefinition(
            name=f"{name}__schedule",
            target=job,
            description=f"Exports from REDCap and materializes {what}.",
            cron_schedule=self.cron,
            execution_timezone=self.timezone,
            default_status=self.default_status,
            execution_fn=requests if partitioned else None,
        )


@option
class ChangeSensorSettings:
    """How often the sensor queries REDCap for changes; for `build_redcap_definitions`.

    Attributes:
        every: Seconds between two ticks of the sensor; see `build_redcap_change_sensor`. Defaults
            to 300.
        default_status: ``RUNNING`` starts the sensor without the switch in Dagster's UI. Defaults
            to ``STOPPED``.

    Raises:
        ValueError: ``every`` is less than a second.

    Example:
        >>> ChangeSensorSettings(every=600).default_status.name
        'STOPPED'
    """

    every: Annotated[int, Field(ge=1)] = 300
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED


def automation_condition(
    automation: dg.AutomationCondition[Any] | Literal["on_change"] | None,
) -> dg.AutomationCondition[Any] | None:
    """Return the automation condition that an option stands for.

    Args:
        automation: A condition, or ``on_change`` for `on_change`.

    Raises:
        ValueError: It is neither.
    """
    if automation is None or isinstance(automation, dg.AutomationCondition):
        return automation
    if automation == "on_change":
        return on_change()
    raise ValueError("automation: give a dagster.AutomationCondition, or 'on_change'.")


def _describe_tables(name: str, assets: Sequence[dg.AssetsDefinition]) -> str:
    """Return what the tables of a project are, in words."""
    specs = [spec for each in assets for spec in each.specs]
    clean = [spec for spec in specs if spec.metadata.get("redcap/layer") == "clean"]
    instruments = list_names([str(spec.metadata["redcap/table"]) for spec in clean])
    return (
        f"all tables of {name}: the structure of the project, the census, and the records and "
        f"clean tables of its instruments ({instruments})"
    )


def _request_all(assets: dg.AssetsDefinition, tick: str) -> Iterator[dg.RunRequest]:
    """Request every partition, as many in one run as the backfill policy allows."""
    keys = list(assets.keys)
    if assets.partitions_def is None:
        yield dg.RunRequest(run_key=f"{tick}-{assets.node_def.name}", asset_selection=keys)
        return
    partitions = assets.partitions_def.get_partition_keys()
    policy = assets.backfill_policy or dg.BackfillPolicy.multi_run()
    per_run = policy.max_partitions_per_run or len(partitions)
    for first in range(0, len(partitions), per_run):
        some = partitions[first : first + per_run]
        range_tags = {
            "dagster/asset_partition_range_start": some[0],
            "dagster/asset_partition_range_end": some[-1],
        }
        yield dg.RunRequest(
            run_key=f"{tick}-{some[0]}",
            asset_selection=keys,
            partition_key=some[0] if len(some) == 1 else None,
            tags=range_tags if len(some) > 1 else {},
        )


def check_cron(cron: str, timezone: str) -> None:
    """Raise `ValueError` for what is not a cron expression, or not the name of a time zone."""
    if not is_valid_cron_schedule(cron):
        raise ValueError(
            "cron: it is not a cron expression. Write five fields, such as 0 3 * * * for every day "
            "at 3:00."
        )
    try:
        ZoneInfo(timezone)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ValueError(
            "timezone: it is not the name of a time zone, such as Europe/Berlin. Correct it; where "
            "every name is refused, install tzdata."
        ) from None


def time_span(text: str) -> timedelta:
    """Return the `timedelta` of a span of time, such as ``36h``.

    Raises:
        ValueError: The text is not a span of time.

    Example:
        >>> time_span("36h")
        datetime.timedelta(days=1, seconds=43200)
    """
    match = SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{shown_name(text)!r} is not a span of time. Write a number and m, h, d or w, such as "
            "36h."
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
