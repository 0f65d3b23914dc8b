"""What each check finds in real runs, and which results a run has."""

from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import (
    CheckRules,
    CheckSettings,
    CleaningRules,
    REDCapProject,
)
from redcap_dagster.api import RecordExport, REDCapClient
from redcap_dagster.api.export.verification.census import incomplete_error
from redcap_dagster.execution.run import EXPORT_CHECKS
from redcap_dagster.sandbox.faults import DroppedRecords
from redcap_dagster.sandbox.http.fault import InterceptedRequest, OutgoingResponse, REDCap
from redcap_dagster.sandbox.http.response_rows import is_csv
from tests.checks.conftest import ALL, METADATA, ON_CLEAN, RECORDS, failures, reasons, without
from tests.dagster_runs import (
    TOKEN_VARIABLE,
    Study,
    check_results,
    entry,
    materializations,
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
    assert {one.metadata["redcap/count"].value for one in found.values()} == {0}
    again = check_results(study.run())
    told = again["study/records/base", "rows_not_dropping"]
    assert told.description == "5 rows, 5 at the last materialization."


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
    token = study.add_edited(METADATA, spoiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run()
    assert result.success
    assert failures(result) == {
        ("study/clean/base", "choices_known"): "Unknown codes: sex (1).",
        ("study/clean/base", "values_fit_types"): "Invalid values: age (1).",
        ("study/clean/base", "within_range"): "Values out of range: age (2).",
        ("study/clean/base", "required_filled"): "Blanks in required fields: sex (1).",
        ("study/clean/visit", "inferred_types_stable"): (
            "Inferred types changed: weight (integer before, text now). To fix a type, set it in "
            "the cleaning rules."
        ),
        ("study/clean/visit", "within_range"): (
            "Values out of range: seen (1). Limits that were not evaluated: seen (max today)."
        ),
    }
    found = check_results(result)
    counts = [found[key].metadata["redcap/count"].value for key in sorted(failures(result))]
    assert counts == [1, 1, 1, 2, 1, 1]
    severities = {check_results(result)[key].severity for key in failures(result)}
    assert severities == {dg.AssetCheckSeverity.WARN}


def test_types_that_an_earlier_version_inferred_are_compared(study: Study) -> None:
    """It recorded them as metadata, not as tags of the columns."""
    before = dg.TableSchema([dg.TableColumn("weight", "double"), dg.TableColumn("seen", "text")])
    metadata: Any = {
        "dagster/column_schema": before,
        "redcap/inferred_types": {"weight": "double"},
    }
    study.instance.report_runless_asset_event(
        dg.AssetMaterialization(["study", "clean", "visit"], metadata=metadata)
    )
    study.sandbox.edit(study.token, record="1", field="weight", value="heavy")
    told = failures(study.run())["study/clean/visit", "inferred_types_stable"]
    assert told.startswith("Inferred types changed: weight (double before, text now).")


def test_codes_that_share_a_label_are_told_by_field(study: Study) -> None:
    metadata = [
        METADATA[0],
        {**METADATA[1], "select_choices_or_calculations": "0, Female | 1, Male | 9, Male"},
        *METADATA[2:],
    ]
    records = [{**RECORDS[0], "sex": "9"}, *RECORDS[1:]]
    token = study.sandbox.add_project(exports={"metadata": metadata}, records=records)
    definitions = study.definitions(project=REDCapProject.from_exports(metadata=metadata))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run(definitions)
        both = study.run(study.definitions(cleaning=CleaningRules(labels="both")))
    assert failures(result) == {
        ("study/clean/base", "labels_distinct"): (
            "Codes that share a label, so that the clean table has one value for them: sex (2). "
            "Set labels to 'both' or 'codes' in the cleaning rules."
        )
    }
    assert failures(both) == {}


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


@dataclass(frozen=True)
class RenamedColumn:
    """Responses in CSV in which a column has another name."""

    name: bytes
    other: bytes

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        response = await redcap()
        if not is_csv(response):
            return response
        header, newline, rows = response.body.partition(b"\n")
        names = [self.other if name == self.name else name for name in header.split(b",")]
        return replace(response, body=b",".join(names) + newline + rows)


def test_a_column_that_every_response_renames_is_named_beside_its_new_name(study: Study) -> None:
    definitions = study.definitions()
    study.sandbox.inject(RenamedColumn(b"age", b"alter"), content="record")
    found = failures(study.run(definitions))["study/records/base", "nothing_hidden"]
    assert "hide columns: age. REDCap also sent columns that were not requested: alter. If" in found


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
        "All visible required fields are filled. "
        "Not evaluated, because export rights hide them: age."
    )
    assert alone["study/clean/base", "required_filled"] == text


def test_rows_that_drop_are_an_error_that_stops_nothing(study: Study) -> None:
    definitions = study.definitions(checks=CheckRules(max_drop=0.3, allow_shrink=True))
    assert study.run(definitions).success
    without(study, "1")
    assert failures(study.run(definitions)) == {}
    without(study, "2", "3")
    result = study.run(definitions)
    text = "2 rows, 4 at the last materialization. More than 30% of the rows are gone."
    dropped = {(f"study/records/{form}", "rows_not_dropping"): text for form in ("base", "visit")}
    assert result.success
    assert failures(result) == dropped
    assert study.table("study_clean.base").num_rows == 2
    assert failures(study.check(definitions, list(dropped))) == dropped


def test_a_blocking_check_stops_the_clean_table_of_its_form_alone(study: Study) -> None:
    rules = CheckRules(by_instrument={"visit": {"rows_not_dropping": CheckSettings(blocking=True)}})
    definitions = study.definitions(checks=replace(rules, allow_shrink=True))
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
    definitions = study.definitions(checks=replace(rules, allow_shrink=True))
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
        "Missing records by event: 2."
    )
    assert failures(result).keys() == ALL - {("study/metadata/fields", "dictionary_drift")}
    assert not any("records" in key or "clean" in key for key in materializations(result))
    assert study.table("study_records.base").num_rows == 5


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
