"""What assets tell of themselves, in real runs: columns, lineage, origin, counts, versions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from redcap_dagster import (
    CleaningRules,
    DagsterREDCapTranslator,
    OpSettings,
    ParquetTableIOManager,
    REDCapProject,
    REDCapResource,
    StorageSettings,
    build_redcap_assets_definitions,
    build_redcap_definitions,
)
from redcap_dagster.catalog.source import ProjectSource
from tests.dagster_runs import Study, entry, materializations, studying, summary
from tests.dictionary import field

METADATA = [
    field("id", "base", label="Study id", identifier="y"),
    field(
        "sex", "base", type="radio", label="Sex", choices="0, Female | 1, Male", required_field="y"
    ),
    field(
        "born",
        "base",
        label="Date of birth",
        identifier="y",
        validation="date_ymd",
        maximum="today",
    ),
    field("pain", type="checkbox", label="Where", choices="1, Head | 2, Back"),
    field("note", type="notes"),
]
RECORDS = [
    {
        "id": str(number),
        "sex": str(number % 2),
        "born": "1980-02-03",
        "base_complete": "2",
        "pain___1": "1",
        "note": "" if number > 9 else "a | b",
        "visit_complete": "2",
    }
    for number in range(1, 13)
]
EXPORTS: dict[str, Any] = {
    "metadata": METADATA,
    "project": {"project_title": "A [small] study"},
}


RULES = CleaningRules(labels="both", checkboxes="lists", missing_reasons=True)
STUDY: dict[str, Any] = {"exports": EXPORTS, "records": RECORDS}


def columns(materialization: dg.AssetMaterialization) -> dict[str, dg.TableColumn]:
    return {one.name: one for one in entry(materialization, "dagster/column_schema").columns}


def test_columns_say_what_the_dictionary_asks_of_them(study: Study) -> None:
    made = materializations(study.run())
    for layer, kinds in (("records", ("text", "text")), ("clean", ("choice", "date"))):
        told = columns(made[f"study/{layer}/base"])
        assert (told["sex"].type, told["born"].type) == kinds
        assert told["sex"].description == "Sex [0, Female | 1, Male]"
        assert told["sex"].constraints.other == ["required"]
        assert told["born"].constraints.other == ["max today"]
        assert {name for name, one in told.items() if one.tags} == {"id", "born"}
        assert told["born"].tags == {"identifier": ""}
        key = told["id"].constraints
        assert (key.nullable, key.unique) == (False, True)
        assert told["sex"].constraints.nullable
        schema = entry(made[f"study/{layer}/base"], "dagster/column_schema")
        assert schema.constraints.other == ["unique key: id"]


def test_lineage_of_columns_is_exact(study: Study) -> None:
    made = materializations(study.run(study.definitions(cleaning=RULES)))
    lineage = entry(made["study/clean/visit"], "dagster/column_lineage").deps_by_column
    records = columns(made["study/records/visit"])
    assert list(lineage) == list(columns(made["study/clean/visit"]))
    told = {
        name: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps]
        for name, deps in lineage.items()
    }
    assert all(column in records for deps in told.values() for _, column in deps)
    assert {key for deps in told.values() for key, _ in deps} == {"study/records/visit"}
    assert [column for _, column in told["pain_code"]] == ["pain___1", "pain___2"]
    assert [column for _, column in told["note_missing"]] == ["note"]


def test_where_tables_are_from_and_how_they_were_asked_for(study: Study) -> None:
    before = datetime.now(UTC).timestamp()
    made = materializations(study.run())
    project_id = entry(made["study/records/base"], "redcap/project_id")
    for materialization in made.values():
        assert entry(materialization, "redcap/version") == "14.7.3"
        assert entry(materialization, "redcap/project") == (
            f"{study.sandbox.url.removesuffix('/api/')}/redcap_v14.7.3/index.php?pid={project_id}"
        )
    for table in ("records/base", "records/_census", "metadata/fields"):
        moment = entry(made[f"study/{table}"], "redcap/exported_at")
        assert before <= moment <= datetime.now(UTC).timestamp()
    request = entry(made["study/records/base"], "redcap/request")
    assert request["content"] == "record"
    assert request["exportSurveyFields"] == "true"
    assert "token" not in request
    assert entry(made["study/records/base"], "redcap/consistent") is True
    name = f"{study.database}.study_clean.base"
    assert entry(made["study/clean/base"], "dagster/table_name") == name


def test_counts_by_column(study: Study) -> None:
    made = materializations(study.run())
    base, visit = (made[f"study/clean/{form}"] for form in ("base", "visit"))
    assert summary(visit, "missing") == {"note": "3"}
    assert summary(visit, "distinct") == {
        "id": "12", "pain___1": "1", "pain___2": "1", "visit_complete": "1"
    }, "nine rows have a note"  # fmt: skip
    assert summary(base, "distinct")["sex"] == "2"
    assert list(summary(base, "type")) == ["id", "sex", "born", "base_complete"]
    assert entry(base, "dagster/row_count") == 12
    assert summary(made["study/records/visit"], "missing") == {"note": "3"}
    assert entry(made["study/records/visit"], "redcap/missing_values") == 3


def test_every_field_counts_once(tmp_path: Path) -> None:
    """Whatever columns the rules add; and labels are text, whatever marks they have."""
    metadata = [
        field("id", "base"),
        field("age", "base", label="<b>Age</b> | in\nyears"),
        field("sex", "base", type="radio", choices="0, F | 1, M"),
        field("race", "base", type="checkbox", label="*Race*", choices="1, A | 2, B"),
    ]
    records = [
        {"id": "1", "age": "?", "sex": "7", "base_complete": "2"},
        {"id": "2", "age": "4", "race___1": "1", "base_complete": "2"},
    ]
    with studying(tmp_path, exports={"metadata": metadata}, records=records) as study:
        made = materializations(study.run(study.definitions(cleaning=RULES)))["study/clean/base"]
    assert "sex_missing" in columns(made)
    assert summary(made, "missing") == {"age": "1", "sex": "2", "sex_code": "2"}
    assert summary(made, "replaced") == {"age": "1"}
    assert summary(made, "invalid") == {"sex": "1", "sex_code": "1"}
    assert summary(made, "type")["race_code"] == "list of text"
    labels = summary(made, "label")
    assert (labels["age"], labels["race"]) == (
        r"&lt;b&gt;Age&lt;/b&gt; \| in years",
        r"\*Race\*",
    )
    totals = [entry(made, f"redcap/{name}_values") for name in ("missing", "replaced", "invalid")]
    assert totals == [3, 1, 1]
    numbers = {key for key, one in made.metadata.items() if isinstance(one, dg.IntMetadataValue)}
    assert "redcap/project_id" not in numbers


def test_columns_are_in_the_catalog_before_the_first_run(study: Study) -> None:
    definitions = study.definitions(cleaning=RULES)
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    declared = {
        key: spec.metadata["dagster/column_schema"]
        for key, spec in specs.items()
        if "dagster/column_schema" in spec.metadata
    }
    assert declared.keys() == {"study/clean/base", "study/clean/visit"}  # records have the same
    made = materializations(study.run(definitions))
    assert declared == {key: entry(made[key], "dagster/column_schema") for key in declared}


def test_types_that_a_user_may_want_to_set_are_named_with_yaml_to_paste(tmp_path: Path) -> None:
    metadata = [
        field("id", "base"),
        field("diagnosis", "base"),
        field("site", "base", validation="integer"),
        field("weight", "base"),
        field("sample", "base", validation="number"),
    ]
    samples = ["1234567890123456789", "0.1234567890123456", "1000000000000000000"]
    records = [
        {"id": str(number), "diagnosis": text, "site": site, "weight": "1.5", "sample": sample}
        for number, (text, site, sample) in enumerate(
            zip(["345.1", "345.10", "4"], ["007", "12", "01"], samples, strict=True)
        )
    ]
    with studying(tmp_path, exports={"metadata": metadata}, records=records) as study:
        made = materializations(study.run())["study/clean/base"]
        hints = {
            key: entry(made, f"redcap/{key}")
            for key in ("kept_as_text", "leading_zeros", "rounded")
        }
        assert hints["kept_as_text"].endswith(
            "```yaml\ncleaning:\n  types:\n    diagnosis: double\n```"
        )
        assert "sample (1)" in hints["rounded"]
        assert "site (2)" in hints["leading_zeros"]
        assert hints["leading_zeros"].endswith("```yaml\ncleaning:\n  types:\n    site: text\n```")
        for key, hint in hints.items():
            pasted = yaml.safe_load(hint.partition("```yaml")[2].partition("```")[0])
            rules = CleaningRules(types=pasted["cleaning"]["types"])
            again = materializations(study.run(study.definitions(cleaning=rules)))
            assert f"redcap/{key}" not in again["study/clean/base"].metadata


def test_rows_are_shown_only_where_asked_for(study: Study) -> None:
    made = materializations(study.run())
    assert not any("redcap/preview" in one.metadata for one in made.values())
    made = materializations(study.run(study.definitions(op=OpSettings(preview_rows=1))))
    assert entry(made["study/clean/visit"], "redcap/preview") == (
        "| id | pain___1 | pain___2 | note | visit_complete |\n"
        "| --- | --- | --- | --- | --- |\n"
        r"| 1 | True | False | a \| b | Complete |"
    )
    assert "redcap/preview" not in made["study/records/_census"].metadata


@pytest.mark.parametrize("stored", [dg.IntMetadataValue(12), dg.TextMetadataValue("12")])
def test_the_project_of_earlier_materializations_is_known(stored: Any) -> None:
    assert ProjectSource.from_metadata({"redcap/project_id": stored}).project_id == 12


# -- definitions ----------------------------------------------------------------------------------


def project(*edited: dict[str, str], **info: Any) -> REDCapProject:
    edits = {row["field_name"]: row for row in edited}
    rows = [row | edits.get(row["field_name"], {}) for row in METADATA]
    given = {"project_id": 12, "project_title": "A small study", **info}
    return REDCapProject.from_exports(metadata=rows, info=given, version="14.7.3")


def specs(**options: Any) -> dict[str, dg.AssetSpec]:
    made = build_redcap_assets_definitions(name="s", **{"project": project(), **options})
    return {spec.key.to_user_string(): spec for assets in made for spec in assets.specs}


def test_descriptions_link_to_the_project() -> None:
    url = "https://redcap.example.edu/api/"
    home = "https://redcap.example.edu/redcap_v14.7.3/index.php?pid=12"
    for spec in specs(translator=DagsterREDCapTranslator(url=url)).values():
        assert str(spec.description).endswith(f"\n\nProject: [A small study]({home})")
    assert str(specs()["s/clean/visit"].description).startswith(
        "Visit: the rows of the records table, with types, labels and nulls."
    )
    assert str(specs()["s/clean/visit"].description).endswith("\n\nProject: A small study")


def test_what_resources_tell_is_shown(tmp_path: Path) -> None:
    def shown(**given: Any) -> dg.AssetSpec:
        made = build_redcap_definitions(
            name="s",
            project=project(),
            redcap=REDCapResource(url=given.pop("url"), token=dg.EnvVar("X")),
            **given,
        )
        key = dg.AssetKey(["s", "clean", "visit"])
        (spec,) = [
            assets.get_asset_spec(key)
            for assets in made.assets or ()
            if isinstance(assets, dg.AssetsDefinition) and key in assets.keys
        ]
        return spec

    parquet = shown(
        url="https://redcap.example.edu/api/",
        storage=ParquetTableIOManager(base_path=str(tmp_path)),
    )
    assert parquet.kinds == {"redcap", "table", "parquet"}
    assert "https://redcap.example.edu/redcap_v14.7.3/" in str(parquet.description)
    elsewhere = shown(url=dg.EnvVar("Y"), storage=StorageSettings("warehouse", kind="postgres"))
    assert elsewhere.kinds == {"redcap", "table", "postgres"}
    assert "https" not in str(elsewhere.description)


def changed(**options: Any) -> set[str]:
    """Name the assets whose code version changes with options."""
    before = specs()
    return {
        key
        for key, spec in specs(**options).items()
        if spec.code_version != before[key].code_version
    }


def test_code_versions_go_with_dictionary_and_rules() -> None:
    assert all(spec.code_version for spec in specs().values())
    assert changed() == set()
    assert (
        changed(
            translator=DagsterREDCapTranslator(group_name="other"),
            project=project(project_title="Another"),
        )
        == set()
    )
    edited = {"field_name": "note", "field_label": "Notes"}
    assert changed(project=project(edited)) == {"s/records/visit", "s/clean/visit"}
    clean = {"s/clean/base", "s/clean/visit"}
    assert changed(cleaning=CleaningRules(labels="codes")) == clean
    assert changed(project=project(missing_data_codes="UNK, Unknown")) >= clean
    unsaved = changed(cleaning=CleaningRules(keep_unsaved=True))
    assert unsaved == clean | {"s/records/base", "s/records/visit"}


def test_code_versions_do_not_go_with_the_order_of_rules() -> None:
    types: dict[str, Any] = {"born": "text", "note": "text"}
    rules = CleaningRules(types=types, missing_values=["?", "-"])
    other = CleaningRules(types=dict(reversed(types.items())), missing_values=["-", "?"])
    once, again = specs(cleaning=rules), specs(cleaning=other)
    assert {key: spec.code_version for key, spec in once.items()} == {
        key: spec.code_version for key, spec in again.items()
    }


def test_code_versions_of_records_go_with_what_decides_their_rows() -> None:
    def of_events(*forms: tuple[str, str], version: str = "14.7.3", **more: Any) -> dict[str, str]:
        structure = REDCapProject.from_exports(
            metadata=METADATA,
            events=[
                {"event_name": name, "arm_num": 1, "unique_event_name": name} for name in "abc"
            ],
            form_event_mapping=[
                {"arm_num": 1, "unique_event_name": event, "form": form} for event, form in forms
            ],
            version=version,
            **more,
        )
        made = specs(project=structure)
        return {key: str(spec.code_version) for key, spec in made.items()}

    def differ(other: dict[str, str]) -> set[str]:
        return {key for key, version in once.items() if other[key] != version}

    base, visit = ("a", "base"), ("a", "visit")
    once = of_events(base, visit, ("b", "visit"))
    assert differ(of_events(("b", "visit"), visit, base)) == set()
    assert differ(of_events(base, visit, ("c", "visit"))) == {"s/records/visit"}
    records = {"s/records/base", "s/records/visit"}
    assert differ(of_events(base, visit, ("b", "visit"), version="12.0.0")) == records
    repeats = [{"event_name": "b", "form_name": "visit"}]
    changed_keys = differ(of_events(base, visit, ("b", "visit"), repeating=repeats))
    assert changed_keys == {"s/records/visit", "s/clean/visit"}
