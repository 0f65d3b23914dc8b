"""The example as it runs by itself, night after night."""

import subprocess

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus

from example_project import local
from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.example.conftest import Project

SCHEDULE = "cervical__schedule"
BY_SCHEDULE = {"dagster/schedule_name": SCHEDULE}
BY_CHANGE = {"dagster/from_automation_condition": "true"}


@pytest.mark.slow
def test_a_schedule_brings_what_changed_and_the_change_wakes_the_analysis(
    project: Project, sandbox: Sandbox
) -> None:
    variables = {**local.add_studies(sandbox), local.AUTOMATION: "RUNNING"}
    project.edit("defs/cervical/defs.yaml", '"0 3 * * *"', '"* * * * *"')
    project.edit("defs/execution.py", "target=", "minimum_interval_seconds=2, target=")
    project.run(
        "python", "-c", "from example_project import local; local.fetch_structure()", **variables
    )
    project.run("dg", "launch", "--assets", "*", **variables)
    assert oldest(project) < 119
    client = REDCapClient(variables["REDCAP_API_URL"], variables["REDCAP_API_TOKEN_CERVICAL"])
    client.records.import_([{"record_id": "1", "age": "119"}])

    with (
        project.running("dagster-daemon", "run", **variables) as daemon,
        dg.DagsterInstance.from_config(str(project.root / "dagster_home")) as instance,
    ):
        wait_for_run(daemon, instance, BY_SCHEDULE)
        # Conditions wait while what they look at is being made: one time is enough.
        (schedule,) = (s for s in instance.all_instigator_state() if s.name == SCHEDULE)
        instance.update_instigator_state(schedule.with_status(InstigatorStatus.STOPPED))
        run = wait_for_run(daemon, instance, BY_CHANGE)
    assert {key.path[-2] for key in run.asset_selection or ()} == {"analysis"}
    assert oldest(project) == 119


def oldest(project: Project) -> float:
    summary = project.table("cervical_analysis.summary_statistics").set_index("measure")
    return float(summary["max"]["age"])


def wait_for_run(
    daemon: subprocess.Popen[str], instance: dg.DagsterInstance, tags: dict[str, str]
) -> dg.DagsterRun:
    """Read what the daemon says until a run with these tags has succeeded."""
    assert daemon.stdout is not None
    succeeded = dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    said = []
    for line in daemon.stdout:
        said.append(line)
        if "RUN_SUCCESS" in line:
            for run in instance.get_runs(succeeded):
                return run
    pytest.fail("The daemon ended:\n" + "".join(said[-50:]))
