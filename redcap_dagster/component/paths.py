"""Paths in YAML, which are relative to the root of the Dagster project."""

from dataclasses import replace
from pathlib import Path

from redcap_dagster.checks import CheckRules, QuerySettings


def resolve_query_paths(queries: QuerySettings | bool, root: Path) -> QuerySettings | bool:
    """Return the option ``queries`` with the paths of its files below a root."""
    if isinstance(queries, bool):
        return queries
    confirmations, workbook = (
        path and str(root / path) for path in (queries.confirmations, queries.workbook)
    )
    return replace(queries, confirmations=confirmations, workbook=workbook)


def resolve_rules_path(checks: CheckRules | None, root: Path) -> CheckRules | None:
    """Return the option ``checks`` with the path of its file of rules below a root."""
    if checks is None or not checks.own_rules_file:
        return checks
    return replace(checks, own_rules_file=str(root / checks.own_rules_file))
