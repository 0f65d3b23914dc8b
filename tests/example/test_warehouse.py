"""The warehouse while more than one run of the example writes to it."""

import pytest

from example_project import local
from redcap_dagster.sandbox import Sandbox
from tests.example.conftest import Project

FETCH = "from example_project import local; local.fetch_structure()"
LAUNCH = ("dg", "launch", "--assets", "*")
BOTH_WITH_QUERIES = "so this run did not replace them"
ROWS = {
    "cervical_records.risk_factors": 858,
    "cervical_clean.risk_factors": 858,
    "cervical_analysis.missingness": 38,
    "asthma_clean.enrolment": 120,
    "asthma_clean.visit": 433,
    "asthma_queries.open": 6,
    "asthma_queries.history": 6,
}


@pytest.mark.slow
def test_two_runs_at_once_leave_whole_tables(project: Project, sandbox: Sandbox) -> None:
    variables = local.add_studies(sandbox)
    project.run("python", "-c", FETCH, **variables)
    with (
        project.running(*LAUNCH, **variables) as one,
        project.running(*LAUNCH, **variables) as other,
    ):
        said = {process: process.communicate()[0] for process in (one, other)}
    failed = [process for process in said if process.returncode]
    assert len(failed) < 2, said[one][-2_000:] + said[other][-2_000:]
    # If they overlap where both continue the queries, one of them leaves those to the other.
    assert all(BOTH_WITH_QUERIES in said[process] for process in failed), said[failed[0]][-2_000:]
    assert {name: len(project.table(name)) for name in ROWS} == ROWS
    visits = project.table("asthma_clean.visit")
    key = ["record_id", "redcap_event_name", "redcap_repeat_instance"]
    assert not visits.duplicated(key).any()
