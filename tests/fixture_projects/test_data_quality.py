"""REDCap's own counts on a project of its validation suite, and ours."""

from pathlib import Path

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables import CleaningRules, clean, split_by_instrument
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.quality import (
    RULES,
    InstrumentRows,
    judge_own_rule,
    read_quality_rules,
    resolve_rules,
)


def test_redcaps_own_counts(fixtures: Path) -> None:
    """C, D, G and I, and a rule over a repeating and a plain form.

    REDCap counts 2 for B, both in a form that was never saved, whose rows tables do not have.
    """
    path = fixtures / "quality" / "project.xml"
    with Sandbox() as sandbox:
        client = REDCapClient(sandbox.url, sandbox.add_project(path))
        project, export = client.export_project(), client.export_records()
    tables = split_by_instrument(export, project)
    study, rules = StudyRows(project, tables), CleaningRules()
    counts: dict[str, int] = {}
    for instrument, records in tables.items():
        cleaned = clean(records, instrument, project, rules)
        rows = InstrumentRows(instrument, records, cleaned, project, rules, study)
        for judge in RULES.values():
            for found in judge(rows):
                counts[found.letter] = counts.get(found.letter, 0) + found.count
    assert {letter: counts[letter] for letter in "CDGI"} == {"C": 1, "D": 4, "G": 1, "I": 4}
    assert {
        own.rule.logic: sum(found.count for found in judge_own_rule(study, own))
        for own in resolve_rules(read_quality_rules(path), project)
    } == {"[radio]='9..9'": 1, "[ptname]<>[name]": 8}
