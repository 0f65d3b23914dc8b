"""The rules of data quality: what each one finds in the rows of an instrument.

Each rule is a function of `InstrumentRows` that returns `RuleFindings`, one for each field that it
judges. Checks count these, and queries list them: so a count and its rows are the same.

In the order of use: `findings`, then a module for each kind of rule.
"""

from redcap_dagster.tables.quality.asked import is_required, judge_hidden, judge_required
from redcap_dagster.tables.quality.findings import (
    InstrumentRows,
    RequiredOf,
    RuleFindings,
    count_wrong,
)
from redcap_dagster.tables.quality.ranges import Ranges, check_ranges, judge_ranges
from redcap_dagster.tables.quality.values import judge_choices, judge_values

__all__ = [
    "InstrumentRows",
    "Ranges",
    "RequiredOf",
    "RuleFindings",
    "check_ranges",
    "count_wrong",
    "is_required",
    "judge_choices",
    "judge_hidden",
    "judge_ranges",
    "judge_required",
    "judge_values",
]
