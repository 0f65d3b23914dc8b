"""Which checks there are, and how rules change them."""

from collections.abc import Sequence

import dagster as dg
import pytest

from redcap_dagster import (
    CheckRules,
    CheckSettings,
    DagsterREDCapTranslator,
    REDCapTableProps,
    build_redcap_assets_definitions,
)
from redcap_dagster.checks import CHECKS
from redcap_dagster.project import REDCapProject, StructureError
from tests.checks.conftest import ON_RECORDS
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(metadata=[field("id", "base")])


def test_rules_for_one_instrument_come_on_top() -> None:
    rules = CheckRules(
        settings={"keys_unique": CheckSettings(severity="warn", blocking=False)},
        by_instrument={"base": {"keys_unique": CheckSettings(enabled=False, blocking=True)}},
    )
    assert rules.settings_for("keys_unique") == CheckSettings(None, "warn", False)
    assert rules.settings_for("keys_unique", "base") == CheckSettings(False, "warn", True)
    assert rules.settings_for("nothing_hidden", "base") == CheckSettings()


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
    with pytest.raises(ValueError, match="CheckSettings: severity should be 'warn' or 'error'"):
        CheckSettings(severity="fatal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_drop"):
        CheckRules(max_drop=20)
    with pytest.raises(ValueError, match="dictionary_drift is a check of the whole project"):
        CheckRules(by_instrument={"base": {"dictionary_drift": CheckSettings()}})


def test_an_instrument_that_the_project_lacks_is_named() -> None:
    rules = CheckRules(by_instrument={"bose": {"keys_unique": CheckSettings()}})
    with pytest.raises(StructureError, match=r"\['bose'\].*\['base'\]"):
        build_redcap_assets_definitions(name="trial", project=PROJECT, checks=rules)


# -- loading --------------------------------------------------------------------------------------


def test_a_translator_may_leave_checks_out_but_not_invent_any() -> None:
    class Fewer(DagsterREDCapTranslator):
        def get_check_specs(
            self, props: REDCapTableProps, spec: dg.AssetSpec
        ) -> Sequence[dg.AssetCheckSpec]:
            return [] if props.layer == "clean" else super().get_check_specs(props, spec)

    assets = build_redcap_assets_definitions(name="trial", project=PROJECT, translator=Fewer())
    names = {check.name for made in assets for check in made.check_keys}
    assert names == {*ON_RECORDS, "dictionary_drift"}

    class More(DagsterREDCapTranslator):
        def get_check_specs(
            self, props: REDCapTableProps, spec: dg.AssetSpec
        ) -> Sequence[dg.AssetCheckSpec]:
            assert props.name == "trial"
            return [dg.AssetCheckSpec("mine", asset=spec.key)]

    with pytest.raises(ValueError, match="'mine'"):
        build_redcap_assets_definitions(name="trial", project=PROJECT, translator=More())


def test_every_check_has_its_place_and_is_described() -> None:
    made = build_redcap_assets_definitions(name="trial", project=PROJECT)
    specs = [check for assets in made for check in assets.check_specs]
    assert sorted(check.name for check in specs) == sorted(
        name for name, check in CHECKS.items() if check.enabled
    )
    assert all(check.description for check in specs)
    assert {check.name for check in specs if check.blocking} == {"keys_unique", "export_complete"}
