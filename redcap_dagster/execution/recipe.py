"""How the tables of a project are made, and what a run selects of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import dagster as dg

from redcap_dagster.checks.findings import Finding
from redcap_dagster.checks.rules import CheckRules
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.project import REDCapProject
from redcap_dagster.specs.table_specs import TableSpecs
from redcap_dagster.tables import CleaningRules


@dataclass(frozen=True)
class Recipe:
    """How the tables of a project are made.

    Attributes:
        tables: The assets.
        known: The structure when definitions were loaded; see `as_seen` of
            `redcap_dagster.execution.record_source`.
        rules: How records become clean tables.
        checks: What is changed about the checks.
        preview_rows: How many rows of its tables an instrument's assets show; see
            `redcap_dagster.catalog.metadata.preview`.
    """

    tables: TableSpecs
    known: REDCapProject = field(repr=False)
    rules: CleaningRules
    checks: CheckRules
    preview_rows: int

    def check_result(self, spec: dg.AssetSpec, finding: Finding) -> dg.AssetCheckResult:
        """Return the result of a check of an asset, with the severity that the settings give."""
        instrument = self.tables.instruments.get(spec.key)
        return finding.to_result(spec.key, self.checks.settings_for(finding.check, instrument))

    def blocks(self, result: dg.AssetCheckResult) -> bool:
        """Whether a result is the failure of a blocking check; a warning blocks nothing."""
        failed = not result.passed and result.severity is dg.AssetCheckSeverity.ERROR
        return failed and (result.asset_key, result.check_name) in self.tables.blocking


@dataclass(frozen=True)
class Selection:
    """What a run is asked for: assets, and checks, with or without the asset that they are of.

    Attributes:
        assets: The keys of the assets.
        checks: Key of an asset to the names of its checks.
        buckets: The buckets, if records are spread over any.
    """

    assets: frozenset[dg.AssetKey]
    checks: Mapping[dg.AssetKey, frozenset[str]]
    buckets: tuple[str, ...] = ()

    @classmethod
    def from_context(cls, context: dg.AssetExecutionContext, buckets: int = 0) -> Self:
        """Read it off the run.

        Of assets without buckets, a partition of the run is no matter. Checks have no partitions in
        Dagster: launched alone, they are of all buckets.
        """
        checks: dict[dg.AssetKey, set[str]] = {}
        for check in context.selected_asset_check_keys:
            checks.setdefault(check.asset_key, set()).add(check.name)
        return cls(
            frozenset(context.selected_asset_keys),
            {key: frozenset(names) for key, names in checks.items()},
            _selected_buckets(context, buckets),
        )

    def has(self, spec: dg.AssetSpec) -> bool:
        """Whether an asset is asked for."""
        return spec.key in self.assets

    def checks_of(self, spec: dg.AssetSpec) -> frozenset[str]:
        """Name the checks of an asset that are asked for."""
        return self.checks.get(spec.key, frozenset())


def _selected_buckets(context: dg.AssetExecutionContext, count: int) -> tuple[str, ...]:
    if not count:
        return ()
    if context.selected_asset_keys:
        return tuple(context.partition_keys)
    return tuple(bucket_keys(count))
