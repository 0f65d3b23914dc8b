"""The checks of a project's tables: `checks` declares them, `findings` says what each one found.

`rule_findings` has those of the rules of data quality, `rules` the settings. `specs` uses these
first, `execution` the findings later. Imports `tables` and `project`.
"""

from redcap_dagster.checks.checks import CHECKS, Check
from redcap_dagster.checks.query_settings import QuerySettings
from redcap_dagster.checks.rules import CheckRules, CheckSettings

__all__ = ["CHECKS", "Check", "CheckRules", "CheckSettings", "QuerySettings"]
