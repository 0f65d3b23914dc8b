"""What the YAML of a component can say, beyond plain values."""

import re
from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import CleaningRules

_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_]\w*)\s*\}\}")
_SPAN = re.compile(r"(\d+)\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Cleaning(dg.Model):
    """How records become clean tables; see `redcap_dagster.CleaningRules`."""

    missing_values: list[str] = Field(
        default=["?"], description="Markers that people type for a missing value."
    )
    labels: Literal["labels", "codes", "both"] = Field(
        default="labels", description="What columns of radio and dropdown fields hold."
    )
    checkboxes: Literal["columns", "lists"] = Field(
        default="columns", description="Whether a checkbox is a column for each option or a list."
    )
    missing_reasons: bool = Field(
        default=False, description="Give each field a second column that says why a cell is null."
    )
    infer_types: bool = Field(
        default=True, description="Whether text fields that hold only numbers become numbers."
    )
    types: dict[str, str] = Field(
        default={}, description="Field name to type, such as text or integer; overrules the rest."
    )
    keep_unsaved: bool = Field(default=False, description="Keep rows of forms never saved.")

    def rules(self) -> CleaningRules:
        """Give the rules."""
        return CleaningRules(**self.model_dump())


class Storage(dg.Model):
    """Where the tables of a project are kept: one of the two."""

    duckdb: str | None = Field(default=None, description="Path of a DuckDB file.")
    parquet: str | None = Field(default=None, description="A folder, or a URL such as s3://...")

    def io_manager(self) -> dg.ConfigurableIOManager:
        """Give the IO manager."""
        if (self.duckdb is None) == (self.parquet is None):
            raise ValueError("storage: give either duckdb or parquet.")
        if self.duckdb is not None:
            return DuckDBTableIOManager(database=self.duckdb)
        return ParquetTableIOManager(base_path=self.parquet)


class Retries(dg.Model):
    """When an op fails as a whole."""

    max_retries: int = Field(default=1, description="How often it is tried again.")
    delay: float = Field(default=60, description="Seconds before it is.")

    def policy(self) -> dg.RetryPolicy:
        """Give the policy."""
        return dg.RetryPolicy(max_retries=self.max_retries, delay=self.delay)


class Freshness(dg.Model):
    """How old the tables may be, in plain words: 90m, 36h, 2d, 1w."""

    fail_after: str = Field(description="Older than this is a failure.", examples=["36h"])
    warn_after: str | None = Field(default=None, description="Older than this is a warning.")

    def policy(self) -> dg.FreshnessPolicy:
        """Give the policy."""
        warn = None if self.warn_after is None else time_span(self.warn_after)
        return dg.FreshnessPolicy.time_window(time_span(self.fail_after), warn)


class Schedule(dg.Model):
    """When all tables of the project are made anew."""

    cron: str = Field(description="A cron expression.", examples=["0 3 * * *"])
    timezone: str | None = Field(default=None, description="Its time zone; UTC by default.")
    default_status: Literal["RUNNING", "STOPPED"] = Field(
        default="STOPPED", description="Whether it runs without being switched on."
    )

    def definition(self, name: str, keys: Sequence[dg.AssetKey]) -> dg.ScheduleDefinition:
        """Give the schedule of a project's assets."""
        return dg.ScheduleDefinition(
            name=f"{name}__schedule",
            target=dg.AssetSelection.assets(*keys),
            cron_schedule=self.cron,
            execution_timezone=self.timezone,
            default_status=dg.DefaultScheduleStatus[self.default_status],
        )


def time_span(text: str) -> timedelta:
    """Read a span of time in plain words.

    Raises:
        ValueError: It is none.

    Example:
        >>> time_span("36h")
        datetime.timedelta(days=1, seconds=43200)
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no span of time: write a number and m, h, d or w, as 36h.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def lazily(context: dg.ResolutionContext, given: str) -> Any:
    """Make ``{{ env.NAME }}`` the name of a variable, so that YAML loads without it being set."""
    match = _VARIABLE.fullmatch(given.strip())
    return dg.EnvVar(match[1]) if match else context.resolve_value(given, as_type=str)


def matching(project: REDCapProject, patterns: Sequence[str] | None) -> list[str] | None:
    """Give the instruments that names or patterns choose; None for all.

    Raises:
        StructureError: A name or pattern chooses none.
    """
    if patterns is None:
        return None
    names = [form.instrument_name for form in project.instruments]
    unused = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    if unused:
        raise StructureError(f"instruments: {unused} choose none of the project's: {names}.")
    return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]
