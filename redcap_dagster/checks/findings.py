"""What each check finds: a sentence and counts, with names of fields and never a value."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from redcap_dagster.checks.rules import CHECKS, CheckSettings, Severity
from redcap_dagster.project import Change
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.tables import Ranges


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: Its name.
        passed: Whether all is well.
        text: What was found, in a sentence.
        metadata: The same in full, by name.
        severity: Of a failure, where it is another than the check's own.
    """

    check: str
    passed: bool
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity | None = None

    def to_result(self, key: dg.AssetKey, asked: CheckSettings) -> dg.AssetCheckResult:
        """Give it as Dagster wants it; a severity that was asked for stands whatever was found."""
        severity = asked.severity or self.severity or CHECKS[self.check].severity
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=self.check,
            passed=self.passed,
            severity=dg.AssetCheckSeverity[severity.upper()],
            description=self.text,
            metadata={f"redcap/{name}": value for name, value in self.metadata.items()},
        )


def not_evaluated(check: str, reason: str) -> Finding:
    """Say that a check could not be evaluated, which is never a pass."""
    return Finding(check, False, f"Not evaluated: {reason}", {"not_evaluated": reason})


def is_evaluated(result: dg.AssetCheckResult) -> bool:
    """Whether a result is of what was looked at, and not that of `not_evaluated`."""
    told = result.metadata.get("redcap/not_evaluated")
    return result.passed or not isinstance(told, dg.TextMetadataValue)


def nothing_to_compare(check: str) -> Finding:
    """Say that this is the first time, so that nothing can have changed."""
    reason = "there is no earlier materialization to compare with"
    return Finding(check, True, f"Not evaluated: {reason}.", {"not_evaluated": reason})


# -- records --------------------------------------------------------------------------------------


def keys_unique(twins: int) -> Finding:
    """Judge the count of rows that have the key of another row."""
    text = f"Rows with the key of another row: {twins}." if twins else "No two rows have one key."
    return Finding("keys_unique", not twins, text, {"rows": twins})


def export_complete(missing: int) -> Finding:
    """Judge the count of records, by event, that REDCap lists and did not send."""
    text = "Every record that REDCap lists came back."
    if missing:
        text = f"Records, by event, that REDCap lists and did not send: {missing}."
    return Finding("export_complete", not missing, text, {"missing": missing})


def nothing_hidden(hidden: Sequence[str], *, named: bool) -> Finding:
    """Judge the columns that export rights keep back.

    Args:
        hidden: The columns.
        named: Whether the server named the columns that it sent.
    """
    if not named:
        reason = "REDCap names no columns where it has no rows to send"
        metadata = {"not_evaluated": reason}
        return Finding("nothing_hidden", True, f"Not evaluated: {reason}.", metadata)
    text = "No column is hidden."
    if hidden:
        text = f"The rights of the token's user hide columns: {list_names(hidden)}."
    return Finding("nothing_hidden", not hidden, text, {"columns": list(hidden)})


def rows_not_dropping(before: int | None, now: int, max_drop: float) -> Finding:
    """Judge a count of rows by that of the last materialization; None where there was none."""
    if before is None:
        return nothing_to_compare("rows_not_dropping")
    text = f"{now} rows, after {before} last time."
    passed = now >= before * (1 - max_drop)
    if not passed:
        text = f"{text} More than {max_drop:.0%} of the rows are gone."
    return Finding("rows_not_dropping", passed, text, {"rows": now, "rows_before": before})


# -- clean ----------------------------------------------------------------------------------------


def values_fit_types(unfit: Mapping[str, int]) -> Finding:
    """Judge the counts of values that do not fit, by column."""
    return _of_counts(
        "values_fit_types", unfit, "Values that do not fit their types", "All values fit."
    )


def choices_known(unknown: Mapping[str, int]) -> Finding:
    """Judge the counts of codes that are no choice of their field."""
    return _of_counts(
        "choices_known", unknown, "Codes that their fields do not have", "All codes are known."
    )


def within_range(ranges: Ranges) -> Finding:
    """Judge the values outside of their limits, and name the limits that were not evaluated."""
    found = _of_counts(
        "within_range", ranges.outside, "Values out of range", "All values are in range."
    )
    if not ranges.unevaluated:
        return found
    named = list_names([f"{name} ({limits})" for name, limits in ranges.unevaluated.items()])
    metadata = {**found.metadata, "not_evaluated": dict(ranges.unevaluated)}
    text = f"{found.text} Limits that were not evaluated: {named}."
    return Finding(found.check, found.passed, text, metadata)


def required_filled(blank: Mapping[str, int], unknown: Sequence[str]) -> Finding:
    """Judge the counts of blanks in required fields.

    Args:
        blank: Field to count.
        unknown: Required fields that are hidden, or whose form status is, so that nobody can say.
    """
    filled = f"All required fields{' that are visible' if unknown else ''} are filled."
    found = _of_counts("required_filled", blank, "Blanks in required fields", filled)
    if not unknown:
        return found
    metadata = {**found.metadata, "not_evaluated": list(unknown)}
    text = f"{found.text} Not evaluated, as export rights hide them: {list_names(unknown)}."
    return Finding(found.check, False, text, metadata)


def inferred_types_stable(
    before: Mapping[str, str], now: Mapping[str, str], inferred: Collection[str]
) -> Finding:
    """Compare the types of columns with those of the last materialization.

    Args:
        before: Column to type.
        now: Column to type.
        inferred: Columns whose type was inferred, then or now.
    """
    changed = {
        name: f"{before[name]} before, {kind} now"
        for name, kind in now.items()
        if name in inferred and before.get(name, kind) != kind
    }
    text = "Inferred types are those of last time."
    if changed:
        named = list_names([f"{name} ({types})" for name, types in changed.items()])
        text = f"Inferred types changed: {named}. Give them in the rules' types to settle them."
    return Finding("inferred_types_stable", not changed, text, {"types": changed})


def _of_counts(check: str, counts: Mapping[str, int], what: str, all_well: str) -> Finding:
    text = all_well
    if counts:
        text = f"{what}: {list_names([f'{name} ({count})' for name, count in counts.items()])}."
    return Finding(check, not counts, text, {"counts": dict(counts)})


# -- metadata -------------------------------------------------------------------------------------


def dictionary_drift(found: Sequence[Change], in_use: Collection[str]) -> Finding:
    """Judge the changes of the dictionary since definitions were loaded.

    Args:
        found: The changes.
        in_use: The instruments that have assets.
    """
    if not found:
        return Finding("dictionary_drift", True, "The dictionary is as when definitions loaded.")
    serious = [
        change
        for change in found
        if change.what in ("type", "choices") and change.form_name in in_use
    ]
    fields = list(dict.fromkeys(change.field_name for change in found))
    text = f"Changed since definitions were loaded: {list_names(fields)}."
    if serious:
        names = list(dict.fromkeys(change.field_name for change in serious))
        text = f"{text} Types or choices of fields in use: {list_names(names)}."
    rows = ["| field | instrument | change | |", "|---|---|---|---|"]
    for change in found:
        detail = change.detail.replace("|", r"\|")
        rows.append(f"| {change.field_name} | {change.form_name} | {change.what} | {detail} |")
    return Finding(
        "dictionary_drift",
        False,
        f"{text} Reload the code location to take them up.",
        {"changes": dg.MetadataValue.md("\n".join(rows))},
        "error" if serious else "warn",
    )
