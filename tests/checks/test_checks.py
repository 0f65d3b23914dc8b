"""The checks of a project: which there are, what may be changed, and what each finds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from redcap_dagster import (
    CheckRules,
    CheckSettings,
    DagsterREDCapTranslator,
    REDCapResource,
    REDCapTableProps,
    build_redcap_assets_definitions,
)
from redcap_dagster.api import RecordExport, REDCapClient
from redcap_dagster.api.export.verification.census import incomplete_error
from redcap_dagster.checks import CHECKS
from redcap_dagster.execution.run import EXPORT_CHECKS
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.sandbox.faults import DroppedRecords, Status
from tests.dagster_runs import (
    TOKEN_VARIABLE,
    Study,
    check_results,
    entry,
    materializations,
    studying,
)

PROJECT = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "base"}])


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


# -- what each finds, in real runs ----------------------------------------------------------------

METADATA = [
    {"field_name": "id", "form_name": "base"},
    {
        "field_name": "sex",
        "form_name": "base",
        "field_type": "radio",
        "select_choices_or_calculations": "0, Female | 1, Male",
        "required_field": "y",
    },
    {
        "field_name": "age",
        "form_name": "base",
        "text_validation_type_or_show_slider_number": "integer",
        "text_validation_min": "18",
        "text_validation_max": "99",
        "identifier": "y",
    },
    {"field_name": "weight", "form_name": "visit"},
    {
        "field_name": "seen",
        "form_name": "visit",
        "text_validation_type_or_show_slider_number": "date_ymd",
        "text_validation_min": "2020-01-01",
        "text_validation_max": "today",
    },
]
RECORDS = [
    {
        "id": str(number),
        "sex": "1",
        "age": "40",
        "base_complete": "2",
        "weight": "70",
        "seen": "2024-02-03",
        "visit_complete": "2",
    }
    for number in range(1, 6)
]
ON_RECORDS = ("export_complete", "keys_unique", "nothing_hidden", "rows_not_dropping")
ON_CLEAN = (
    "choices_known",
    "inferred_types_stable",
    "required_filled",
    "values_fit_types",
    "within_range",
)
ALL = {
    ("study/metadata/fields", "dictionary_drift"),
    *((f"study/records/{form}", name) for form in ("base", "visit") for name in ON_RECORDS),
    *((f"study/clean/{form}", name) for form in ("base", "visit") for name in ON_CLEAN),
}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with studying(tmp_path, exports={"metadata": METADATA}, records=RECORDS) as study:
        yield study


def failures(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], str]:
    """Give the description of each check that did not pass."""
    return {key: one.description for key, one in check_results(result).items() if not one.passed}


def reasons(result: dg.ExecuteInProcessResult) -> str:
    """Give what the failed steps of a run say."""
    return " ".join(
        str(event.event_specific_data) for event in result.all_events if event.is_step_failure
    )


def test_each_check_gives_one_result_with_the_assets(study: Study) -> None:
    result = study.run()
    assert result.success
    assert check_results(result).keys() == ALL
    assert failures(result) == {}
    found = check_results(result)
    first = found["study/records/base", "rows_not_dropping"]
    assert first.metadata["redcap/not_evaluated"].value.startswith("there is no earlier")
    open_limits = found["study/clean/visit", "within_range"]
    assert open_limits.metadata["redcap/not_evaluated"].value == {"seen": "max today"}
    assert "seen (max today)" in open_limits.description
    again = check_results(study.run())
    told = again["study/records/base", "rows_not_dropping"]
    assert told.description == "5 rows, after 5 last time."


def test_each_check_gives_one_result_when_only_checks_are_launched(study: Study) -> None:
    definitions = study.definitions()
    assert study.run(definitions).success
    before = study.table("study_records.base")
    study.sandbox.edit(study.token, record="1", field="age", value="41")
    result = study.check(definitions, sorted(ALL))
    assert result.success
    assert check_results(result).keys() == ALL
    assert failures(result) == {}
    assert materializations(result) == {}
    assert study.table("study_records.base") == before


def test_checks_of_stored_tables_ask_for_no_record(study: Study) -> None:
    definitions = study.definitions()
    assert study.run(definitions).success
    asked = len(study.contents())
    checks = [("study/clean/base", "within_range"), ("study/records/base", "keys_unique")]
    assert check_results(study.check(definitions, checks)).keys() == set(checks)
    assert "record" not in study.contents()[asked:]


def test_the_checks_of_what_is_not_stored_do_not_pass(study: Study) -> None:
    result = study.check(study.definitions(), sorted(ALL))
    assert not result.success
    assert check_results(result).keys() == ALL
    of_redcap = {
        ("study/metadata/fields", "dictionary_drift"),
        *((f"study/records/{form}", name) for form in ("base", "visit") for name in EXPORT_CHECKS),
    }
    assert failures(result).keys() == ALL - of_redcap
    assert all(text.startswith("Not evaluated: ") for text in failures(result).values())


def test_some_assets_with_some_checks(study: Study) -> None:
    job = dg.define_asset_job(
        "some",
        selection=dg.AssetSelection.assets("study/records/base").without_checks()
        | dg.AssetSelection.checks(
            dg.AssetCheckKey(dg.AssetKey(["study", "records", "base"]), "keys_unique")
        ),
    )
    whole = dg.Definitions.merge(study.definitions(), dg.Definitions(jobs=[job]))
    result = whole.resolve_job_def("some").execute_in_process(instance=study.instance)
    assert check_results(result).keys() == {("study/records/base", "keys_unique")}
    assert materializations(result).keys() == {"study/records/base"}


def test_values_that_are_not_as_the_dictionary_wants(study: Study) -> None:
    spoiled = [
        *RECORDS[:1],
        {**RECORDS[1], "sex": "7", "age": "12", "seen": "2019-12-31"},
        {**RECORDS[2], "sex": "", "age": "old", "weight": "heavy"},
        {**RECORDS[3], "sex": "", "base_complete": "1", "age": "100"},
        *RECORDS[4:],
    ]
    assert study.run().success
    token = study.sandbox.add_project(exports={"metadata": METADATA}, records=spoiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run()
    assert result.success
    assert failures(result) == {
        ("study/clean/base", "choices_known"): ("Codes that their fields do not have: sex (1)."),
        ("study/clean/base", "values_fit_types"): "Values that do not fit their types: age (1).",
        ("study/clean/base", "within_range"): "Values out of range: age (2).",
        ("study/clean/base", "required_filled"): "Blanks in required fields: sex (1).",
        ("study/clean/visit", "inferred_types_stable"): (
            "Inferred types changed: weight (integer before, text now). Give them in the rules' "
            "types to settle them."
        ),
        ("study/clean/visit", "within_range"): (
            "Values out of range: seen (1). Limits that were not evaluated: seen (max today)."
        ),
    }
    severities = {check_results(result)[key].severity for key in failures(result)}
    assert severities == {dg.AssetCheckSeverity.WARN}


def test_columns_that_rights_hide_are_named(study: Study) -> None:
    study.sandbox.set_rights(study.token, {"forms_export": {"base": 3}})
    definitions = study.definitions()
    result = study.run(definitions)
    assert result.success
    hidden = {
        ("study/records/base", "nothing_hidden"): (
            "The rights of the token's user hide columns: age."
        )
    }
    assert failures(result) == hidden
    assert entry(materializations(result)["study/records/base"], "redcap/hidden_columns") == ["age"]
    alone = study.check(definitions, [("study/records/base", "nothing_hidden")])
    assert failures(alone) == hidden


def test_required_fields_that_are_hidden_are_not_taken_for_blank(study: Study) -> None:
    required = [{**METADATA[2], "required_field": "y"}]
    token = study.sandbox.add_project(
        exports={"metadata": [*METADATA[:2], *required, *METADATA[3:]]},
        records=RECORDS,
        rights={"forms_export": {"base": 3}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        definitions = study.definitions()
        found = failures(study.run(definitions))
        alone = failures(study.check(definitions, [("study/clean/base", "required_filled")]))
    text = found["study/clean/base", "required_filled"]
    assert text == (
        "All required fields that are visible are filled. "
        "Not evaluated, as export rights hide them: age."
    )
    assert alone["study/clean/base", "required_filled"] == text


def without(study: Study, *records: str) -> None:
    for record in records:
        study.sandbox.delete_record(study.token, record)


def test_rows_that_drop_are_an_error_that_stops_nothing(study: Study) -> None:
    definitions = study.definitions(checks=CheckRules(max_drop=0.3), allow_shrink=True)
    assert study.run(definitions).success
    without(study, "1")
    assert failures(study.run(definitions)) == {}
    without(study, "2", "3")
    result = study.run(definitions)
    text = "2 rows, after 4 last time. More than 30% of the rows are gone."
    dropped = {(f"study/records/{form}", "rows_not_dropping"): text for form in ("base", "visit")}
    assert result.success
    assert failures(result) == dropped
    assert study.table("study_clean.base").num_rows == 2
    assert failures(study.check(definitions, list(dropped))) == dropped


def test_a_blocking_check_stops_the_clean_table_of_its_form_alone(study: Study) -> None:
    rules = CheckRules(by_instrument={"visit": {"rows_not_dropping": CheckSettings(blocking=True)}})
    definitions = study.definitions(checks=rules, allow_shrink=True)
    assert study.run(definitions).success
    without(study, "1", "2", "3")
    result = study.run(definitions)
    assert not result.success
    assert "visit: stopped because the blocking check rows_not_dropping failed" in reasons(result)
    assert "base:" not in reasons(result)
    made = materializations(result)
    assert {"study/records/base", "study/clean/base", "study/records/visit"} <= made.keys()
    assert "study/clean/visit" not in made
    assert study.table("study_clean.base").num_rows == 2
    assert study.table("study_clean.visit").num_rows == 5
    found = failures(result)
    assert check_results(result).keys() == ALL
    open_checks = {("study/clean/visit", name) for name in ON_CLEAN}
    assert found.keys() - open_checks == {
        ("study/records/base", "rows_not_dropping"),
        ("study/records/visit", "rows_not_dropping"),
    }
    assert all(found[key].startswith("Not evaluated: ") for key in open_checks)


def test_severity_and_enabled_by_check_and_instrument(study: Study) -> None:
    rules = CheckRules(
        settings={
            "within_range": CheckSettings(severity="error"),
            "rows_not_dropping": CheckSettings(severity="warn", blocking=True),
            "required_filled": CheckSettings(enabled=False),
        },
        by_instrument={
            "visit": {"within_range": CheckSettings(severity="warn")},
            "base": {"required_filled": CheckSettings(enabled=True)},
        },
    )
    definitions = study.definitions(checks=rules, allow_shrink=True)
    assert study.run(definitions).success
    study.sandbox.edit(study.token, record="1", field="age", value="1")
    study.sandbox.edit(study.token, record="1", field="seen", value="1999-01-01")
    without(study, "4", "5")
    result = study.run(definitions)
    assert result.success, "a warning blocks nothing"
    found = check_results(result)
    assert found.keys() == ALL - {("study/clean/visit", "required_filled")}
    assert {key: found[key].severity.value for key in failures(result)} == {
        ("study/clean/base", "within_range"): "ERROR",
        ("study/clean/visit", "within_range"): "WARN",
        ("study/records/base", "rows_not_dropping"): "WARN",
        ("study/records/visit", "rows_not_dropping"): "WARN",
    }


def test_records_that_are_left_out_once_are_asked_for_again(study: Study) -> None:
    definitions = study.definitions()
    assert study.run(definitions).success
    census = 1
    study.sandbox.inject(DroppedRecords(2), content="record", after=census, times=1)
    result = study.run(definitions)
    assert result.success
    assert "export_complete" not in {check for _, check in failures(result)}
    assert study.table("study_records.base").num_rows == 5


def test_an_export_that_lacks_records_for_good_is_refused_and_counted(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = study.definitions()
    assert study.run(definitions).success

    def lacking(*_: Any, **__: Any) -> RecordExport:
        raise incomplete_error(2, ["base"])

    monkeypatch.setattr(REDCapClient, "export_snapshot", lacking)
    result = study.run(definitions)
    assert not result.success
    assert failures(result)["study/records/base", "export_complete"] == (
        "Records, by event, that REDCap lists and did not send: 2."
    )
    assert failures(result).keys() == ALL - {("study/metadata/fields", "dictionary_drift")}
    assert not any("records" in key or "clean" in key for key in materializations(result))
    assert study.table("study_records.base").num_rows == 5


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the export give each row two times."""
    honest = REDCapClient.export_snapshot

    def doubled(*given: Any, **selection: Any) -> RecordExport:
        export = honest(*given, **selection)
        return replace(export, table=pa.concat_tables([export.table] * 2))

    monkeypatch.setattr(REDCapClient, "export_snapshot", doubled)


TWICE = "Rows with the key of another row: 5."


@pytest.mark.usefixtures("twice")
def test_rows_that_come_twice_are_counted_and_not_stored(study: Study) -> None:
    result = study.run()
    assert not result.success
    assert check_results(result).keys() == ALL
    assert failures(result)["study/records/base", "keys_unique"] == TWICE
    assert "let keys_unique not be blocking" in reasons(result)
    assert not any("/base" in key for key in materializations(result))


@pytest.mark.usefixtures("twice")
def test_rows_that_come_twice_are_not_stored_where_no_check_was_asked_for(study: Study) -> None:
    select = dg.AssetSelection.assets("study/records/base").without_checks()
    job = dg.define_asset_job("unchecked", select)
    whole = dg.Definitions.merge(study.definitions(), dg.Definitions(jobs=[job]))
    unchecked = whole.resolve_job_def("unchecked")
    result = unchecked.execute_in_process(instance=study.instance, raise_on_error=False)
    assert not result.success
    assert materializations(result) == {}


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize(
    "settings", [CheckSettings(blocking=False), CheckSettings(severity="warn")]
)
def test_rows_that_come_twice_are_stored_where_they_may_be(
    study: Study, settings: CheckSettings
) -> None:
    rules = CheckRules(settings={"keys_unique": settings})
    result = study.run(study.definitions(checks=rules))
    assert result.success
    assert failures(result)["study/records/base", "keys_unique"] == TWICE
    assert study.table("study_clean.base").num_rows == 10


def test_a_form_that_fails_leaves_no_check_open(study: Study) -> None:
    definitions = study.definitions()
    token = study.sandbox.add_project(exports={"metadata": METADATA[:3]}, records=[])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run(definitions)
    assert "visit: REDCap no longer has this instrument" in reasons(result)
    found = failures(result)
    assert found["study/clean/visit", "within_range"].startswith(
        "Not evaluated: REDCap no longer has this instrument"
    )
    assert check_results(result).keys() == ALL
    assert {key for key, _ in found} == {
        "study/metadata/fields",
        "study/records/visit",
        "study/clean/visit",
    }


@pytest.mark.parametrize(
    ("changed", "severity", "text"),
    [
        ({"field_label": "Sex at birth"}, "WARN", "Changed since definitions were loaded: sex."),
        (
            {"select_choices_or_calculations": "0, Female | 1, Male | 2, Other"},
            "ERROR",
            "Types or choices of fields in use: sex.",
        ),
        ({"field_type": "dropdown"}, "ERROR", "Types or choices of fields in use: sex."),
    ],
)
def test_a_dictionary_that_drifted(
    study: Study, changed: dict[str, str], severity: str, text: str
) -> None:
    fields = "study/metadata/fields"
    definitions = study.definitions()
    edited = [METADATA[0], {**METADATA[1], **changed}, *METADATA[2:]]
    token = study.sandbox.add_project(exports={"metadata": edited}, records=RECORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        results = [
            study.run(definitions, select=[fields]),
            study.check(definitions, [(fields, "dictionary_drift")]),
        ]
    for result in results:
        assert result.success
        found = check_results(result)[fields, "dictionary_drift"]
        assert not found.passed
        assert found.severity.value == severity
        assert text in found.description
        assert "| sex | base | " in found.metadata["redcap/changes"].value


def test_drift_of_a_form_without_assets_is_a_warning(study: Study) -> None:
    definitions = study.definitions(instruments=["visit"])
    edited = [METADATA[0], {**METADATA[1], "field_type": "yesno"}, *METADATA[2:]]
    token = study.sandbox.add_project(exports={"metadata": edited}, records=RECORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run(definitions, select=["study/metadata/fields"])
    (found,) = check_results(result).values()
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)


# -- retries --------------------------------------------------------------------------------------


def retrying(study: Study) -> dg.Definitions:
    """Definitions whose ops are tried twice, while the client tries each request once."""
    redcap = REDCapResource(url=study.sandbox.url, token=dg.EnvVar(TOKEN_VARIABLE), retries=0)
    return study.definitions(redcap=redcap, retry_policy=dg.RetryPolicy(max_retries=1))


def test_an_op_is_tried_again_when_the_server_fails(study: Study) -> None:
    definitions = retrying(study)
    study.sandbox.inject(Status(503), content="record", after=1, times=1)
    result = study.run(definitions)
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == [
        "study__tables"
    ]
    assert failures(result) == {}
    assert check_results(result).keys() == ALL


def test_an_op_that_fails_for_good_leaves_no_check_open(study: Study) -> None:
    definitions = retrying(study)
    study.sandbox.inject(Status(503), content="record", after=1)
    result = study.run(definitions)
    assert not result.success
    assert any(event.is_step_up_for_retry for event in result.all_events)
    assert failures(result).keys() == ALL - {("study/metadata/fields", "dictionary_drift")}


def test_an_op_is_tried_again_when_the_project_was_changed_meanwhile(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, left = REDCapClient.export_snapshot, [None]

    def of_another_structure(*given: Any, **selection: Any) -> RecordExport:
        export = honest(*given, **selection)
        if not left:
            return export
        left.pop()
        events = pa.array(["now_arm_1"] * export.table.num_rows)
        return replace(export, table=export.table.append_column("redcap_event_name", events))

    monkeypatch.setattr(REDCapClient, "export_snapshot", of_another_structure)
    result = study.run(retrying(study))
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == [
        "study__tables"
    ]
    assert failures(result) == {}


def test_what_stays_wrong_is_not_tried_again(study: Study) -> None:
    definitions = retrying(study)
    study.sandbox.set_rights(study.token, {"api_export": 0})
    result = study.run(definitions, select=["study/records/base", "study/clean/base"])
    assert not result.success
    assert not any(event.is_step_up_for_retry for event in result.all_events)


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
    assert sorted(check.name for check in specs) == sorted(CHECKS)
    assert all(check.description for check in specs)
    assert {check.name for check in specs if check.blocking} == {"keys_unique", "export_complete"}
