"""Links, codes and participants of surveys."""

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, LONGITUDINAL, Ask

SURVEY = {
    "metadata": [*CLASSIC["metadata"]],
    "repeatingFormsEvents": CLASSIC["repeatingFormsEvents"],
}
ANSWERED: list[dict[str, object]] = [
    {
        "id": "1",
        "redcap_survey_identifier": "ann",
        "visit_timestamp": "[not completed]",
        "note": "a",
    },
    {"id": "2", "visit_timestamp": "2024-01-01 10:00:00", "note": "b"},
    {"id": "3", "note": "c"},
]


@pytest.fixture
def survey(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports=SURVEY, records=ANSWERED)


# -- surveys --------------------------------------------------------------------------------------


def test_links_and_codes(survey: str, sandbox: Sandbox, ask: Ask) -> None:
    def told(content: str, **more: str) -> str:
        response = ask(survey, content=content, **({"record": "1"} | more))
        assert response.status_code == 200
        return response.text

    link = told("surveyLink", instrument="visit")
    assert link.startswith(sandbox.url.removesuffix("api/") + "surveys/?s=")
    assert link == told("surveyLink", instrument="visit", format="json")
    assert link != told("surveyLink", instrument="visit", record="2")
    assert "?sq=" in told("surveyQueueLink")
    assert len(told("surveyReturnCode", instrument="visit")) == 8
    assert len(told("surveyAccessCode", instrument="visit")) == 9
    missing = ask(survey, content="surveyLink", record="-1", instrument="visit")
    assert (missing.status_code, missing.text) == (400, 'ERROR: The record "-1" does not exist')
    assert ask(survey, content="surveyLink", record="1", instrument="lab").status_code == 400


def test_participants(survey: str, sandbox: Sandbox, ask: Ask) -> None:
    asked = {"content": "participantList", "instrument": "visit", "format": "json"}
    ann, other = ask(survey, **asked).json()
    assert (ann["identifier"], ann["response_status"]) == ("ann", 1)
    assert (other["identifier"], other["response_status"]) == ("", 2)
    link = ask(survey, content="surveyLink", record="1", instrument="visit").text
    assert ann["survey_link"] == link
    code = ask(survey, content="surveyAccessCode", record="1", instrument="visit").text
    assert ann["survey_access_code"] == code
    sandbox.set_rights(survey, {"data_access_group": "north"})
    assert ask(survey, **asked).json() == []
    unseen = ask(survey, content="surveyLink", record="1", instrument="visit")
    assert unseen.status_code == 400
    sandbox.set_rights(survey, {"manage_survey_participants": 0})
    assert ask(survey, **asked).status_code == 400


def test_surveys_of_an_event(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(
        exports=LONGITUDINAL,
        records=[{"id": "1", "redcap_event_name": "first_arm_1", "visit_timestamp": ""}],
    )
    at = {"content": "surveyLink", "record": "1", "instrument": "visit"}
    assert ask(token, **at, event="first_arm_1").status_code == 200
    assert ask(token, **at, event="then_arm_1").status_code == 400
