"""The specs of one project's tables and checks, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import dagster as dg


@dataclass(frozen=True)
class TableSpecs:
    """The assets of one project: the spec of each table, by its name, and all their checks.

    Records are spread over a number of buckets; 0 is for none.
    """

    name: str
    metadata: Mapping[str, dg.AssetSpec]
    census: dg.AssetSpec
    records: Mapping[str, dg.AssetSpec]
    clean: Mapping[str, dg.AssetSpec]
    checks: tuple[dg.AssetCheckSpec, ...]
    buckets: int = 0

    @property
    def all(self) -> list[dg.AssetSpec]:
        """The specs of all tables."""
        return [*self.metadata.values(), self.census, *self.records.values(), *self.clean.values()]

    @cached_property
    def blocking(self) -> frozenset[dg.AssetCheckKey]:
        """The checks whose failure stops what is made of their asset."""
        return frozenset(check.key for check in self.checks if check.blocking)

    @cached_property
    def instruments(self) -> Mapping[dg.AssetKey, str]:
        """The instrument of each asset that is one's."""
        layers = (*self.records.items(), *self.clean.items())
        return {spec.key: form for form, spec in layers}
