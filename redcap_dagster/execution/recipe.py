"""How the tables of a project are made, and which of them a run selects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import dagster as dg

from redcap_dagster.checks.checks import CHECKS, Severity
from redcap_dagster.checks.findings import Finding
from redcap_dagster.checks.query_settings import QuerySettings
from redcap_dagster.checks.rules import CheckRules
from redcap_dagster.frames import Frames
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.project import REDCapProject
from redcap_dagster.specs.table_specs import TableSpecs
from redcap_dagster.tables import CleaningRules
from redcap_dagster.tables.quality import DESCRIPTIONS, OwnRule, RuleDescription


@dataclass(frozen=True)
class Recipe:
    """How the tables of a project are made.

    Attributes:
        tables: Specs of the tables.
        known: The structure when definitions were loaded.
        rules: How records become clean tables.
        checks: Settings of the checks.
        preview_rows: How many rows of each instrument's tables Dagster's UI shows.
        frames: Dtypes of the DataFrames that other IO managers than ours get. Defaults to None, for
            those that suit the IO manager.
        queries: Which findings are queries. Defaults to None, without queries.
    """

    tables: TableSpecs
    known: REDCapProject = field(repr=False)
    rules: CleaningRules
    checks: CheckRules
    preview_rows: int
    frames: Frames | None = None
    queries: QuerySettings | None = None

    def check_result(self, spec: dg.AssetSpec, finding: Finding) -> dg.AssetCheckResult:
        """Return the result of a check of an asset, with the severity that the settings give."""
        instrument = self.tables.instruments.get(spec.key)
        return finding.to_result(spec.key, self.checks.settings_for(finding.check, instrument))

    @property
    def query_rules(self) -> tuple[str, ...]:
        """The names of the rules whose findings are queries."""
        names = [each.rule.name for each in self.own_rules]
        return () if self.queries is None else self.queries.list_rules(names)

    @property
    def own_rules(self) -> Sequence[OwnRule]:
        """The project's own rules of data quality."""
        return [each for several in self.tables.own_rules.values() for each in several]

    def severity_of(self, rule: str, instrument: str) -> Severity:
        """Return the severity of what a rule finds in an instrument."""
        own = {each.rule.name: each.rule.severity for each in self.own_rules}
        given = self.checks.settings_for(rule, instrument).severity
        return given or own.get(rule) or CHECKS[rule].severity

    def describe_rule(self, rule: str) -> RuleDescription:
        """Return the letter of a rule, and what it expects."""
        own = {each.rule.name: each.description for each in self.own_rules}
        return own.get(rule) or DESCRIPTIONS[rule]

    def is_on(self, rule: str, instrument: str) -> bool:
        """Whether the settings do not switch a rule off, in an instrument."""
        return self.checks.settings_for(rule, instrument).enabled is not False

    def blocks(self, result: dg.AssetCheckResult) -> bool:
        """Whether a result is the failure of a blocking check; a warning blocks nothing."""
        failed = not result.passed and result.severity is dg.AssetCheckSeverity.ERROR
        return failed and (result.asset_key, result.check_name) in self.tables.blocking


@dataclass(frozen=True)
class Selection:
    """What a run selects: assets and checks. A check can be selected without its asset.

    Attributes:
        assets: Keys of the assets.
        checks: Names of the checks, by key of their asset.
        buckets: The buckets. Defaults to none, for a project without buckets.
    """

    assets: frozenset[dg.AssetKey]
    checks: Mapping[dg.AssetKey, frozenset[str]]
    buckets: tuple[str, ...] = ()

    @classmethod
    def from_context(cls, context: dg.AssetExecutionContext, buckets: int = 0) -> Self:
        """Return the selection of a run.

        Checks do not have partitions in Dagster: launched alone, they select all buckets.

        Args:
            context: Context of the run.
            buckets: Number of buckets of the selected assets. Defaults to 0, for assets without
                buckets, whatever partition the run has.
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
        """Whether an asset is selected."""
        return spec.key in self.assets

    def has_any(self, specs: Iterable[dg.AssetSpec]) -> bool:
        """Whether one of some assets is selected."""
        return any(spec.key in self.assets for spec in specs)

    def checks_of(self, spec: dg.AssetSpec) -> frozenset[str]:
        """Return the names of the selected checks of an asset."""
        return self.checks.get(spec.key, frozenset())


def _selected_buckets(context: dg.AssetExecutionContext, count: int) -> tuple[str, ...]:
    if not count:
        return ()
    if context.selected_asset_keys:
        return tuple(context.partition_keys)
    return tuple(bucket_keys(count))
