"""Definitions: what they are made of, and what is refused before anything is sent."""

import inspect
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import (
    ChangeSensorSettings,
    CheckRules,
    CheckSettings,
    CleaningRules,
    DagsterREDCapTranslator,
    DuckDBTableIOManager,
    FreshnessSettings,
    OpSettings,
    ParquetTableIOManager,
    PartitionSettings,
    REDCapProject,
    REDCapResource,
    REDCapTableProps,
    ScheduleSettings,
    StorageSettings,
    build_redcap_assets_definitions,
    build_redcap_definitions,
    load_redcap_asset_specs,
    on_change,
)
from redcap_dagster.partitions import buckets
from redcap_dagster.project import StructureError
from tests.dagster_runs import TOKEN_VARIABLE, studying
from tests.dictionary import field

METADATA = [
    field("id", "base"),
    field("weight"),
]
PROJECT = REDCapProject.from_exports(metadata=METADATA)
SHOWN: dict[str, Any] = {
    "translator": DagsterREDCapTranslator(
        key_prefix="clinic", group_name="trials", owners=["team:trials"], tags={"phase": "3"}
    ),
    "freshness": FreshnessSettings("36h"),
    "automation": dg.AutomationCondition.on_cron("@daily"),
    "storage": StorageSettings("warehouse"),
}
REDCAP = REDCapResource(url="https://redcap.example.edu/api/", token=dg.EnvVar("NOT_SET_ANYWHERE"))


def _build(**options: Any) -> dg.Definitions:
    return build_redcap_definitions(
        **{"name": "study", "redcap": REDCAP, "project": PROJECT, **options}
    )


PLACES: list[tuple[Any, dict[str, str]]] = [
    (
        DuckDBTableIOManager(database="/srv/north.duckdb"),
        {"storage_kind": "duckdb", "table_name": "/srv/north.duckdb.study_clean.base"},
    ),
    (DuckDBTableIOManager(database=dg.EnvVar("NOT_SET_ANYWHERE")), {"storage_kind": "duckdb"}),
    (
        ParquetTableIOManager(base_path="/srv/north"),
        {"storage_kind": "parquet", "table_name": "/srv/north/study_clean/base.parquet"},
    ),
    (ParquetTableIOManager(), {"storage_kind": "parquet"}),
    (StorageSettings("warehouse", kind="snowflake"), {"storage_kind": "snowflake"}),
    (None, {}),
]


@pytest.mark.parametrize(("storage", "known"), PLACES)
def test_specs_say_where_their_tables_are(storage: Any, known: dict[str, str]) -> None:
    specs = load_redcap_asset_specs(
        name="study", project=PROJECT, storage=storage, partitions=PartitionSettings(2)
    )
    places = {spec.metadata["schema"] + "." + spec.key.path[-1] for spec in specs}
    assert len(places) == len(specs)
    by_key = {spec.key.to_user_string(): spec.metadata for spec in specs}
    found = by_key["study/clean/base"]
    assert found["schema"] == "study_clean"
    for name in ("storage_kind", "table_name"):
        assert found.get(f"dagster/{name}") == known.get(name)
    assert found["partition_expr"] == "_bucket"
    assert "partition_expr" not in by_key["study/metadata/fields"]


def test_a_translator_may_choose_the_schema() -> None:
    class OwnSchema(DagsterREDCapTranslator):
        def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
            return super().get_asset_spec(props).merge_attributes(metadata={"schema": "own"})

    specs = load_redcap_asset_specs(name="study", project=PROJECT, translator=OwnSchema())
    assert {spec.metadata["schema"] for spec in specs} == {"own"}


def test_definitions_load_without_the_token_being_there() -> None:
    assert len(_build().resolve_all_asset_keys()) == 9


def test_two_projects_never_collide() -> None:
    given: dict[str, Any] = {"schedule": ScheduleSettings("@daily"), "change_sensor": True}
    both = dg.Definitions.merge(_build(name="a", **given), _build(name="a_clean", **given))
    dg.Definitions.validate_loadable(both)
    assert len(both.resolve_all_asset_keys()) == 18
    assert {made.name for made in (*(both.schedules or ()), *(both.sensors or ()))} == {
        "a__schedule",
        "a_clean__schedule",
        "a__changes",
        "a_clean__changes",
    }
    assert set(both.resources or {}) == {
        "a__redcap",
        "a__io_manager",
        "a_clean__redcap",
        "a_clean__io_manager",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "My-Study"}, "'My-Study'"),
        ({"name": ""}, "name"),
        ({"instruments": ["visits"]}, r"\['visits'\]"),
        ({"instruments": "visit"}, "list"),
        ({"cleaning": CleaningRules(types={"wieght": "text"})}, r"\['wieght'\]"),
        ({"partitions": dg.DailyPartitionsDefinition("2024-01-01")}, "PartitionSettings"),
        ({"partitions": buckets(4)}, "PartitionSettings"),
        ({"automation": "on_chnage"}, "'on_change'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        _build(**options)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("clening", "cleaning"), ("partition", "partitions"), ("translater", "translator")],
)
@pytest.mark.parametrize(
    "build", [_build, build_redcap_assets_definitions, load_redcap_asset_specs]
)
def test_a_misspelt_option_is_refused_with_the_name_meant(
    build: Any, misspelt: str, meant: str
) -> None:
    with pytest.raises(TypeError, match=f"no option '{misspelt}'. Did you mean '{meant}'?"):
        build(name="study", project=PROJECT, **{misspelt: None})


@pytest.mark.parametrize(
    ("option", "misspelt", "meant"),
    [
        (CheckRules, "max_dropp", "max_drop"),
        (CheckSettings, "severty", "severity"),
        (ChangeSensorSettings, "evry", "every"),
        (CleaningRules, "missing_value", "missing_values"),
        (DagsterREDCapTranslator, "owner", "owners"),
        (FreshnessSettings, "fail_afer", "fail_after"),
        (OpSettings, "retry_polcy", "retry_policy"),
        (PartitionSettings, "bucket", "buckets"),
        (REDCapResource, "rate_limits", "rate_limit"),
        (ScheduleSettings, "time_zone", "timezone"),
        (StorageSettings, "io_manager", "io_manager_key"),
    ],
)
def test_a_misspelt_field_of_an_option_is_refused_with_the_name_meant(
    option: Any, misspelt: str, meant: str
) -> None:
    # Of pydantic's values, the resource among them, it is a ValueError.
    with pytest.raises((TypeError, ValueError), match=f"'{misspelt}'. Did you mean '{meant}'?"):
        option(**{misspelt: None})


def test_no_function_has_more_than_eighteen_options() -> None:
    builders = (build_redcap_definitions, build_redcap_assets_definitions, load_redcap_asset_specs)
    counts = [len(inspect.signature(build).parameters) for build in builders]
    assert max(counts) == counts[0] <= 18
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == len(counts)


@pytest.mark.parametrize("automation", [on_change(), "on_change"])
def test_on_change_can_be_named(automation: Any) -> None:
    specs = _build(automation=automation).resolve_all_asset_specs()
    assert {spec.automation_condition for spec in specs} == {on_change()}


def test_freshness_is_a_value_or_a_policy() -> None:
    policy = dg.FreshnessPolicy.time_window(timedelta(hours=36), timedelta(days=1))
    for freshness in (policy, FreshnessSettings("36h", warn_after="1d")):
        specs = _build(freshness=freshness).resolve_all_asset_specs()
        assert {spec.freshness_policy for spec in specs} == {policy}
    with pytest.raises(ValueError, match="'36 hours' is not a span of time"):
        FreshnessSettings("36 hours")


def test_there_is_at_least_one_bucket() -> None:
    with pytest.raises(ValueError, match="buckets should be greater than or equal to 1"):
        PartitionSettings(buckets=0)


def test_a_token_that_is_written_out_is_warned_of_once() -> None:
    literal = REDCapResource(url=REDCAP.url, token="0" * 32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        _build(redcap=literal)
    (warning,) = caught
    assert "EnvVar" in str(warning.message)
    assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _build()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://me:secret@redcap.example.edu/api/", "Leave them out"),
        ("https://redcap.example.edu/api/?t=secret", "Leave out everything from"),
    ],
)
def test_an_address_with_more_than_an_address_is_refused_at_once(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        REDCapResource(url=url, token=REDCAP.token)
    assert "secret" not in str(refused.value)


def test_a_resource_can_be_configured_at_launch(tmp_path: Path) -> None:
    at_launch = REDCapResource.configure_at_launch(token=dg.EnvVar(TOKEN_VARIABLE))
    with pytest.raises(ValueError, match="as project"):
        _build(redcap=at_launch, project=None)
    with studying(tmp_path, exports={"metadata": METADATA}) as study:
        definitions = study.definitions(redcap=at_launch, project=PROJECT)
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config={"resources": {"study__redcap": {"config": {"url": study.sandbox.url}}}},
            instance=study.instance,
        )
        assert len(result.get_asset_materialization_events()) == 9
    with pytest.raises(ValueError, match="EnvVar"):
        REDCapResource.configure_at_launch(token="0" * 32)
    with pytest.raises(TypeError, match=r"no option .retires.\. Did you mean .retries."):
        REDCapResource.configure_at_launch(retires=1)
    with pytest.raises(ValueError, match="url"):
        REDCapResource.configure_at_launch(url="redcap.example.edu")
    with pytest.raises(ValueError, match="sensor sends requests to REDCap outside of runs"):
        _build(redcap=at_launch, change_sensor=True)


def test_how_often_the_sensor_asks_is_up_to_the_user() -> None:
    asked = ChangeSensorSettings(every=3_000, default_status=dg.DefaultSensorStatus.RUNNING)
    (sensor,) = _build(change_sensor=asked).sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert 3_000 <= (sensor.minimum_interval_seconds or 0) <= 3_600
    assert not _build().sensors


def test_tables_are_parquet_under_the_instance_by_default(tmp_path: Path) -> None:
    manager = (_build().resources or {})["study__io_manager"]
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        context = dg.build_init_resource_context(instance=instance)
        with manager.from_resource_context_cm(context) as ready:
            assert ready.get_base() == str(tmp_path / "storage" / "redcap")


def test_a_schedule_is_of_all_tables() -> None:
    when = ScheduleSettings("0 3 * * *", "Europe/Berlin", dg.DefaultScheduleStatus.RUNNING)
    definitions = _build(schedule=when)
    (schedule,) = definitions.schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == (
        "study__schedule",
        "0 3 * * *",
        "Europe/Berlin",
    )
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    words = "the structure of the project, the census, and the records and clean tables"
    assert words in (schedule.description or "")
    job = definitions.resolve_job_def("study__all_tables")
    assert words in (job.description or "")
    assert job.asset_layer.executable_asset_keys == set(definitions.resolve_all_asset_keys())


def test_specs_without_ops_are_external_assets() -> None:
    shown = {**SHOWN, "partitions": PartitionSettings(buckets=4)}
    specs = load_redcap_asset_specs(name="study", project=PROJECT, **shown)
    warehouse = ParquetTableIOManager(base_path="x")
    resources = dg.Definitions(resources={"warehouse": warehouse})
    external = dg.Definitions.merge(dg.Definitions(assets=specs), resources)
    assert not external.resolve_asset_graph().executable_asset_keys
    made = dg.Definitions.merge(_build(**shown), resources).resolve_all_asset_specs()
    by_key = {spec.key: spec for spec in specs}
    assert len(specs) == len(made) == 9
    for spec in made:
        assert by_key[spec.key] == spec.replace_attributes(skippable=False)  # an op's own matter
    with pytest.raises(StructureError, match="visits"):
        load_redcap_asset_specs(name="study", project=PROJECT, instruments=["visits"])


def test_options_pass_through() -> None:
    ours = _build(
        **SHOWN,
        partitions=PartitionSettings(buckets=4),
        op=OpSettings(
            pool="redcap",
            tags={"priority": "1"},
            backfill_policy=dg.BackfillPolicy.multi_run(2),
            retry_policy=dg.RetryPolicy(max_retries=2),
        ),
    )
    warehouse = dg.Definitions(resources={"warehouse": ParquetTableIOManager(base_path="x")})
    definitions = dg.Definitions.merge(ours, warehouse)
    key = dg.AssetKey(["clinic", "study", "clean", "visit"])
    assets = definitions.resolve_assets_def(key)
    spec = assets.get_asset_spec(key)
    assert (spec.group_name, list(spec.owners), spec.tags["phase"]) == (
        "trials",
        ["team:trials"],
        "3",
    )
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(timedelta(hours=36))
    assert spec.automation_condition == dg.AutomationCondition.on_cron("@daily")
    assert {dep.asset_key.path[0] for dep in spec.deps} == {"clinic"}
    for made in definitions.assets or ():
        assert isinstance(made, dg.AssetsDefinition)
        assert (made.op.pool, made.op.tags["priority"]) == ("redcap", "1")
        assert made.op.retry_policy == dg.RetryPolicy(max_retries=2)
        assert made.backfill_policy == dg.BackfillPolicy.multi_run(2)
    assert (assets.partitions_def, spec.partitions_def) == (buckets(4), buckets(4))
    fields = dg.AssetKey(["clinic", "study", "metadata", "fields"])
    assert definitions.resolve_assets_def(fields).partitions_def is None
    assert set(ours.resources or {}) == {"study__redcap"}
    # Dagster wants its own io_manager for the outputs of checks, and stores nothing by it.
    assert assets.required_resource_keys - {"io_manager"} == {"study__redcap", "warehouse"}
