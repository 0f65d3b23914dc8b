"""Assets of projects of every shape, made by real runs against a sandbox."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from redcap_dagster import CleaningRules, DagsterREDCapTranslator, REDCapTableProps
from redcap_dagster.api import RecordExport, REDCapClient
from tests.dagster_runs import (
    TOKEN_VARIABLE,
    Study,
    check_results,
    entry,
    keys,
    materializations,
    studying,
    summary,
    versions,
)
from tests.dictionary import field

METADATA = [
    field("id", "base", label="Study id"),
    field("sex", "base", type="radio", label="Sex", choices="0, Female | 1, Male"),
    field("weight"),
    field("pain", type="checkbox", choices="1, Head | 2, Back"),
]
RECORDS = [
    {"id": "1", "sex": "0", "base_complete": "2", "weight": "70", "visit_complete": "2"},
    {"id": "2", "sex": "1", "base_complete": "2", "weight": "?", "visit_complete": "1"},
    {"id": "10", "sex": "1", "base_complete": "0", "weight": "81.5", "visit_complete": "2"},
]
STRUCTURE = Counter(["project", "metadata", "instrument", "exportFieldNames", "version"])
METADATA_TABLES = ("project", "fields", "choices", "instruments")
ALL = (
    keys("metadata", METADATA_TABLES)
    | keys("records", ("_census", "base", "visit"))
    | keys("clean", ("base", "visit"))
)


STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}


def test_every_asset_is_materialized(study: Study) -> None:
    result = study.run()
    assert result.success
    assert materializations(result).keys() == ALL
    assert study.table("study_clean.base").to_pylist() == [
        {"id": "1", "sex": "Female", "base_complete": "Complete"},
        {"id": "2", "sex": "Male", "base_complete": "Complete"},
        {"id": "10", "sex": "Male", "base_complete": "Incomplete"},
    ]
    assert study.table("study_records.visit")["weight"].to_pylist() == ["70", "?", "81.5"]
    assert study.table("study_clean.visit")["weight"].to_pylist() == [70, None, 81.5]
    assert study.table("study_records._census").to_pylist() == [
        {"id": "1"},
        {"id": "2"},
        {"id": "10"},
    ]
    assert study.table("study_metadata.choices").num_rows == 4


def test_assets_that_were_renamed_afterwards_fail_and_say_how_to_name_them(study: Study) -> None:
    """Dagster knows them by keys that the op does not make: it would succeed with nothing."""
    defs = study.definitions()
    renamed = [
        one.with_attributes(asset_key_replacements={key: key.with_prefix("a") for key in one.keys})
        for one in defs.assets or ()
        if isinstance(one, dg.AssetsDefinition)
    ]
    defs = dg.Definitions(assets=renamed, resources=defs.resources)
    for result in (
        study.run(defs),
        study.run(defs, select=["a/study/metadata/fields"]),
        study.check(defs, [("a/study/clean/visit", "values_fit_types")]),
    ):
        failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        assert failures
        for failure in failures:
            assert failure.user_failure_data is not None
            said = str(failure.user_failure_data.description)
            assert "DagsterREDCapTranslator(key_prefix=...)" in said


def test_lineage_follows_the_data(study: Study) -> None:
    graph = study.definitions().resolve_asset_graph()
    edges = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    fields = "study/metadata/fields"
    assert edges == {
        **{key: set() for key in keys("metadata", METADATA_TABLES)},
        "study/records/_census": {fields},
        "study/records/base": {fields},
        "study/records/visit": {fields},
        "study/clean/base": {"study/records/base", fields},
        "study/clean/visit": {"study/records/visit", fields},
    }


def test_what_a_materialization_tells(study: Study) -> None:
    made = materializations(study.run())
    clean = made["study/clean/visit"]
    assert entry(clean, "dagster/row_count") == 3
    assert summary(clean, "replaced") == {"weight": "1"}
    assert summary(clean, "invalid") == {}
    assert summary(clean, "type")["weight"] == "double (inferred)"
    columns = {c.name: c for c in entry(made["study/clean/base"], "dagster/column_schema").columns}
    assert {name: column.type for name, column in columns.items()} == {
        "id": "text",
        "sex": "choice",
        "base_complete": "choice",
    }
    assert columns["sex"].description == "Sex [0, Female | 1, Male]"
    assert columns["id"].description == "Study id"
    name = made["study/clean/base"].metadata["dagster/table_name"].value
    assert name == f"{study.database}.study_clean.base"


def test_labels_go_along_into_the_warehouse(study: Study) -> None:
    assert study.run().success
    comments = study.table("(select column_name, comment from duckdb_columns())").to_pylist()
    assert {"column_name": "sex", "comment": "Sex [0, Female | 1, Male]"} in comments


# -- subsets --------------------------------------------------------------------------------------


def test_metadata_alone_asks_for_no_record(study: Study) -> None:
    definitions = study.definitions()
    asked = len(study.contents())
    result = study.run(definitions, select=["study/metadata/fields"])
    assert materializations(result).keys() == {"study/metadata/fields"}
    assert Counter(study.contents()[asked:]) == STRUCTURE


def test_one_form_asks_for_one_form(study: Study) -> None:
    definitions = study.definitions()
    asked = len(study.contents())
    result = study.run(definitions, select=["study/records/visit", "study/clean/visit"])
    assert materializations(result).keys() == {"study/records/visit", "study/clean/visit"}
    assert Counter(study.contents()[asked:]) == STRUCTURE + Counter(record=2)
    assert "forms" in " ".join(study.sandbox.requests[-1].parameters)


def test_clean_alone_takes_records_from_storage(study: Study) -> None:
    definitions = study.definitions()
    first = study.run(definitions)
    asked = len(study.contents())
    study.sandbox.edit(study.token, record="1", field="sex", value="1")
    again = study.run(definitions, select=["study/clean/base", "study/clean/visit"])
    assert materializations(again).keys() == {"study/clean/base", "study/clean/visit"}
    assert "record" not in study.contents()[asked:]
    assert versions(again).items() <= versions(first).items()


# -- what changes and what does not ---------------------------------------------------------------


@pytest.mark.slow
def test_requests_of_a_run_do_not_grow_with_forms_or_processes(
    study: Study, tmp_path: Path
) -> None:
    """Loading: the structure and a header. Then two steps, each its structure; one export."""
    module = tmp_path / "location_under_test.py"
    module.write_text(
        f"""
import dagster as dg
from redcap_dagster import DuckDBTableIOManager, REDCapResource, build_redcap_definitions

@dg.definitions
def defs():
    return build_redcap_definitions(
        name="study",
        redcap=REDCapResource(url={study.sandbox.url!r}, token=dg.EnvVar({TOKEN_VARIABLE!r})),
        storage=DuckDBTableIOManager(database={str(study.database)!r}),
    )
"""
    )
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*"]
    done = subprocess.run(
        [*command, "-f", module.name],
        cwd=tmp_path,
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert Counter(study.contents()) == Counter(
        {content: 3 * count for content, count in STRUCTURE.items()} | {"record": 1 + 2}
    )
    assert study.table("study_clean.base").num_rows == 3


def test_data_versions_change_with_the_data_alone(study: Study) -> None:
    first, second = versions(study.run()), versions(study.run())
    assert first == second
    assert first.keys() == ALL
    study.sandbox.edit(study.token, record="2", field="pain___2", value="1")
    third = versions(study.run())
    changed = {key for key in ALL if third[key] != second[key]}
    assert changed == {"study/records/visit", "study/clean/visit"}


def test_a_token_of_another_project_gives_other_versions(study: Study, tmp_path: Path) -> None:
    """A version is a keyed hash: it cannot be used to test a guess at what a table holds."""
    (tmp_path / "other").mkdir()
    ours = versions(study.run())
    with studying(tmp_path / "other", exports={"metadata": METADATA}, records=RECORDS) as other:
        theirs = versions(other.run())
    assert all(ours[key] != theirs[key] for key in ALL)


def test_a_form_that_fails_does_not_stop_the_others(study: Study) -> None:
    """A field was added whose name is that of the codes of another."""
    definitions = study.definitions(cleaning=CleaningRules(labels="both"))
    added = [*METADATA, field("sex_code", "base")]
    token = study.sandbox.add_project(exports={"metadata": added}, records=RECORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run(definitions)
    assert not result.success
    assert materializations(result).keys() == ALL - {"study/clean/base"}
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    text = str(failure.event_specific_data)
    assert "base: " in text
    assert "['sex_code']" in text
    assert study.table("study_clean.visit").num_rows == 3


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            [field("box", "base", type="checkbox", choices="A, North | a, South")],
            "base: Field 'box': REDCap exports the codes 'A' and 'a'",
        ),
        (
            [field("late_complete", "base"), field("dose", "late")],
            "late: REDCap exports the field 'late_complete' of the instrument 'base' and the",
        ),
        (
            [field("box", "base", type="checkbox", choices="1, A"), field("box___1", "late")],
            "late: REDCap exports an option of the field 'box' of the instrument 'base' and",
        ),
    ],
    ids=["options", "a status", "an option and a field"],
)
def test_fields_that_share_a_column_stop_their_forms_alone(
    fields: list[dict[str, str]], reason: str, tmp_path: Path
) -> None:
    metadata = [field("id", "base"), *fields, field("age", "visit")]
    records = [{"id": "1", "age": "40", "visit_complete": "2"}]
    with studying(tmp_path, exports={"metadata": metadata}, records=records) as study:
        result = study.run()
        made = materializations(result).keys()
        checked = check_results(result)
    assert {"study/records/visit", "study/clean/visit"} <= made
    assert not [key for key in made if key.endswith(("/base", "/late"))]
    assert not checked["study/records/base", "nothing_hidden"].passed
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert reason in str(failure.event_specific_data)


def test_rows_that_come_twice_replace_no_table(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert study.run().success
    honest = REDCapClient.export_snapshot

    def twice(*given: Any, **selection: Any) -> RecordExport:
        export = honest(*given, **selection)
        return replace(export, table=pa.concat_tables([export.table] * 2))

    monkeypatch.setattr(REDCapClient, "export_snapshot", twice)
    result = study.run()
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "base: 3 rows have the key of another row" in str(failure.event_specific_data)
    assert study.table("study_clean.base").num_rows == 3


@pytest.mark.parametrize("select", [None, ["study/records/visit", "study/clean/visit"]])
def test_a_form_that_left_redcap_is_named(study: Study, select: list[str] | None) -> None:
    definitions = study.definitions()
    token = study.sandbox.add_project(exports={"metadata": METADATA[:2]}, records=RECORDS[:0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run(definitions, select=select)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "visit: REDCap no longer has this instrument" in str(failure.event_specific_data)


# -- options ---------------------------------------------------------------------------------------


class _UnderClinic(DagsterREDCapTranslator):
    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        spec = super().get_asset_spec(props)
        return spec.replace_attributes(key=spec.key.with_prefix("clinic"), group_name="clinic")


def test_edges_and_storage_follow_the_translated_key(study: Study) -> None:
    definitions = study.definitions(translator=_UnderClinic(), instruments=["visit"])
    graph = definitions.resolve_asset_graph()
    clean = graph.get(dg.AssetKey(["clinic", "study", "clean", "visit"]))
    assert {key.to_user_string() for key in clean.parent_keys} == {
        "clinic/study/records/visit",
        "clinic/study/metadata/fields",
    }
    assert study.run(definitions).success
    assert study.table("clinic_study_clean.visit").num_rows == 3
    assert study.run(definitions, select=["clinic/study/clean/visit"]).success


def test_lists_and_reasons_are_stored(study: Study) -> None:
    rules = CleaningRules(checkboxes="lists", missing_reasons=True)
    study.sandbox.edit(study.token, record="2", field="pain___2", value="1")
    definitions = study.definitions(cleaning=rules)
    result = study.run(definitions)
    assert result.success
    table = study.table("study_clean.visit")
    assert table["pain"].to_pylist() == [[], ["Back"], []]
    assert table["weight_missing"].to_pylist() == [None, "?", None]
    assert versions(result) == versions(study.run(definitions))


def test_cells_that_belong_to_no_table_are_told(study: Study) -> None:
    """A form that is no longer there when the records are exported leaves its cells behind."""
    result = study.run()
    census = materializations(result)["study/records/_census"]
    assert entry(census, "redcap/belongs_nowhere") == {}


def test_rules_reach_the_tables(study: Study) -> None:
    rules = CleaningRules(labels="codes", types={"weight": "text"}, missing_values=[])
    assert study.run(study.definitions(cleaning=rules)).success
    assert study.table("study_clean.base")["sex"].to_pylist() == ["0", "1", "1"]
    assert study.table("study_clean.visit")["weight"].to_pylist() == ["70", "?", "81.5"]


@pytest.mark.parametrize("name", ["a-b", 'a"b', "_census", "é"])
def test_an_instrument_that_dagster_cannot_name_is_told_and_leaves_the_others(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = [field("id", "base"), field("weight", name), field("height", "visit")]
    records = [{"id": "1", "weight": "4", "height": "5"}]
    with studying(tmp_path, exports={"metadata": metadata}, records=records) as study:
        definitions = study.definitions()
        assert study.run(definitions).success
        tables = {key.path[-1] for key in definitions.resolve_all_asset_keys()}
    assert tables == {*METADATA_TABLES, "_census", "base", "visit"}
    warnings = {record.getMessage() for record in caplog.records if record.levelname == "WARNING"}
    assert any(repr([name]) in text and "Rename them in REDCap" in text for text in warnings)
