"""The warehouse while more than one run of the example writes to it."""

import pytest

from example_project import local
from redcap_dagster.sandbox import Sandbox
from tests.example.conftest import Project

FETCH = "from example_project import local; local.fetch_structure()"
LAUNCH = ("dg", "launch", "--assets", "*")
ROWS = {
    "cervical_records.risk_factors": 858,
    "cervical_clean.risk_factors": 858,
    "cervical_analysis.missingness": 38,
    "asthma_clean.enrolment": 120,
    "asthma_clean.visit": 433,
}


@pytest.mark.slow
def test_two_runs_at_once_leave_whole_tables(project: Project, sandbox: Sandbox) -> None:
    variables = local.add_studies(sandbox)
    project.run("python", "-c", FETCH, **variables)
    with (
        project.running(*LAUNCH, **variables) as one,
        project.running(*LAUNCH, **variables) as other,
    ):
        said = [process.communicate()[0] for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], said[0][-2_000:] + said[1][-2_000:]
    assert {name: len(project.table(name)) for name in ROWS} == ROWS
    visits = project.table("asthma_clean.visit")
    key = ["record_id", "redcap_event_name", "redcap_repeat_instance"]
    assert not visits.duplicated(key).any()
