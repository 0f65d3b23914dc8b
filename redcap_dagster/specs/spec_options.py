"""The options of all specs of a project's assets, as Dagster's own values."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import dagster as dg

from redcap_dagster.automation import FreshnessSettings, automation_condition
from redcap_dagster.checks.query_settings import QuerySettings
from redcap_dagster.frames import Frames
from redcap_dagster.io_managers import Storage, StorageSettings
from redcap_dagster.partitions import PartitionSettings
from redcap_dagster.specs.translator import DagsterREDCapTranslator
from redcap_dagster.tables import CleaningRules


@dataclass(frozen=True)
class SpecOptions:
    """Options of all specs of a project's assets; see `load_redcap_asset_specs`."""

    partitions: PartitionSettings | None = None
    storage: Storage | None = None
    freshness: dg.FreshnessPolicy | None = None
    automation: dg.AutomationCondition[Any] | None = None
    translator: DagsterREDCapTranslator = field(default_factory=DagsterREDCapTranslator)
    url: str = ""
    queries: QuerySettings | None = None
    status: bool = False

    @property
    def buckets(self) -> int:
        """The number of buckets; 0 for none."""
        return 0 if self.partitions is None else self.partitions.buckets

    @property
    def frames(self) -> Frames | None:
        """Dtypes of the DataFrames for an IO manager that is named by its resource key."""
        return self.storage.frames if isinstance(self.storage, StorageSettings) else None


def spec_options(
    partitions: PartitionSettings | None,
    storage: Storage | None,
    freshness: FreshnessSettings | dg.FreshnessPolicy | None,
    automation: dg.AutomationCondition[Any] | Literal["on_change"] | None,
    translator: DagsterREDCapTranslator | None,
    queries: QuerySettings | bool,
    *,
    status: bool,
    url: str = "",
) -> SpecOptions:
    """Return options as Dagster's own values.

    Raises:
        TypeError: ``partitions`` are Dagster's own.
        ValueError: ``automation`` is neither a condition nor ``on_change``.
    """
    if not isinstance(partitions, PartitionSettings | None):
        raise TypeError(
            "partitions is not a PartitionSettings. A partition can be exported by itself only if "
            "record ids decide which records it has. Give PartitionSettings(buckets=N)."
        )
    if isinstance(freshness, FreshnessSettings):
        freshness = freshness.policy()
    return SpecOptions(
        partitions=partitions,
        storage=storage,
        freshness=freshness,
        automation=automation_condition(automation),
        translator=translator or DagsterREDCapTranslator(),
        url=url,
        queries=QuerySettings() if queries is True else queries or None,
        status=status,
    )


def cleaning_rules(cleaning: CleaningRules | None, buckets: int) -> CleaningRules:
    """Return the rules, which do not infer types if records are partitioned.

    No bucket has all values to infer types from.
    """
    cleaning = cleaning or CleaningRules()
    return replace(cleaning, infer_types=False) if buckets else cleaning
