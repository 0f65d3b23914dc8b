"""The checks of a project's tables: `rules` declares them, `findings` says what each one found.

`specs` uses the rules first, `execution` the findings later. Imports `tables` and `project`.
"""

from redcap_dagster.checks.query_settings import QuerySettings
from redcap_dagster.checks.rules import CHECKS, Check, CheckRules, CheckSettings

__all__ = ["CHECKS", "Check", "CheckRules", "CheckSettings", "QuerySettings"]
