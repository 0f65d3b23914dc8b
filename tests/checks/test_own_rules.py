"""Rules of data quality as checks, in real runs."""

import re
from pathlib import Path

import dagster as dg
import pytest

from redcap_dagster.checks import CheckRules, CheckSettings
from redcap_dagster.checks.checks import MOST_OWN_CHECKS
from redcap_dagster.tables.quality import QualityRule
from tests.dagster_runs import check_results, entry, materializations, studying
from tests.dictionary import field

METADATA = [
    field("id", "base"),
    field("weight", "base", validation="number"),
    field("size", "base", validation="number"),
    field("bmi", "base", type="calc", choices="round([weight] / ([size] * [size]), 1)"),
]
RECORDS = [
    {"id": "1", "weight": "70", "size": "1.75", "bmi": "22.9", "base_complete": "2"},
    {"id": "2", "weight": "80", "size": "2", "bmi": "25", "base_complete": "2"},
    {"id": "3", "weight": "3", "size": "", "bmi": "", "base_complete": "2"},
]


@pytest.mark.parametrize("redcap_dialect", ["default"])
def test_own_rules_and_calculations_are_checks(tmp_path: Path, redcap_dialect: str) -> None:
    rules_file = tmp_path / "rules.csv"
    rules_file.write_text("rule_name,rule_logic,real_time_execution\nShort,[size] = '',y\n")
    many = [QualityRule(f"Number {number}", "[weight] = 80") for number in range(MOST_OWN_CHECKS)]
    checks = CheckRules(
        settings={"missing_codes_used": CheckSettings(enabled=True)},
        own_rules=[QualityRule("Too light", "[weight] < 10", severity="error"), *many],
        own_rules_file=str(rules_file),
    )
    with studying(
        tmp_path, exports={"metadata": METADATA}, records=RECORDS, dialect=redcap_dialect
    ) as study:
        definitions = study.definitions(checks=checks)
        found = check_results(study.run(definitions))
    expected = {
        spec.name: spec.description
        for assets in definitions.assets or ()
        if isinstance(assets, dg.AssetsDefinition)
        for spec in assets.check_specs
    }
    assert expected["rule_too_light"] == "Too light. In no row is it true that [weight] < 10"
    assert expected["other_rules"] == "2 other rules are true in no row."
    base = {name: one for (key, name), one in found.items() if key == "study/clean/base"}
    assert len([name for name in base if name.startswith("rule_")]) == MOST_OWN_CHECKS
    assert "outliers" not in base
    assert base["missing_codes_used"].passed
    light = base["rule_too_light"]
    assert (light.passed, light.severity.value) == (False, "ERROR")
    assert light.description == "Discrepancies: base (1)."
    assert base["rule_number_7"].metadata["redcap/count"].value == 1
    others = base["other_rules"]
    assert others.description == "Discrepancies: Number 49 (1), Short (1)."
    calculations = base["calculations_correct"]
    assert calculations.description == "Incorrect calculated values: bmi (1)."


def test_a_rule_that_cannot_be_evaluated_fails_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its check says why, its queries stay, and all else goes on."""
    broken = [QualityRule("Lost", "[weihgt] < 10", severity="error"), QualityRule("Odd", "[size")]
    with studying(tmp_path, exports={"metadata": METADATA}, records=RECORDS) as study:
        right = QualityRule("Lost", "[weight] < 10")
        assert study.run(
            study.definitions(checks=CheckRules(own_rules=[right]), queries=True)
        ).success
        caplog.clear()
        checks = CheckRules(own_rules=[*broken, QualityRule("Light", "[weight] < 10")])
        result = study.run(study.definitions(checks=checks, queries=True))
        assert result.success
        states = entry(materializations(result)["study/queries/history"], "redcap/query_states")
    sentence = r"evaluated: 'Lost': the project does not have the fields weihgt; 'Odd': "
    assert re.search(sentence, caplog.text)
    found = {name: one for (key, name), one in check_results(result).items() if "rule_" in name}
    assert found["rule_light"].metadata["redcap/count"].value == 1
    lost, odd = found["rule_lost"], found["rule_odd"]
    assert (lost.passed, lost.severity.value, odd.passed) == (False, "ERROR", False)
    assert lost.description == "Not evaluated: the project does not have the fields weihgt"
    assert states["not judged"] == 1
    assert states["open"] == 2  # of the other rule and of the calculation


def test_rules_without_checks_of_their_own_fail_together(tmp_path: Path) -> None:
    many = [QualityRule(f"Number {number}", "[weight] = 80") for number in range(MOST_OWN_CHECKS)]
    checks = CheckRules(own_rules=[*many, QualityRule("Lost", "[nobody] = 1")])
    with studying(tmp_path, exports={"metadata": METADATA}, records=RECORDS) as study:
        others = check_results(study.run(study.definitions(checks=checks)))[
            "study/clean/base", "other_rules"
        ]
    assert not others.passed
    assert others.description == (
        "There are no discrepancies. Not evaluated: Lost (the project does not have the fields "
        "nobody)."
    )


def test_a_rule_is_not_named_like_a_check() -> None:
    with pytest.raises(ValueError, match=r"named like checks of the package: \['outliers'\]"):
        CheckRules(own_rules=[QualityRule("outliers", "[weight] < 10")])
