"""The checks of a project's tables: rules say which there are, findings what each one found.

Imports `api`, `tables` and `project`; `specs` declares the checks, `execution` evaluates them.
"""

from redcap_dagster.checks.rules import CHECKS, Check, CheckRules, CheckSettings

__all__ = ["CHECKS", "Check", "CheckRules", "CheckSettings"]
