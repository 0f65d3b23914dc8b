"""The specs of a project's tables and checks, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import dagster as dg

from redcap_dagster.tables.quality import OwnRule


@dataclass(frozen=True)
class TableSpecs:
    """The specs of a project's tables by name, and of all their checks.

    Attributes:
        name: Name of the project in Dagster.
        metadata: Specs of the metadata tables, by table.
        census: Spec of the census.
        records: Specs of the records, by instrument.
        clean: Specs of the clean tables, by instrument.
        checks: Specs of all checks.
        buckets: Number of buckets of the records. Defaults to 0, for none.
        own_rules: The project's own rules of data quality, by the instrument whose clean table has
            their checks. Defaults to none.
        queries: Specs of the tables of queries, by table. Defaults to none.
        status: Specs of the tables of the forms' status, by table. Defaults to none.
    """

    name: str
    metadata: Mapping[str, dg.AssetSpec]
    census: dg.AssetSpec
    records: Mapping[str, dg.AssetSpec]
    clean: Mapping[str, dg.AssetSpec]
    checks: tuple[dg.AssetCheckSpec, ...]
    buckets: int = 0
    own_rules: Mapping[str, tuple[OwnRule, ...]] = field(default_factory=dict)
    queries: Mapping[str, dg.AssetSpec] = field(default_factory=dict)
    status: Mapping[str, dg.AssetSpec] = field(default_factory=dict)

    @property
    def all(self) -> list[dg.AssetSpec]:
        """The specs of all tables."""
        return [*self.metadata.values(), *self.of_records]

    @property
    def of_records(self) -> list[dg.AssetSpec]:
        """The specs of the tables that are made from records, in the order in which they are."""
        tables = (self.records, self.clean, self.queries, self.status)
        return [self.census, *(spec for each in tables for spec in each.values())]

    @cached_property
    def lists(self) -> frozenset[dg.AssetKey]:
        """Keys of the tables over all instruments, whose record id is in the column ``record``."""
        return frozenset(spec.key for each in (self.queries, self.status) for spec in each.values())

    @cached_property
    def blocking(self) -> frozenset[dg.AssetCheckKey]:
        """Keys of the checks whose failure stops what is made from their asset."""
        return frozenset(check.key for check in self.checks if check.blocking)

    @cached_property
    def instruments(self) -> Mapping[dg.AssetKey, str]:
        """The instrument of each records and clean table, by key."""
        layers = (*self.records.items(), *self.clean.items())
        return {spec.key: instrument for instrument, spec in layers}
