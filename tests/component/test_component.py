"""The component from YAML, as Dagster loads it."""

import inspect
import json
import os
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing.test_cases import (
    TestOpCustomization as OpCustomization,
)
from dagster.components.testing.test_cases import (
    TestTranslation as Translation,
)
from dagster.components.testing.test_cases import (
    TestTranslationBatched as TranslationBatched,
)
from dagster.components.testing.utils import DefsFolderSandbox, create_defs_folder_sandbox
from jsonschema import Draft202012Validator

from redcap_dagster import (
    ChangeSensorSettings,
    CheckRules,
    CheckSettings,
    CleaningRules,
    DuckDBTableIOManager,
    FreshnessSettings,
    OpSettings,
    ParquetTableIOManager,
    PartitionSettings,
    QuerySettings,
    REDCapProjectComponent,
    REDCapResource,
    ScheduleSettings,
    build_redcap_definitions,
    on_change,
)
from redcap_dagster.api import ClientSettings
from redcap_dagster.component.yaml_options import option_model
from redcap_dagster.component.yaml_values import match_instruments
from redcap_dagster.dagster_private import get_local_state_path
from redcap_dagster.partitions import buckets
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables.quality import QualityRule
from tests.dagster_runs import TOKEN_VARIABLE
from tests.dictionary import field

METADATA = [
    field("id", "base"),
    field("weight", "follow_up_1"),
    field("height", "follow_up_2"),
]
PROJECT = REDCapProject.from_exports(metadata=METADATA)
RECORDS = dg.AssetKey(["trial", "records", "base"])
GROUPS = {"th_study_metadata", "th_study_records", "th_study_clean"}


def _yaml(**attributes: Any) -> dict[str, Any]:
    given = {
        "name": "trial",
        "url": "https://redcap.example.edu/api/",
        "token": f"{{{{ env.{TOKEN_VARIABLE} }}}}",
    }
    return {
        "type": "redcap_dagster.REDCapProjectComponent",
        "attributes": {**given, **attributes},
    }


@contextmanager
def loaded(
    state: REDCapProject | None = PROJECT, **attributes: Any
) -> Iterator[tuple[REDCapProjectComponent, dg.Definitions]]:
    """Load a component in a project of its own, with or without state."""
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent, defs_yaml_contents=_yaml(**attributes)
        )
        if state is not None:
            _keep(sandbox, state)
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, definitions):
            assert isinstance(component, REDCapProjectComponent)
            yield component, definitions


def _keep(sandbox: DefsFolderSandbox, state: REDCapProject, name: str = "trial") -> Path:
    """Write the state that a component finds, and say where."""
    with sandbox.build_component_tree():
        path = get_local_state_path(f"REDCapProjectComponent[{name}]", sandbox.project_root)
    path.write_text(state.to_json())
    return path


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.delenv("DAGSTER_IS_DEV_CLI", raising=False)


class TestTranslation(Translation):
    def test_translation(
        self,
        attributes: dict[str, Any],
        assertion: Callable[[dg.AssetSpec], bool],
        key_modifier: Callable[[dg.AssetKey], dg.AssetKey] | None,
    ) -> None:
        """Translated deps add to the data's own edge, which the suite does not know of."""
        modify = key_modifier or (lambda key: key)
        fields = modify(dg.AssetKey(["trial", "metadata", "fields"]))
        with loaded(translation=attributes) as (_, definitions):
            key = modify(RECORDS)
            spec = definitions.resolve_assets_def(key).get_asset_spec(key)
            others = [dep for dep in spec.deps if dep.asset_key != fields]
            assert len(others) == len(list(spec.deps)) - 1
            assert assertion(spec.replace_attributes(deps=others))


class TestTranslationBatched(TranslationBatched, TestTranslation):
    pass


class TestOpCustomization(OpCustomization):
    def test_op(
        self, attributes: dict[str, Any], assertion: Callable[[SimpleNamespace], bool]
    ) -> None:
        with loaded(op=attributes) as (_, definitions):
            made = definitions.resolve_assets_def(RECORDS)
            op = SimpleNamespace(
                name=made.op.name, tags=made.op.tags, backfill_policy=made.backfill_policy
            )
            assert assertion(op)


def test_translation_sees_the_table() -> None:
    with loaded(translation={"group_name": "trial_{{ props.layer }}"}) as (_, definitions):
        spec = definitions.resolve_assets_def(RECORDS).get_asset_spec(RECORDS)
        assert spec.group_name == "trial_records"


def test_settings_reach_the_assets() -> None:
    with loaded(
        instruments=["follow_up_*"],
        freshness={"fail_after": "36h"},
        op={
            "description": "Ask.",
            "pool": "redcap_example_edu",
            "tags": {"priority": "1"},
            "retry_policy": {"max_retries": 3, "backoff": "EXPONENTIAL", "jitter": "FULL"},
            "preview_rows": 5,
        },
        translation={
            "owners": ["team:trials"],
            "tags": {"table": "{{ props.table }}"},
            "key_prefix": "clinic",
        },
        schedule={"cron": "0 3 * * *"},
        storage={"duckdb": "trial.duckdb"},
        partitions={"buckets": 4},
        change_sensor={"every": 3_000, "default_status": "RUNNING"},
        queries=True,
        status=True,
    ) as (_, definitions):
        keys = {key.to_user_string() for key in definitions.resolve_all_asset_keys()}
        assert "clinic/trial/clean/follow_up_2" in keys
        assert "clinic/trial/clean/base" not in keys
        lists = {"queries/open", "queries/history", "status/forms"}
        assert {f"clinic/trial/{key}" for key in lists} <= keys
        key = dg.AssetKey(["clinic", "trial", "clean", "follow_up_1"])
        assets = definitions.resolve_assets_def(key)
        assert assets.get_asset_spec(key).freshness_policy == dg.FreshnessPolicy.time_window(
            timedelta(hours=36)
        )
        spec = assets.get_asset_spec(key)
        assert (list(spec.owners), spec.tags["table"]) == (["team:trials"], "follow_up_1")
        assert (assets.op.pool, assets.op.tags["priority"]) == ("redcap_example_edu", "1")
        assert assets.op.description == "Ask."
        assert assets.op.retry_policy == dg.RetryPolicy(
            max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL
        )
        assert assets.partitions_def == buckets(4)
        (sensor,) = definitions.sensors or ()
        assert isinstance(sensor, dg.SensorDefinition)
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert 3_000 <= (sensor.minimum_interval_seconds or 0) <= 3_600
        assert [schedule.name for schedule in definitions.schedules or ()] == ["trial__schedule"]


def test_places_of_tables_are_those_of_the_project_wherever_dagster_starts() -> None:
    def kept(**storage: Any) -> tuple[Any, Path]:
        with create_defs_folder_sandbox() as sandbox:
            path = sandbox.scaffold_component(
                component_cls=REDCapProjectComponent, defs_yaml_contents=_yaml(storage=storage)
            )
            _keep(sandbox, PROJECT)
            with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
                return (definitions.resources or {})["trial__io_manager"], sandbox.project_root

    options: dict[str, Any] = {"lock_timeout": 5, "storage_version": "v1.2.0"}
    manager, root = kept(duckdb="data/trial.duckdb", **options)
    assert manager == DuckDBTableIOManager(database=str(root / "data/trial.duckdb"), **options)
    manager, root = kept(parquet="tables")
    assert manager == ParquetTableIOManager(base_path=str(root / "tables"))
    for absolute in ("/srv/tables", "s3://bucket/tables"):
        manager, _ = kept(parquet=absolute, storage_options={"anon": True})
        assert manager == ParquetTableIOManager(base_path=absolute, storage_options={"anon": True})


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"duckdb": "a", "parquet": "b"},
        {"parquet": "b", "lock_timeout": 5},
        {"duckdb": "a", "storage_version": "1.4"},
        {"io_manager_key": "a", "storage_options": {}},
    ],
)
def test_tables_have_one_place(storage: dict[str, Any]) -> None:
    assert _wrong_in_yaml(storage=storage)
    with pytest.raises(ComponentTreeException), loaded(storage=storage):
        pass


@pytest.mark.parametrize(
    ("automation", "condition"),
    [
        ("on_change", on_change()),
        (
            {"on_cron": "0 3 * * *", "timezone": "Europe/Berlin"},
            dg.AutomationCondition.on_cron("0 3 * * *", "Europe/Berlin"),
        ),
    ],
)
def test_what_wakes_the_tables(automation: Any, condition: dg.AutomationCondition[Any]) -> None:
    with loaded(automation=automation) as (_, definitions):
        specs = definitions.resolve_all_asset_specs()
        assert len(specs) == 11
        assert {spec.automation_condition for spec in specs} == {condition}


def test_whatever_the_resource_takes_yaml_can_say() -> None:
    assert set(ClientSettings.model_fields) == set(REDCapResource.model_fields) - {"url", "token"}
    given = {
        "ca_bundle": "ca.pem",
        "verify_tls": False,
        "connect_timeout": 3.5,
        "read_timeout": 60.0,
        "total_timeout": 600.0,
        "retries": 1,
        "backoff": 0.5,
        "max_cells": 1_000,
        "max_records": None,
        "concurrency": 2,
        "max_failures": 5,
        "progress_timeout": 600.0,
        "rate_limit": None,
        "max_parameters": 500,
        "max_file_bytes": 1_000,
        "frames": "arrow",
    }
    assert set(given) == set(ClientSettings.model_fields)
    with loaded(client=given) as (_, definitions):
        resource = (definitions.resources or {})["trial__redcap"]
        assert {name: getattr(resource, name) for name in given} == given
        assert isinstance(resource.token, dg.EnvVar)
    with loaded() as (_, definitions):
        by_default = REDCapResource(url="https://redcap.example.edu/api/", token=resource.token)
        assert (definitions.resources or {})["trial__redcap"] == by_default


RULES_FILE = str(Path(__file__).parent / "rules.csv")

OPTIONS: dict[str, tuple[type, dict[str, Any], Any]] = {
    "cleaning": (
        CleaningRules,
        {
            "missing_values": ["?", "99"],
            "labels": "both",
            "checkboxes": "lists",
            "missing_reasons": True,
            "infer_types": False,
            "types": {"weight": "text"},
            "keep_unsaved": True,
        },
        CleaningRules(["?", "99"], "both", "lists", True, False, {"weight": "text"}, True),
    ),
    "checks": (
        CheckRules,
        {
            "settings": {"nothing_hidden": {"enabled": False}},
            "by_instrument": {"base": {"choices_known": {"severity": "error", "blocking": True}}},
            "max_drop": 0.5,
            "allow_shrink": True,
            "own_rules": [
                {"name": "Light", "logic": "[weight] < 10"},
                {"name": "Once", "unique": ["weight"], "severity": "error"},
            ],
            "own_rules_file": RULES_FILE,
        },
        CheckRules(
            settings={"nothing_hidden": CheckSettings(enabled=False)},
            by_instrument={
                "base": {"choices_known": CheckSettings(severity="error", blocking=True)}
            },
            max_drop=0.5,
            allow_shrink=True,
            own_rules=[
                QualityRule("Light", "[weight] < 10"),
                QualityRule("Once", unique=["weight"], severity="error"),
            ],
            own_rules_file=RULES_FILE,
        ),
    ),
    "partitions": (PartitionSettings, {"buckets": 4}, PartitionSettings(4)),
    "schedule": (
        ScheduleSettings,
        {"cron": "@daily", "timezone": "Europe/Berlin", "default_status": "RUNNING"},
        ScheduleSettings("@daily", "Europe/Berlin", dg.DefaultScheduleStatus.RUNNING),
    ),
    "change_sensor": (
        ChangeSensorSettings,
        {"every": 600, "default_status": "RUNNING"},
        ChangeSensorSettings(600, dg.DefaultSensorStatus.RUNNING),
    ),
    "queries": (
        QuerySettings,
        {
            "rules": ["within_range"],
            "severity": "error",
            "show_values": True,
            "confirmations": "confirmed.csv",
            "workbook": "to_mend",
        },
        QuerySettings(["within_range"], "error", True, "confirmed.csv", "to_mend"),
    ),
    "freshness": (
        FreshnessSettings,
        {"fail_after": "36h", "warn_after": "1d"},
        FreshnessSettings("36h", "1d"),
    ),
    "op": (
        OpSettings,
        {
            "name": "trial",
            "description": "Ask.",
            "pool": "redcap",
            "tags": {"priority": "1"},
            "retry_policy": {"max_retries": 2, "delay": 5},
            "backfill_policy": {"type": "single_run"},
            "preview_rows": 5,
        },
        OpSettings(
            "trial",
            "Ask.",
            "redcap",
            {"priority": "1"},
            dg.RetryPolicy(max_retries=2, delay=5),
            dg.BackfillPolicy.single_run(),
            5,
        ),
    ),
}
"""Name of an option to its class, YAML that gives each of its fields, and what that reads as."""


@pytest.mark.parametrize("name", OPTIONS)
def test_yaml_has_the_options_of_python(name: str) -> None:
    option, written, read = OPTIONS[name]
    assert list(written) == [each.name for each in fields(option)]
    assert _wrong_in_yaml(**{name: written}) == []
    with loaded(PROJECT, **{name: written}) as (component, _):
        assert getattr(component, name) == read
        assert type(getattr(component, name)) is option


def test_the_options_of_yaml_are_those_of_python() -> None:
    python = set(inspect.signature(build_redcap_definitions).parameters)
    yaml = set(REDCapProjectComponent.model().model_fields)
    assert python - yaml == {"redcap", "project", "translator"}
    assert yaml - python == {"url", "token", "client", "translation", "max_age", "defs_state"}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_schema_has_the_text_and_the_default_of_each_field(name: str) -> None:
    option, _, read = OPTIONS[name]
    schema = option_model(option, name).model_json_schema()
    required = {
        each.name
        for each in fields(option)
        if each.default is MISSING and each.default_factory is MISSING
    }
    assert set(schema.get("required", [])) == required
    given = option(**{each: getattr(read, each) for each in required})
    for name_of_field, shown in schema["properties"].items():
        assert len(shown["description"]) > 10
        if name_of_field not in required:
            default = getattr(given, name_of_field)
            expected = getattr(default, "value", default)
            assert shown["default"] == (list(expected) if isinstance(expected, tuple) else expected)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_misspelt_field_in_yaml_is_refused_with_the_name_meant(name: str) -> None:
    option, written, _ = OPTIONS[name]
    meant = fields(option)[0].name
    misspelt = {**written, meant + "x": written[meant]}
    assert _wrong_in_yaml(**{name: misspelt})
    with pytest.raises(ComponentTreeException) as refused, loaded(PROJECT, **{name: misspelt}):
        pass
    said = "".join(traceback.format_exception(refused.value))
    assert f"{name} has no option '{meant}x'. Did you mean '{meant}'?" in said
    assert "defs.yaml:" in said  # Dagster's words for the file and the line
    assert "valid string" not in said  # a template could be there, too


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"clening": {}}, "no option 'clening'. Did you mean 'cleaning'?"),
        ({"client": {"rate_limits": 3}}, "no option 'rate_limits'. Did you mean 'rate_limit'?"),
        ({"storage": {"duckbd": "a"}}, "storage has no option 'duckbd'. Did you mean 'duckdb'?"),
        (
            {"checks": {"settings": {"keys_unique": {"blokcing": True}}}},
            "has no option 'blokcing'. Did you mean 'blocking'?",
        ),
        (
            {"op": {"retry_policy": {"max_retry": 3}}},
            "retry_policy has no option 'max_retry'. Did you mean 'max_retries'?",
        ),
        ({"automation": {"on_corn": "@daily"}}, "Did you mean 'on_cron'?"),
    ],
)
def test_what_is_misspelt_anywhere_in_yaml_is_refused_with_the_name_meant(
    attributes: dict[str, Any], said: str
) -> None:
    assert _wrong_in_yaml(**attributes)
    with pytest.raises(ComponentTreeException) as refused, loaded(**attributes):
        pass
    assert said in "".join(traceback.format_exception(refused.value))


def test_every_option_has_a_text_and_a_default_in_the_schema() -> None:
    schema = REDCapProjectComponent.model().model_json_schema()
    for name, shown in schema["properties"].items():
        assert len(shown["description"]) > 10, name
        if name not in ("name", "url", "token", "defs_state"):  # the last is of Dagster
            assert shown["default"] in (None, False), name
    for name, shown in schema["$defs"]["ClientSettings"]["properties"].items():
        assert len(shown["description"]) > 10, name
        assert shown["default"] == ClientSettings.model_fields[name].default


def test_templates_within_options_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL", "redcap")
    with loaded(
        op={"pool": "{{ env.POOL }}", "tags": {"pool": "{{ env.POOL }}"}},
        cleaning={"missing_values": ["{{ env.POOL }}"]},
    ) as (component, _):
        assert component.op == OpSettings(pool="redcap", tags={"pool": "redcap"})
        assert component.cleaning == CleaningRules(missing_values=["redcap"])


def test_a_storage_of_ones_own() -> None:
    with loaded(storage={"io_manager_key": "warehouse", "kind": "postgres"}) as (_, definitions):
        warehouse = dg.Definitions(resources={"warehouse": ParquetTableIOManager(base_path="x")})
        spec = next(iter(dg.Definitions.merge(definitions, warehouse).resolve_all_asset_specs()))
        assert spec.metadata["dagster/io_manager_key"] == "warehouse"
        assert "postgres" in spec.kinds
        assert set(definitions.resources or {}) == {"trial__redcap"}


def test_two_components_never_collide(tmp_path: Path) -> None:
    storage = {"trial": {"duckdb": "trial.duckdb"}, "trial_clean": {"parquet": str(tmp_path)}}
    with create_defs_folder_sandbox() as sandbox:
        for name, kept in storage.items():
            sandbox.scaffold_component(
                component_cls=REDCapProjectComponent,
                defs_path=name,
                defs_yaml_contents=_yaml(
                    name=name,
                    storage=kept,
                    schedule={"cron": "@daily"},
                    automation="on_change",
                    change_sensor=True,
                    partitions={"buckets": 4},
                ),
            )
            _keep(sandbox, PROJECT, name)
        with sandbox.build_all_defs() as definitions:
            dg.Definitions.validate_loadable(definitions)
            assert len(definitions.resolve_all_asset_keys()) == 2 * 11
            repository = definitions.get_repository_def()
            assert {schedule.name for schedule in repository.schedule_defs} == {
                "trial__schedule",
                "trial_clean__schedule",
            }
            assert {sensor.name for sensor in repository.sensor_defs} >= {
                "trial__changes",
                "trial_clean__changes",
            }
            checks = Counter(
                check.asset_key.path[0] for check in repository.asset_graph.asset_check_keys
            )
            assert checks["trial"] == checks["trial_clean"] > 3 * 5
            managers = {
                name: type((definitions.resources or {})[f"{name}__io_manager"]) for name in storage
            }
            assert managers == {
                "trial": DuckDBTableIOManager,
                "trial_clean": ParquetTableIOManager,
            }


@pytest.mark.parametrize(
    ("attributes", "state", "said"),
    [
        ({"instruments": ["visit_*"]}, PROJECT.to_json(), r"visit_*"),
        ({"cleaning": {"types": {"gone": "text"}}}, PROJECT.to_json(), "gone"),
        ({"checks": {"by_instrument": {"gone": {}}}}, PROJECT.to_json(), "gone"),
        ({}, '{"format": 99}', "newer version of redcap-dagster"),
    ],
)
def test_one_that_fits_no_longer_stops_no_other(
    attributes: dict[str, Any], state: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with create_defs_folder_sandbox() as sandbox:
        for name, own in (("trial", {}), ("other", attributes)):
            sandbox.scaffold_component(
                component_cls=REDCapProjectComponent,
                defs_path=name,
                defs_yaml_contents=_yaml(name=name, **own),
            )
            _keep(sandbox, PROJECT, name)
        _keep(sandbox, PROJECT, "other").write_text(state)
        with sandbox.build_all_defs() as definitions:
            assert {key.path[0] for key in definitions.resolve_all_asset_keys()} == {"trial"}
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "REDCap project other: no assets" in warning
    assert said in warning
    assert "dg utils refresh-defs-state" in warning


def test_without_state_there_is_nothing_yet(caplog: pytest.LogCaptureFixture) -> None:
    with loaded(state=None) as (_, definitions):
        assert not definitions.resolve_all_asset_keys()
    assert "dg utils refresh-defs-state" in caplog.text


# -- what is refused -------------------------------------------------------------------------------


def _wrong_in_yaml(**attributes: Any) -> list[str]:
    """Say what ``dg check yaml`` finds wrong."""
    model = REDCapProjectComponent.get_model_cls()
    assert model is not None
    validator = Draft202012Validator(model.model_json_schema())
    return [error.message for error in validator.iter_errors(_yaml(**attributes)["attributes"])]


@pytest.mark.parametrize(
    ("attributes", "path", "message"),
    [
        (
            {"storage": {"ducdb": "x"}},
            ["storage"],
            "Additional properties are not allowed ('ducdb' was unexpected)",
        ),
        (
            {"freshness": {"fail_after": 36}},
            ["freshness", "fail_after"],
            "36 is not of type 'string'",
        ),
        (
            {"op": {"retry_policy": {"max_retries": "x"}}},
            ["op", "retry_policy", "max_retries"],
            "'x' is not of type 'integer'",
        ),
    ],
)
def test_what_is_wrong_inside_an_option_is_named_where_it_is(
    attributes: dict[str, Any], path: list[str], message: str
) -> None:
    given = _yaml(**attributes)["attributes"]
    validator = Draft202012Validator(REDCapProjectComponent.model().model_json_schema())
    assert next((list(e.path), e.message) for e in validator.iter_errors(given)) == (path, message)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "automation"])
def test_a_text_in_the_place_of_options_is_refused(name: str) -> None:
    with pytest.raises(ComponentTreeException) as refused, loaded(PROJECT, **{name: "x"}):
        pass
    said = "".join(traceback.format_exception(refused.value))
    assert f"{name}: it is a text, but has options of its own." in said


@pytest.mark.parametrize(
    "attributes",
    [{"max_age": "banana"}, {"name": "My-Study"}, {"freshness": {"fail_after": "banana"}}],
)
def test_what_cannot_be_is_refused_before_there_is_state(attributes: dict[str, Any]) -> None:
    assert _wrong_in_yaml(**attributes)
    if "freshness" not in attributes:
        with pytest.raises(ComponentTreeException), loaded(state=None, **attributes):
            pass


def test_templates_are_no_mistakes() -> None:
    given = {"name": "{{ env.NAME }}", "max_age": "{{ env.AGE }}"}
    assert _wrong_in_yaml(**given) == []
    assert _wrong_in_yaml(max_age="12h", freshness={"fail_after": "36 h"}) == []


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("token", 12345678901234567890123456789012),
        ("token", ["12345678901234567890123456789012"]),
        ("url", "https://me:12345678901234567890123456789012@redcap.example.edu/api/"),
    ],
)
def test_what_is_refused_is_not_shown(attribute: str, value: Any) -> None:
    secret = "12345678901234567890123456789012"
    assert secret not in str(_wrong_in_yaml(**{attribute: value}))
    with (
        pytest.raises(ComponentTreeException) as refused,
        loaded(state=None, **{attribute: value}),
    ):
        pass
    said = "".join(traceback.format_exception(refused.value))
    assert f"{attribute}: " in said
    assert secret not in said
    given = {"name": "trial", "url": "https://redcap.example.edu/api/", "token": "0" * 32}
    with pytest.raises(ValueError, match=attribute) as refused_in_python:
        REDCapProjectComponent(**{**given, attribute: value})
    assert secret not in str(refused_in_python.value)


# -- when the structure is fetched -----------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A REDCap with one form more than the state that is kept."""
    with Sandbox() as sandbox:
        added = [*METADATA, field("bmi", "added")]
        monkeypatch.setenv(TOKEN_VARIABLE, sandbox.add_project(exports={"metadata": added}))
        monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
        yield sandbox


def _has_added(definitions: dg.Definitions) -> bool:
    return dg.AssetKey(["trial", "clean", "added"]) in definitions.resolve_all_asset_keys()


def test_dev_fetches_where_there_is_no_state(server: Sandbox) -> None:
    with loaded(state=None, url=server.url) as (_, definitions):
        assert _has_added(definitions)


def test_dev_keeps_the_state_that_is_there(server: Sandbox) -> None:
    with loaded(url=server.url) as (_, definitions):
        assert not _has_added(definitions)
    assert server.requests == ()


@pytest.mark.parametrize(("age", "fetched"), [(3_000, False), (4_000, True)])
def test_dev_fetches_what_is_too_old(server: Sandbox, age: float, fetched: bool) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent,
            defs_yaml_contents=_yaml(url=server.url, max_age="1h"),
        )
        state = _keep(sandbox, PROJECT)
        os.utime(state, (time.time() - age, time.time() - age))
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            assert _has_added(definitions) is fetched


def test_a_fetch_that_fails_leaves_the_old_state(
    server: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "0" * 32)
    with loaded(url=server.url, max_age="0m") as (_, definitions):
        assert len(definitions.resolve_all_asset_keys()) == 11
    assert "structure not fetched" in caplog.text
    assert "0" * 32 not in caplog.text


def test_the_token_is_in_no_repr_of_a_component() -> None:
    component = REDCapProjectComponent(
        name="trial", url="https://redcap.example.edu/api/", token="0" * 32
    )
    assert "0" * 32 not in repr(component)


def test_a_form_shows_the_token_as_a_secret() -> None:
    model = REDCapProjectComponent.get_model_cls()
    assert model is not None
    schema = model.model_json_schema()
    assert schema["title"] == "REDCap project"
    assert schema["x-app-managed"] is True
    assert schema["properties"]["token"]["ui:widget"] == "secret"
    assert "ui:widget" not in schema["properties"]["url"]


def test_dg_lists_the_component_by_one_sentence() -> None:
    paragraph = (REDCapProjectComponent.__doc__ or "").split("\n\n")[0]
    assert paragraph.count(".") == 1
    assert paragraph.endswith(".")


def test_what_is_scaffolded_loads_as_written() -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent,
            defs_path="7th-Study",
            scaffold_params={"url": "https://redcap.example.org/api/", "token_env": "MY_TOKEN"},
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, _):
            assert isinstance(component, REDCapProjectComponent)
            assert (component.name, component.url) == (
                "th_study",
                "https://redcap.example.org/api/",
            )
            assert component.token == dg.EnvVar("MY_TOKEN")
            assert isinstance(component.token, dg.EnvVar)
        _keep(sandbox, PROJECT, "th_study")
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            assert {spec.group_name for spec in definitions.resolve_all_asset_specs()} == GROUPS
        file = path / "defs.yaml"
        options = r"(storage:|  duckdb:|schedule:|  cron:|  timezone:|  default_status:)"
        file.write_text(re.sub(f"^  # {options}", r"  \1", file.read_text(), flags=re.MULTILINE))
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            (schedule,) = definitions.schedules or ()
            assert isinstance(schedule, dg.ScheduleDefinition)
            assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_layer_is_a_group_by_default() -> None:
    with loaded() as (_, definitions):
        specs = definitions.resolve_all_asset_specs()
    assert {spec.group_name for spec in specs} == {f"trial_{spec.key.path[1]}" for spec in specs}


def test_help_has_no_marks_of_code() -> None:
    assert "`" not in (REDCapProjectComponent.__doc__ or "")
    lines = (inspect.getdoc(REDCapProjectComponent) or "").splitlines()
    assert max(map(len, lines[1:])) <= 78  # where a terminal breaks lines
    schema = REDCapProjectComponent.model().model_json_schema()
    of_dagster = [name for name in schema["$defs"] if name.startswith(("AssetSpec", "DefsState"))]
    for name in of_dagster:
        del schema["$defs"][name]
    assert "`" not in json.dumps(schema)
    assert schema["$defs"]["ClientSettings"]["description"].count(".") == 1


def test_the_environment_can_switch_a_schedule_on(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = {"cron": "@daily", "default_status": "{{ env('SCHEDULES', 'STOPPED') }}"}
    for status in ("STOPPED", "RUNNING"):
        with loaded(schedule=schedule) as (_, definitions):
            (made,) = definitions.schedules or ()
            assert isinstance(made, dg.ScheduleDefinition)
            assert made.default_status.name == status
        monkeypatch.setenv("SCHEDULES", "RUNNING")
    monkeypatch.setenv("SCHEDULES", "A" * 32)  # what else is in a variable may be a token
    with pytest.raises(ComponentTreeException) as refused, loaded(schedule=schedule):
        pass
    said = "".join(traceback.format_exception(refused.value))
    assert "'(32 characters)' is not one of RUNNING, STOPPED." in said
    assert "A" * 32 not in said


# -- patterns --------------------------------------------------------------------------------------


def test_patterns_that_choose_nothing_are_named() -> None:
    matched = match_instruments(PROJECT, ["follow_up_?", "base"])
    assert matched == ["base", "follow_up_1", "follow_up_2"]
    with pytest.raises(StructureError, match=r"\['visit_\*'\]"):
        match_instruments(PROJECT, ["visit_*", "base"])
