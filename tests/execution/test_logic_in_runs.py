"""Logic that refers to other instruments: from the run's export, from storage, within buckets."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from redcap_dagster import CheckRules, CheckSettings, CleaningRules, PartitionSettings
from redcap_dagster.automation import FOLLOWS_CHANGES
from tests.dagster_runs import Study, check_results, entry, materializations, studying
from tests.dictionary import field

METADATA = [
    field("id", "base"),
    field("sex", "base"),
    field("weeks", "visit", required_field="y", branching_logic="[sex] = '1'"),
    field("other", "visit", branching_logic="[sex] = '2'"),
    field("broken", "visit", required_field="y", branching_logic="[sex"),
]
RECORDS = [
    {
        "id": str(number),
        "sex": "1" if number < 4 else "2",
        "base_complete": "2",
        "weeks": "7" if number == 1 else "",
        "other": "x" if number in (1, 4) else "",
        "broken": "x",
        "visit_complete": "2",
    }
    for number in range(1, 7)
]
CHECKS = [("study/clean/visit", name) for name in ("required_filled", "hidden_filled")]
FOUND = [
    "Blanks in required fields: weeks (2). Not evaluated: broken (its branching logic cannot be",
    "Values in hidden fields: other (1). Not evaluated: broken (its branching logic cannot be",
]
UNKNOWN = [
    "All required fields are filled.",
    "No field has a value where its branching logic hides it.",
]


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with studying(tmp_path, exports={"metadata": METADATA}, records=RECORDS) as study:
        yield study


def assert_found(result: dg.ExecuteInProcessResult, texts: list[str]) -> None:
    found = [str(check_results(result)[check].description) for check in CHECKS]
    assert all(text.startswith(expected) for text, expected in zip(found, texts, strict=True)), (
        found
    )


def test_references_are_looked_up_in_the_export_or_in_storage(study: Study) -> None:
    definitions = study.definitions(cleaning=CleaningRules(missing_reasons=True))
    visit = ["study/records/visit", "study/clean/visit"]
    # Nothing is stored of the other instrument: what it decides cannot be said.
    alone = study.run(definitions, select=visit)
    assert alone.success
    assert_found(alone, UNKNOWN)
    reasons = study.table("study_clean.visit")["weeks_missing"].to_pylist()
    assert sorted(map(str, reasons)) == ["None", *["cannot be said"] * 5]
    assert_found(study.run(definitions), FOUND)
    assert_found(study.run(definitions, select=["study/clean/visit"]), FOUND)
    assert_found(study.check(definitions, CHECKS), FOUND)
    reasons = study.table("study_clean.visit")["weeks_missing"].to_pylist()
    assert sorted(map(str, reasons)) == ["None", "blank", "blank", *["not asked"] * 3]


def test_logic_that_cannot_be_evaluated_is_on_the_page_of_the_fields(study: Study) -> None:
    made = materializations(study.run(study.definitions(), select=["study/metadata/fields"]))
    table = entry(made["study/metadata/fields"], "redcap/logic_problems")
    assert re.search(r"\| broken \| visit \| its branching logic cannot be read: ", table)
    assert table.count("\n") == 2  # the others can be evaluated


def test_records_of_different_moments_are_not_compared(study: Study) -> None:
    """The value that decides may have changed since it was stored."""
    definitions = study.definitions()
    assert_found(study.run(definitions), FOUND)
    for record in ("1", "2", "3"):
        study.sandbox.edit(study.token, record=record, field="sex", value="2")
    alone = study.run(definitions, select=["study/records/visit", "study/clean/visit"])
    assert_found(alone, UNKNOWN)
    assert_found(study.run(definitions, select=["study/clean/visit"]), UNKNOWN)
    assert_found(study.check(definitions, CHECKS), UNKNOWN)
    study.run(definitions, select=["study/records/base", "study/records/visit"])
    changed = [UNKNOWN[0], "Values in hidden fields: weeks (1)."]
    assert_found(study.check(definitions, CHECKS), changed)
    followed = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=study.instance,
        asset_selection=[dg.AssetKey(["study", layer, "visit"]) for layer in ("records", "clean")],
        tags={FOLLOWS_CHANGES: "true"},
    )
    assert_found(followed, changed)


def test_references_are_looked_up_within_buckets(study: Study) -> None:
    definitions = study.definitions(partitions=PartitionSettings(2))
    assets = dg.AssetSelection.assets(
        *(["study", layer, form] for layer in ("records", "clean") for form in ("base", "visit"))
    )
    job = dg.define_asset_job("buckets", selection=assets)
    whole = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    rows = blanks = 0
    for bucket in ("1-of-2", "2-of-2"):
        result = whole.resolve_job_def("buckets").execute_in_process(
            instance=study.instance, partition_key=bucket
        )
        found = check_results(result)[CHECKS[0]]
        counts = found.metadata["redcap/counts"].value
        assert isinstance(counts, dict)
        blanks += counts.get("weeks", 0)
        rows += result.output_for_node("study__tables", "study__clean__visit").num_rows
    assert (rows, blanks) == (6, 2)


def test_the_rows_that_need_required_fields_are_an_option(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    rules = CheckRules({"required_filled": CheckSettings(of="all")})
    study.definitions(checks=rules)
    assert "Set keep_unsaved in the cleaning rules" in caplog.text
    with pytest.raises(ValueError, match="only required_filled has it"):
        CheckRules({"hidden_filled": CheckSettings(of="saved")})
    token = study.add_edited(METADATA, [{**row, "visit_complete": "0"} for row in RECORDS])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_REDCAP_TOKEN", token)
        rules = CheckRules({"required_filled": CheckSettings(of="all")})
        cleaning = CleaningRules(keep_unsaved=True)
        assert_found(study.run(study.definitions(checks=rules, cleaning=cleaning)), FOUND)
        assert_found(study.run(study.definitions(cleaning=cleaning)), [UNKNOWN[0], FOUND[1]])
