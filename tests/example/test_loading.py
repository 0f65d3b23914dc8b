import json
import os
from typing import Any

import pytest

from example_project import local
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.example.conftest import Project

VISIT = {"metadata": [field("record_id")]}
ANALYSIS = {"summary_statistics", "correlations", "missingness", "biopsy_model"}
FETCH = "from example_project import local; local.fetch_structure()"


STATUSES = """
from example_project.definitions import defs
repository = defs().get_repository_def()
for each in (*repository.schedule_defs, *repository.sensor_defs):
    print(each.name, each.default_status.name)
"""


def definitions(project: Project) -> dict[str, Any]:
    """Give what the project defines, as ``dg list defs`` tells it: offline, without a token."""
    said = project.run("dg", "list", "defs", "--json")
    found: dict[str, Any] = json.loads(said[said.index("{") :])  # after the warnings
    return found


def assets(found: dict[str, Any]) -> set[str]:
    return {asset["asset_key"] for asset in found["assets"]}


@pytest.mark.slow
def test_the_studies_load_offline_once_their_structure_was_fetched(project: Project) -> None:
    with Sandbox() as sandbox:
        project.run("python", "-c", FETCH, **local.add_studies(sandbox))
    found = definitions(project)
    assert assets(found) >= {
        *(f"cervical/{layer}/risk_factors" for layer in ("records", "clean")),
        *(f"cervical/analysis/{name}" for name in ANALYSIS),
        *(f"asthma/clean/{form}" for form in ("enrolment", "visit", "medication", "diary")),
        "asthma/metadata/repeating",
    }
    assert {schedule["name"] for schedule in found["schedules"]} == {
        "asthma__schedule",
        "cervical__schedule",
    }
    assert [sensor["name"] for sensor in found["sensors"]] == [
        "default_automation_condition_sensor"
    ]
    assert "validated successfully" in project.run("dg", "check", "yaml")


@pytest.mark.slow
def test_your_own_project_comes_without_the_studies_and_their_analysis(
    project: Project, sandbox: Sandbox
) -> None:
    project.run("python", "-c", FETCH, **local.add_studies(sandbox))
    own = {
        "REDCAP_API_URL": sandbox.url,
        "REDCAP_API_TOKEN": sandbox.add_project(exports=VISIT),
    }
    project.run("python", "-c", FETCH, **own)
    found = assets(definitions(project))
    assert "own_study/clean/visit" in found
    assert all(key.startswith("own_study/") for key in found)


@pytest.mark.slow
def test_schedules_and_sensors_are_on_for_a_sandbox_alone(
    project: Project, sandbox: Sandbox
) -> None:
    """`make ui` sets the variable for a sandbox, and removes it where a URL is given."""
    project.run("python", "-c", FETCH, **local.add_studies(sandbox))
    names = ["asthma__schedule", "cervical__schedule", "default_automation_condition_sensor"]
    for variables, status in (({}, "STOPPED"), ({local.AUTOMATION: "RUNNING"}, "RUNNING")):
        said = project.run("python", "-c", STATUSES, **variables).splitlines()
        assert said[-3:] == [f"{name} {status}" for name in names]


def test_a_url_of_ones_own_switches_nothing_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDCAP_API_URL", sandbox.url)
    monkeypatch.setenv(local.OWN_TOKEN, sandbox.add_project(exports=VISIT))
    monkeypatch.setenv(local.AUTOMATION, "RUNNING")  # left by a shell
    with local.redcap():
        assert local.AUTOMATION not in os.environ
    monkeypatch.setattr(os, "environ", {})
    with local.redcap():
        assert os.environ[local.AUTOMATION] == "RUNNING"


@pytest.mark.parametrize(
    ("token", "complaint"), [("", "Only REDCAP_API_URL is set"), ("0" * 32, "the token")]
)
def test_a_wrong_connection_is_refused_at_once(
    project: Project, sandbox: Sandbox, token: str, complaint: str
) -> None:
    wrong = {"REDCAP_API_URL": sandbox.url, "REDCAP_API_TOKEN": token}
    with project.running("python", "-m", "example_project.ui", **wrong) as process:
        said, _ = process.communicate()
    assert process.returncode == 1
    assert complaint in said
    assert "Traceback" not in said
