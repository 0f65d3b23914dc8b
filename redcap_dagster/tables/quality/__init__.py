"""The rules of data quality: what each one finds in the rows of an instrument.

Each rule is a function of `InstrumentRows` that returns `RuleFindings`, one for each field that it
judges. Checks count these, and queries list them: so a count and its rows are the same.

In the order of use: `descriptions`, `findings`, then a module for each kind of rule. The project's
own rules are in `own_rules`, what they find in `own_findings`; `rule_files` reads them from files.
"""

from collections.abc import Callable, Mapping

from redcap_dagster.tables.quality.asked import judge_hidden, judge_required
from redcap_dagster.tables.quality.calculations import judge_calculations
from redcap_dagster.tables.quality.descriptions import DESCRIPTIONS, RuleDescription
from redcap_dagster.tables.quality.findings import (
    InstrumentRows,
    RequiredOf,
    RuleFindings,
    count_wrong,
)
from redcap_dagster.tables.quality.own_findings import judge_own_rule
from redcap_dagster.tables.quality.own_rules import (
    OwnRule,
    QualityRule,
    describe_problems,
    resolve_rules,
)
from redcap_dagster.tables.quality.pointers import (
    judge_blanks,
    judge_missing_codes,
    judge_outliers,
)
from redcap_dagster.tables.quality.ranges import Ranges, check_ranges, judge_ranges
from redcap_dagster.tables.quality.rule_files import read_quality_rules
from redcap_dagster.tables.quality.secondary_unique import judge_secondary_unique
from redcap_dagster.tables.quality.ticks import judge_ticks
from redcap_dagster.tables.quality.values import judge_choices, judge_values

RULES: Mapping[str, Callable[[InstrumentRows], list[RuleFindings]]] = {
    "values_fit_types": judge_values,
    "within_range": judge_ranges,
    "choices_known": judge_choices,
    "required_filled": judge_required,
    "hidden_filled": judge_hidden,
    "calculations_correct": judge_calculations,
    "secondary_unique": judge_secondary_unique,
    "ticks_allowed": judge_ticks,
    "blank_values": judge_blanks,
    "outliers": judge_outliers,
    "missing_codes_used": judge_missing_codes,
}
"""What judges the rows of an instrument, by name of the check."""

__all__ = [
    "DESCRIPTIONS",
    "RULES",
    "InstrumentRows",
    "OwnRule",
    "QualityRule",
    "Ranges",
    "RequiredOf",
    "RuleDescription",
    "RuleFindings",
    "check_ranges",
    "count_wrong",
    "describe_problems",
    "judge_blanks",
    "judge_calculations",
    "judge_choices",
    "judge_hidden",
    "judge_missing_codes",
    "judge_outliers",
    "judge_own_rule",
    "judge_ranges",
    "judge_required",
    "judge_secondary_unique",
    "judge_ticks",
    "judge_values",
    "read_quality_rules",
    "resolve_rules",
]
