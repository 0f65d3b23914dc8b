"""What the YAML of a component can say, beyond plain values."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from redcap_dagster.automation import REDCapSchedule, fresh_within, on_change
from redcap_dagster.checks import CheckRules, CheckSettings
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.resource import REDCapResource
from redcap_dagster.tables import CleaningRules

_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_]\w*)\s*\}\}")


def _of_resource(name: str) -> Any:
    """Give a field of the resource, with its default and description."""
    return REDCapResource.model_fields[name]


class Client(dg.Model):
    """How REDCap is asked; see `redcap_dagster.REDCapResource`."""

    ca_bundle: str | None = _of_resource("ca_bundle")
    verify_tls: bool = _of_resource("verify_tls")
    connect_timeout: float = _of_resource("connect_timeout")
    read_timeout: float = _of_resource("read_timeout")
    retries: int = _of_resource("retries")
    max_cells: int | None = _of_resource("max_cells")
    max_records: int | None = _of_resource("max_records")
    concurrency: int = _of_resource("concurrency")
    rate_limit: int | None = _of_resource("rate_limit")


class Check(dg.Model):
    """How one check is treated; what is left out stays as it is by default."""

    enabled: bool | None = Field(default=None, description="Whether there is the check.")
    severity: Literal["warn", "error"] | None = Field(
        default=None, description="Of a result that did not pass."
    )
    blocking: bool | None = Field(
        default=None, description="Whether a failure stops what is made of the table."
    )

    def settings(self) -> CheckSettings:
        """Give the settings."""
        return CheckSettings(**self.model_dump())


class Checks(dg.Model):
    """What is changed about the checks; see `redcap_dagster.CheckRules`."""

    settings: dict[str, Check] = Field(
        default={}, description="Name of a check to what holds for all instruments."
    )
    by_instrument: dict[str, dict[str, Check]] = Field(
        default={}, description="Name of an instrument to what differs there, by name of the check."
    )
    max_drop: float = Field(
        default=CheckRules.max_drop,
        description="The part of its rows that a form may lose from one run to the next.",
    )

    def rules(self) -> CheckRules:
        """Give the rules."""
        return CheckRules(
            settings=_settings(self.settings),
            by_instrument={form: _settings(own) for form, own in self.by_instrument.items()},
            max_drop=self.max_drop,
        )


def _settings(checks: Mapping[str, Check]) -> dict[str, CheckSettings]:
    return {name: check.settings() for name, check in checks.items()}


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
    backoff: Literal["LINEAR", "EXPONENTIAL"] | None = Field(
        default=None, description="How the delay grows from one time to the next."
    )
    jitter: Literal["FULL", "PLUS_MINUS"] | None = Field(
        default=None, description="By how much chance changes the delay."
    )

    def policy(self) -> dg.RetryPolicy:
        """Give the policy."""
        return dg.RetryPolicy(
            max_retries=self.max_retries,
            delay=self.delay,
            backoff=None if self.backoff is None else dg.Backoff[self.backoff],
            jitter=None if self.jitter is None else dg.Jitter[self.jitter],
        )


class Partitions(dg.Model):
    """Records in buckets: each is exported, cleaned and stored by itself."""

    buckets: int = Field(description="How many, by record id.", examples=[16])


class Freshness(dg.Model):
    """How old the tables may be, in plain words: 90m, 36h, 2d, 1w."""

    fail_after: str = Field(description="Older than this is a failure.", examples=["36h"])
    warn_after: str | None = Field(default=None, description="Older than this is a warning.")

    def policy(self) -> dg.FreshnessPolicy:
        """Give the policy."""
        return fresh_within(self.fail_after, self.warn_after)


class OnCron(dg.Model):
    """Tables are made anew after each tick, when what they are made from is."""

    on_cron: str = Field(description="A cron expression.", examples=["0 3 * * *"])
    timezone: str = Field(default="UTC", description="Its time zone, such as Europe/Berlin.")


def condition(automation: Literal["on_change"] | OnCron) -> dg.AutomationCondition[Any]:
    """Give the automation condition."""
    if isinstance(automation, OnCron):
        return dg.AutomationCondition.on_cron(automation.on_cron, automation.timezone)
    return on_change()


class Schedule(dg.Model):
    """When all tables of the project are made anew."""

    cron: str = Field(description="A cron expression.", examples=["0 3 * * *"])
    timezone: str = Field(default="UTC", description="Its time zone, such as Europe/Berlin.")
    default_status: Literal["RUNNING", "STOPPED"] = Field(
        default="STOPPED", description="Whether it runs without being switched on."
    )

    def schedule(self) -> REDCapSchedule:
        """Give the schedule."""
        return REDCapSchedule(
            self.cron, self.timezone, dg.DefaultScheduleStatus[self.default_status]
        )


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
