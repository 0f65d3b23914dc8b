"""Options refuse what they cannot mean: a value of another type, a number out of range."""

from typing import Any

import dagster as dg
import pytest

from redcap_dagster import (
    ChangeSensorSettings,
    CheckRules,
    CheckSettings,
    CleaningRules,
    DagsterREDCapTranslator,
    FreshnessSettings,
    OpSettings,
    PartitionSettings,
    REDCapResource,
    ScheduleSettings,
    StorageSettings,
    build_redcap_definitions,
)
from redcap_dagster.api import ClientSettings
from redcap_dagster.project import REDCapProject

PROJECT = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "visit"}])
REDCAP = REDCapResource(url="https://redcap.example.edu/api/", token=dg.EnvVar("ANY"))


@pytest.mark.parametrize(
    ("option", "given", "wrong"),
    [
        (CheckRules, {"allow_shrink": "no"}, "allow_shrink should be a valid boolean"),
        (CheckRules, {"max_drop": "0.2"}, "max_drop should be a valid number"),
        (CheckRules, {"max_drop": float("nan")}, "max_drop should be less than or equal to 1"),
        (CheckSettings, {"enabled": 0}, "enabled should be a valid boolean"),
        (
            CheckRules,
            {"settings": {"keys_unique": {"enabled": False}}},
            "settings.keys_unique should be an instance of CheckSettings",
        ),
        (OpSettings, {"preview_rows": -1}, "preview_rows should be greater than or equal to 0"),
        (OpSettings, {"tags": {1: "x"}}, r"tags.1.\[key\] should be a valid string"),
        (FreshnessSettings, {"fail_after": 36}, "fail_after should be a valid string"),
        (ScheduleSettings, {"cron": "every day"}, "cron: it is not a cron expression"),
        (ScheduleSettings, {"cron": "0 3 * * *", "timezone": "Mars"}, "timezone: it is not"),
        (ChangeSensorSettings, {"every": 0}, "every should be greater than or equal to 1"),
        (CleaningRules, {"missing_values": "?"}, "missing_values should be a list, not"),
        (CleaningRules, {"missing_values": [-9]}, "missing_values.0 should be a valid string"),
        (CleaningRules, {"types": {"born": "txt"}}, "types.born should be 'text', 'integer'"),
        (PartitionSettings, {"buckets": True}, "buckets should be a valid integer"),
        (StorageSettings, {"io_manager_key": None}, "io_manager_key should be a valid string"),
        (DagsterREDCapTranslator, {"owners": "ann"}, "Translator: owners should be a list"),
        (ClientSettings, {"retries": -1}, "retries\n.*or equal to 0"),
        (
            ClientSettings,
            {"read_timeout": float("inf")},
            "read_timeout\n.*finite number",
        ),
    ],
)
def test_a_value_that_an_option_cannot_mean_is_refused(
    option: type, given: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        option(**given)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("redcap", None),
        ("project", 3),
        ("instruments", "visit"),
        ("cleaning", {}),
        ("checks", False),
        ("partitions", 4),
        ("storage", "warehouse.duckdb"),
        ("schedule", False),
        ("change_sensor", "no"),
        ("freshness", "36h"),
        ("automation", True),
        ("op", {}),
        ("translator", DagsterREDCapTranslator),
    ],
)
def test_an_argument_of_another_type_is_refused_by_name(option: str, value: Any) -> None:
    given: dict[str, Any] = {"redcap": REDCAP, "project": PROJECT, option: value}
    with pytest.raises(ValueError, match=f"build_redcap_definitions: {option} should be "):
        build_redcap_definitions(name="trial", **given)
