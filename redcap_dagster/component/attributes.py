"""What the YAML of a component can say, beyond plain values."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import BaseModel, Field

from redcap_dagster.automation import (
    SPAN,
    REDCapChangeSensor,
    REDCapSchedule,
    fresh_within,
    on_change,
)
from redcap_dagster.checks import CheckRules, CheckSettings
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.resource import REDCapResource
from redcap_dagster.tables import CleaningRules

_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_]\w*)\s*\}\}")


def written_as(pattern: re.Pattern[str]) -> Any:
    """Say how a text is written to ``dg check yaml``, which sees templates as they stand."""
    return {"pattern": rf"^({pattern.pattern})$|\{{\{{"}


def _field_of(resource: type[BaseModel], name: str) -> Any:
    """Give a field of a resource, with its default and description."""
    return resource.model_fields[name]


class ClientAttributes(dg.Model):
    """How REDCap is asked; see `redcap_dagster.REDCapResource`."""

    ca_bundle: str | None = _field_of(REDCapResource, "ca_bundle")
    verify_tls: bool = _field_of(REDCapResource, "verify_tls")
    connect_timeout: float = _field_of(REDCapResource, "connect_timeout")
    read_timeout: float = _field_of(REDCapResource, "read_timeout")
    total_timeout: float = _field_of(REDCapResource, "total_timeout")
    retries: int = _field_of(REDCapResource, "retries")
    max_cells: int | None = _field_of(REDCapResource, "max_cells")
    max_records: int | None = _field_of(REDCapResource, "max_records")
    concurrency: int = _field_of(REDCapResource, "concurrency")
    rate_limit: int | None = _field_of(REDCapResource, "rate_limit")


class CheckSettingsAttributes(dg.Model):
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


class CheckRulesAttributes(dg.Model):
    """What is changed about the checks; see `redcap_dagster.CheckRules`."""

    settings: dict[str, CheckSettingsAttributes] = Field(
        default={}, description="Name of a check to what holds for all instruments."
    )
    by_instrument: dict[str, dict[str, CheckSettingsAttributes]] = Field(
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


def _settings(checks: Mapping[str, CheckSettingsAttributes]) -> dict[str, CheckSettings]:
    return {name: check.settings() for name, check in checks.items()}


class CleaningRulesAttributes(dg.Model):
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


class DuckDBAttributes(dg.Model):
    """Tables in a DuckDB file."""

    duckdb: str = Field(
        description="Path of the file, from the root of the Dagster project on.",
        examples=["warehouse.duckdb"],
    )
    lock_timeout: float = _field_of(DuckDBTableIOManager, "lock_timeout")

    def io_manager(self, root: Path) -> dg.ConfigurableIOManager:
        """Give the IO manager."""
        database = str(root / self.duckdb)
        return DuckDBTableIOManager(database=database, lock_timeout=self.lock_timeout)


class ParquetAttributes(dg.Model):
    """Tables as Parquet files."""

    parquet: str = Field(
        description="A folder, from the root of the Dagster project on, or a URL.",
        examples=["s3://bucket/redcap"],
    )
    storage_options: dict[str, Any] = _field_of(ParquetTableIOManager, "storage_options")

    def io_manager(self, root: Path) -> dg.ConfigurableIOManager:
        """Give the IO manager."""
        base = self.parquet if "://" in self.parquet else str(root / self.parquet)
        return ParquetTableIOManager(base_path=base, storage_options=self.storage_options)


class RetryAttributes(dg.Model):
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


class PartitionsAttributes(dg.Model):
    """Records in buckets: each is exported, cleaned and stored by itself."""

    buckets: int = Field(description="How many, by record id.", examples=[16])


class FreshnessAttributes(dg.Model):
    """How old the tables may be, in plain words: 90m, 36h, 2d, 1w."""

    fail_after: str = Field(
        description="Older than this is a failure.",
        json_schema_extra=written_as(SPAN),
        examples=["36h"],
    )
    warn_after: str | None = Field(
        default=None,
        description="Older than this is a warning.",
        json_schema_extra=written_as(SPAN),
    )

    def policy(self) -> dg.FreshnessPolicy:
        """Give the policy."""
        return fresh_within(self.fail_after, self.warn_after)


class OnCronAttributes(dg.Model):
    """Tables are made anew after each tick, when what they are made from is."""

    on_cron: str = Field(description="A cron expression.", examples=["0 3 * * *"])
    timezone: str = Field(default="UTC", description="Its time zone, such as Europe/Berlin.")


def condition(
    automation: Literal["on_change"] | OnCronAttributes | None,
) -> dg.AutomationCondition[Any] | None:
    """Give the automation condition, if one is asked for."""
    if isinstance(automation, OnCronAttributes):
        return dg.AutomationCondition.on_cron(automation.on_cron, automation.timezone)
    return None if automation is None else on_change()


class ScheduleAttributes(dg.Model):
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


class ChangeSensorAttributes(dg.Model):
    """How often REDCap is asked what changed."""

    every: int = Field(
        default=REDCapChangeSensor.every, description="Seconds from one time to the next."
    )
    default_status: Literal["RUNNING", "STOPPED"] = Field(
        default="STOPPED", description="Whether it runs without being switched on."
    )

    def change_sensor(self) -> REDCapChangeSensor:
        """Give the sensor's settings."""
        return REDCapChangeSensor(self.every, dg.DefaultSensorStatus[self.default_status])


def lazily(context: dg.ResolutionContext, given: Any) -> Any:
    """Make ``{{ env.NAME }}`` the name of a variable, so that YAML loads without it being set.

    What holds no template is given as it is written, whatever it is: errors of Dagster's show it.
    """
    if not isinstance(given, str) or "{{" not in given:
        return given
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
