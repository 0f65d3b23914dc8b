"""The checks of a project: which there are, what may be changed, and what each finds."""

import pytest

from redcap_dagster import CheckRules, CheckSettings, build_redcap_assets_definitions
from redcap_dagster.project import REDCapProject, StructureError

PROJECT = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "base"}])


def test_rules_for_one_instrument_come_on_top() -> None:
    rules = CheckRules(
        settings={"keys_unique": CheckSettings(severity="warn", blocking=False)},
        by_instrument={"base": {"keys_unique": CheckSettings(enabled=False, blocking=True)}},
    )
    assert rules.asked("keys_unique") == CheckSettings(None, "warn", False)
    assert rules.asked("keys_unique", "base") == CheckSettings(False, "warn", True)
    assert rules.asked("nothing_hidden", "base") == CheckSettings()


@pytest.mark.parametrize(
    "rules",
    [
        {"settings": {"keys": CheckSettings()}},
        {"by_instrument": {"base": {"keys": CheckSettings()}}},
    ],
)
def test_a_check_that_there_is_not_is_refused(rules: dict[str, dict[str, CheckSettings]]) -> None:
    with pytest.raises(ValueError, match=r"no checks \['keys'\].*'keys_unique'"):
        CheckRules(**rules)  # type: ignore[arg-type]


def test_other_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="severity is 'warn' or 'error'"):
        CheckSettings(severity="fatal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_drop"):
        CheckRules(max_drop=20)
    with pytest.raises(ValueError, match="dictionary_drift is of the whole project"):
        CheckRules(by_instrument={"base": {"dictionary_drift": CheckSettings()}})


def test_an_instrument_that_the_project_lacks_is_named() -> None:
    rules = CheckRules(by_instrument={"bose": {"keys_unique": CheckSettings()}})
    with pytest.raises(StructureError, match=r"\['bose'\].*\['base'\]"):
        build_redcap_assets_definitions(name="trial", project=PROJECT, checks=rules)
