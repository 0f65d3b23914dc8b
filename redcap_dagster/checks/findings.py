"""What each check found, as a value: a sentence and counts, with names of fields but no cells."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from redcap_dagster.checks.checks import CHECKS, Severity
from redcap_dagster.checks.rules import CheckSettings
from redcap_dagster.markdown import build_markdown_table
from redcap_dagster.project import Change
from redcap_dagster.project.name_lists import list_names


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: Name of the check.
        passed: Whether the check passed.
        text: What was found, in a sentence.
        metadata: The same in full, by name.
        severity: Severity of a failure. Defaults to that of the check.
        count: How much the check found; a number that Dagster plots over time. Defaults to None:
            unknown, because the check could not be evaluated.
    """

    check: str
    passed: bool
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity | None = None
    count: int | None = None

    def to_result(self, key: dg.AssetKey, settings: CheckSettings) -> dg.AssetCheckResult:
        """Return the result for Dagster; a severity in the settings overrules the finding's.

        Args:
            key: Key of the asset that has the check.
            settings: Settings of the check.
        """
        default = CHECKS[self.check].severity if self.check in CHECKS else "warn"
        severity = settings.severity or self.severity or default
        count = {} if self.count is None else {"count": self.count}
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=self.check,
            passed=self.passed,
            severity=dg.AssetCheckSeverity[severity.upper()],
            description=self.text,
            metadata={
                f"redcap/{name}": value for name, value in {**count, **self.metadata}.items()
            },
        )


def found_counts(check: str, counts: Mapping[str, int], failure: str, success: str) -> Finding:
    """Return the finding for counts by name, which passes without any.

    Args:
        check: Name of the check.
        counts: The counts, such as those of wrong rows by field.
        failure: What was counted, for the text of a failure.
        success: The text of a check that passed.
    """
    text = success
    if counts:
        text = f"{failure}: {list_names([f'{name} ({count})' for name, count in counts.items()])}."
    metadata = {"counts": dict(counts)}
    return Finding(check, not counts, text, metadata, count=sum(counts.values()))


# -- not evaluated --------------------------------------------------------------------------------


def not_evaluated(check: str, reason: str) -> Finding:
    """Return a failure: the check could not be evaluated."""
    return Finding(check, False, f"Not evaluated: {reason}", {"not_evaluated": reason})


def is_evaluated(result: dg.AssetCheckResult) -> bool:
    """Whether a result is anything but that of `not_evaluated`."""
    reason = result.metadata.get("redcap/not_evaluated")
    return result.passed or not isinstance(reason, dg.TextMetadataValue)


def nothing_to_compare(check: str) -> Finding:
    """Return a pass: the table is materialized for the first time."""
    return _nothing_to_evaluate(check, "there is no earlier materialization to compare with")


def _nothing_to_evaluate(check: str, reason: str) -> Finding:
    return Finding(check, True, f"Not evaluated: {reason}.", {"not_evaluated": reason}, count=0)


# -- records --------------------------------------------------------------------------------------


def keys_unique(duplicates: int) -> Finding:
    """Return the finding for a number of duplicate rows."""
    text = f"Duplicate rows: {duplicates}." if duplicates else "There are no duplicate rows."
    return Finding("keys_unique", not duplicates, text, {"rows": duplicates}, count=duplicates)


def export_complete(missing: int) -> Finding:
    """Return the finding for a number of missing records by event."""
    text = "The export has every record that REDCap lists."
    if missing:
        text = f"Missing records by event: {missing}."
    return Finding("export_complete", not missing, text, {"missing": missing}, count=missing)


def nothing_hidden(
    hidden: Sequence[str], *, has_header: bool, unrequested: Sequence[str] = ()
) -> Finding:
    """Return the finding for the columns that export rights hide.

    Args:
        hidden: The columns.
        has_header: Whether the export names its columns.
        unrequested: The columns that the export has although they were not requested: where a
            column was renamed in every response, its new name is among them. Defaults to none.
    """
    if not has_header:
        reason = "REDCap does not name the columns of an export without rows"
        return _nothing_to_evaluate("nothing_hidden", reason)
    text = "No column is hidden."
    if hidden:
        text = f"The rights of the token's user hide columns: {list_names(hidden)}."
    if hidden and unrequested:
        text = (
            f"{text} REDCap also sent columns that were not requested: {list_names(unrequested)}. "
            "If one of these is a hidden column under another name, a proxy or the server renamed "
            "it, and its values are in no table. Compare with an export made in REDCap itself."
        )
    metadata = {"columns": list(hidden)}
    return Finding("nothing_hidden", not hidden, text, metadata, count=len(hidden))


def rows_not_dropping(before: int | None, now: int, max_drop: float) -> Finding:
    """Return the finding for a number of rows and that of the last materialization.

    Args:
        before: Rows of the last materialization; None if there was none.
        now: Rows of this one.
        max_drop: Largest share of the rows that may be gone.
    """
    if before is None:
        return nothing_to_compare("rows_not_dropping")
    text = f"{now} rows, {before} at the last materialization."
    passed = now >= before * (1 - max_drop)
    if not passed:
        text = f"{text} More than {max_drop:.0%} of the rows are gone."
    metadata = {"rows": now, "rows_before": before}
    return Finding("rows_not_dropping", passed, text, metadata, count=max(before - now, 0))


# -- clean ----------------------------------------------------------------------------------------


def labels_distinct(merged: Mapping[str, int]) -> Finding:
    """Return the finding for counts of codes that share a label with another, by field."""
    found = found_counts(
        "labels_distinct",
        merged,
        "Codes that share a label, so that the clean table has one value for them",
        "All codes have labels of their own.",
    )
    if not merged:
        return found
    text = f"{found.text} Set labels to 'both' or 'codes' in the cleaning rules."
    return replace(found, text=text)


def inferred_types_stable(
    before: Mapping[str, str], now: Mapping[str, str], inferred: Collection[str]
) -> Finding:
    """Return the finding for the types of columns and those of the last materialization.

    Args:
        before: Types at the last materialization, by column.
        now: Types now, by column.
        inferred: Columns whose type was inferred from values, then or now.
    """
    changed = {
        name: f"{before[name]} before, {kind} now"
        for name, kind in now.items()
        if name in inferred and before.get(name, kind) != kind
    }
    text = "Inferred types are the same as at the last materialization."
    if changed:
        types = list_names([f"{name} ({types})" for name, types in changed.items()])
        text = f"Inferred types changed: {types}. To fix a type, set it in the cleaning rules."
    metadata = {"types": changed}
    return Finding("inferred_types_stable", not changed, text, metadata, count=len(changed))


# -- metadata -------------------------------------------------------------------------------------


def dictionary_drift(changes: Sequence[Change], in_use: Collection[str]) -> Finding:
    """Return the finding for the changes of the dictionary since definitions were loaded.

    Args:
        changes: The changes.
        in_use: The instruments that have assets.
    """
    if not changes:
        text = "The dictionary is the same as when definitions were loaded."
        return Finding("dictionary_drift", True, text, count=0)
    text = f"Changed since definitions were loaded: {_list_fields(changes)}."
    serious = [
        change
        for change in changes
        if change.what in ("type", "choices") and change.form_name in in_use
    ]
    if serious:
        text = f"{text} Fields in use whose type or choices changed: {_list_fields(serious)}."
    rows = [(each.field_name, each.form_name, each.what, each.detail) for each in changes]
    table = build_markdown_table(["field", "instrument", "change", ""], rows)
    return Finding(
        "dictionary_drift",
        False,
        f"{text} To use the new dictionary, reload the code location; for a project in YAML, run "
        "dg utils refresh-defs-state first.",
        {"changes": dg.MetadataValue.md(table)},
        "error" if serious else "warn",
        len(changes),
    )


def _list_fields(changes: Sequence[Change]) -> str:
    return list_names(list(dict.fromkeys(change.field_name for change in changes)))
