"""The checks that the tables of a project have, with their defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import dagster as dg

from redcap_dagster.tables.quality import DESCRIPTIONS, OwnRule

Layer = Literal["metadata", "records", "clean", "queries", "status"]
Severity = Literal["warn", "error"]


@dataclass(frozen=True)
class Check:
    """A check with its defaults.

    Attributes:
        layer: The tables that have it: ``records`` or ``clean`` of each instrument, or the
            ``metadata`` table of the fields.
        severity: Severity of a result that did not pass.
        blocking: Whether a failure stops what is made from the asset.
        description: What the check expects of the table.
        enabled: Whether tables have the check by default. Defaults to True.
    """

    layer: Layer
    severity: Severity
    blocking: bool
    description: str
    enabled: bool = True


_NOT_BY_DEFAULT = ("blank_values", "outliers", "missing_codes_used")
"""Rules of data quality that point at what may be right."""

CHECKS: Mapping[str, Check] = {
    "dictionary_drift": Check(
        "metadata",
        "warn",
        False,
        "Fields and choices are the same as when definitions were loaded. By default a difference "
        "is a warning, or an error if the type or the choices of a field in use changed.",
    ),
    "keys_unique": Check(
        "records",
        "error",
        True,
        "No row has the key of another row. If the check is blocking, an instrument with duplicate "
        "rows is not stored.",
    ),
    "export_complete": Check(
        "records",
        "error",
        True,
        "The export has every record that REDCap lists. An incomplete export replaces no table of "
        "any instrument.",
    ),
    "nothing_hidden": Check(
        "records",
        "error",
        False,
        "The rights of the token's user hide no column of the instrument.",
    ),
    "rows_not_dropping": Check(
        "records",
        "error",
        False,
        "The number of rows did not drop by more than the largest drop that is allowed, compared "
        "with the last materialization.",
    ),
    **{
        rule: Check("clean", "warn", False, each.expects, enabled=rule not in _NOT_BY_DEFAULT)
        for rule, each in DESCRIPTIONS.items()
    },
    "labels_distinct": Check(
        "clean",
        "warn",
        False,
        "Different codes of a field have different labels, so that the clean table tells them "
        "apart.",
    ),
    "inferred_types_stable": Check(
        "clean",
        "warn",
        False,
        "Types that are inferred from values are the same as at the last materialization.",
    ),
}
"""Every check, by name."""

MOST_OWN_CHECKS = 50
"""Most rules of its own for which an asset has a check each; one more check has the others."""

OTHER_RULES = "other_rules"
"""Name of that check."""


def default_check_specs(layer: Layer, table: str, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the specs of a table's checks with their defaults.

    Args:
        layer: Layer of the table.
        table: Name of the table. In ``metadata`` only ``fields`` has a check; the census does not
            have any.
        key: Key of the table's asset.
    """
    if (layer == "metadata" and table != "fields") or table == "_census":
        return []
    return [
        dg.AssetCheckSpec(name, asset=key, description=check.description, blocking=check.blocking)
        for name, check in CHECKS.items()
        if check.layer == layer
    ]


def own_check_specs(rules: Sequence[OwnRule], key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the specs of the checks of the project's own rules.

    Args:
        rules: The rules whose checks the asset has.
        key: Key of the asset.
    """
    specs = [
        dg.AssetCheckSpec(
            each.check,
            asset=key,
            description=f"{each.rule.name}. {each.description.expects}",
        )
        for each in rules[:MOST_OWN_CHECKS]
    ]
    if len(rules) > MOST_OWN_CHECKS:
        description = f"{len(rules) - MOST_OWN_CHECKS} other rules are true in no row."
        specs.append(dg.AssetCheckSpec(OTHER_RULES, asset=key, description=description))
    return specs
