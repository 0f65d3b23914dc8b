"""What the rules of data quality found in a clean table, as the findings of their checks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from redcap_dagster.checks.checks import OTHER_RULES
from redcap_dagster.checks.findings import Finding, found_counts, not_evaluated
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.tables.quality import OwnRule, RuleFindings, count_wrong

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "values_fit_types": ("Invalid values", "All values are valid."),
    "choices_known": ("Unknown codes", "All codes are known."),
    "within_range": ("Values out of range", "All values are in range."),
    "calculations_correct": ("Incorrect calculated values", "All calculated values are correct."),
    "secondary_unique": ("Values that another record has", "No two records have the same value."),
    "ticks_allowed": ("Options ticked that are not allowed together", "All ticks are allowed."),
    "hidden_filled": (
        "Values in hidden fields",
        "No field has a value where its branching logic hides it.",
    ),
    "blank_values": ("Blanks", "All fields that were asked are filled."),
    "outliers": ("Outliers", "There are no outliers."),
    "missing_codes_used": ("Missing data codes", "There are no missing data codes."),
}
"""What a rule of data quality says when it finds something, and when it does not."""


def found_by_rule(check: str, found: Sequence[RuleFindings]) -> Finding:
    """Return the finding of a rule of data quality, and what it did not evaluate.

    Args:
        check: Name of the check.
        found: What the rule found in each field.
    """
    failure, success = _SENTENCES[check]
    finding = found_counts(check, count_wrong(found), failure, success)
    return _with_unevaluated(finding, {each.field: each.unevaluated for each in found})


def found_by_own_rule(own: OwnRule, found: Sequence[RuleFindings]) -> Finding:
    """Return the finding of one of the project's own rules.

    Args:
        own: The rule.
        found: What it found in each instrument.
    """
    if own.problem:
        return replace(not_evaluated(own.check, own.problem), severity=own.rule.severity)
    counts = {each.instrument: each.count for each in found if each.count}
    finding = found_counts(own.check, counts, "Discrepancies", "There are no discrepancies.")
    finding = replace(finding, severity=own.rule.severity)
    return _with_unevaluated(finding, {each.instrument: each.unevaluated for each in found})


def found_by_other_rules(findings: Mapping[str, Finding]) -> Finding:
    """Return the one finding of the own rules that do not have checks of their own.

    Args:
        findings: What each rule found, by name of the rule.
    """
    counts = {name: each.count for name, each in findings.items() if each.count}
    finding = found_counts(OTHER_RULES, counts, "Discrepancies", "There are no discrepancies.")
    failed = [each for each in findings.values() if not each.passed]
    has_errors = any(each.severity == "error" for each in failed)
    finding = replace(finding, passed=not failed, severity="error" if has_errors else "warn")
    reasons = {
        name: each.metadata["not_evaluated"]
        for name, each in findings.items()
        if each.count is None
    }
    return _with_unevaluated(finding, reasons)


def required_filled(found: Sequence[RuleFindings], unknown: Sequence[str]) -> Finding:
    """Return the finding for blanks in required fields, from what the rule found in each field.

    Args:
        found: What the rule found, in fields and in forms as a whole.
        unknown: Required columns that are not evaluated, because they or the status of their
            instrument are hidden.
    """
    filled = f"All {'visible ' if unknown else ''}required fields are filled."
    fields = [each for each in found if each.field]
    forms = sum(each.count for each in found if not each.field)
    counts = count_wrong(fields)
    finding = found_counts("required_filled", counts, "Blanks in required fields", filled)
    finding = _with_unevaluated(finding, {each.field: each.unevaluated for each in fields})
    if forms:
        text = f"Forms of which more than half of the required fields are blank: {forms}."
        text = text if finding.passed else f"{finding.text} {text}"
        metadata = {**finding.metadata, "blank_forms": forms}
        count = (finding.count or 0) + forms
        finding = replace(finding, passed=False, text=text, metadata=metadata, count=count)
    if not unknown:
        return finding
    problems = finding.metadata.get("not_evaluated", {})
    reasons = {**dict.fromkeys(unknown, "export rights hide it"), **problems}
    metadata = {**finding.metadata, "not_evaluated": reasons if problems else list(unknown)}
    text = f"{finding.text} Not evaluated, because export rights hide them: {list_names(unknown)}."
    return replace(finding, passed=False, text=text, metadata=metadata)


def _with_unevaluated(finding: Finding, unevaluated: Mapping[str, str]) -> Finding:
    """Add what was not evaluated, by field or instrument, to a finding."""
    parts = {name: text for name, text in unevaluated.items() if text}
    if not parts:
        return finding
    names = list_names([f"{name} ({text})" for name, text in parts.items()])
    of_limits = finding.check == "within_range"
    what = "Limits that were not evaluated" if of_limits else "Not evaluated"
    metadata = {**finding.metadata, "not_evaluated": parts}
    return replace(finding, text=f"{finding.text} {what}: {names}.", metadata=metadata)
