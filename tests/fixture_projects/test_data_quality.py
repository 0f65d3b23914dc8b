"""REDCap's own counts on a project of its validation suite, and ours."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from redcap_dagster.api import REDCapClient
from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables import CleaningRules, clean, split_by_instrument
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.quality import (
    RULES,
    InstrumentRows,
    RequiredOf,
    judge_own_rule,
    read_quality_rules,
    resolve_rules,
)


def count_findings(
    project: REDCapProject, tables: Mapping[str, pa.Table], *, required_of: RequiredOf = "complete"
) -> Counter[str]:
    """Return how much each rule finds, by REDCap's letter."""
    study, rules = StudyRows(project, tables), CleaningRules()
    counts: Counter[str] = Counter()
    for instrument, records in tables.items():
        cleaned = clean(records, instrument, project, rules)
        rows = InstrumentRows(
            instrument, records, cleaned, project, rules, study, required_of=required_of
        )
        for judge in RULES.values():
            for found in judge(rows):
                counts[found.letter] += found.count
    return counts


def test_redcaps_own_counts(fixtures: Path) -> None:
    """B, C, D, G and I, and a rule over a repeating and a plain form.

    Both blanks that REDCap counts for B are in a form that was never saved.
    """
    path = fixtures / "quality" / "project.xml"
    with Sandbox() as sandbox:
        client = REDCapClient(sandbox.url, sandbox.add_project(path))
        project, export = client.export_project(), client.export_records()
    tables = split_by_instrument(export, project)
    counts = count_findings(project, tables)
    assert {letter: counts[letter] for letter in "BCDGI"} == {
        "B": 0,
        "C": 1,
        "D": 4,
        "G": 1,
        "I": 4,
    }
    every_row = split_by_instrument(export, project, keep_unsaved=True)
    assert count_findings(project, every_row, required_of="all")["B"] == 2
    assert {
        own.rule.logic: sum(
            found.count for found in judge_own_rule(StudyRows(project, tables), own)
        )
        for own in resolve_rules(read_quality_rules(path), project)
    } == {"[radio]='9..9'": 1, "[ptname]<>[name]": 8}
