"""What a project offers beside its records: repository, reports, surveys, PDF."""

from pathlib import Path

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.documents.pdf import write_pdf
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


# -- repository -----------------------------------------------------------------------------------


def test_the_repository(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    def repository(action: str, **more: str) -> requests.Response:
        return ask(classic, content="fileRepository", action=action, format="json", **more)

    assert repository("list").json() == []
    (made,) = repository("createFolder", name="Scans").json()
    folder = str(made["folder_id"])
    parameters = {"token": classic, "content": "fileRepository", "action": "import"}
    sent = requests.post(
        sandbox.url,
        parameters | {"folder_id": folder, "format": "json"},
        files={"file": ("../../a.txt", b"\0text", "text/plain")},
        timeout=20,
    )
    assert (sent.status_code, sent.content) == (200, b"")
    assert repository("list").json() == [{"folder_id": int(folder), "doc_id": "", "name": "Scans"}]
    (listed,) = repository("list", folder_id=folder).json()
    assert (listed["folder_id"], listed["name"]) == ("", ".._.._a.txt")
    document = str(listed["doc_id"])
    got = repository("export", doc_id=document)
    assert got.content == b"\0text"
    assert got.headers["content-type"] == 'text/plain; name=".._.._a.txt";charset=UTF-8'
    assert repository("delete", doc_id=document).content == b""
    assert repository("export", doc_id=document).status_code == 400
    missing = repository("list", folder_id="99")
    assert missing.status_code == 400
    assert missing.json()["error"].startswith("The File Repository folder folder_id=99 does not")
    assert repository("createFolder", name="a" * 151).status_code == 400
    other = sandbox.add_project(exports=CLASSIC)
    theirs = ask(other, content="fileRepository", action="list", folder_id=folder)
    assert theirs.status_code == 400
    sandbox.set_rights(classic, {"file_repository": 0})
    assert repository("list").status_code == 400


# -- reports --------------------------------------------------------------------------------------


def test_a_report(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    number = str(sandbox.add_report(classic, ["race"], "[race(-99)] = '1'"))
    labelled = {"report_id": number, "rawOrLabel": "label", "csvDelimiter": ";"}
    assert ask(classic, content="report", **labelled).text.split("\n")[1:] == [
        "10;;;Unchecked;Checked",
        "",
    ]
    other = sandbox.add_project(exports=CLASSIC)
    refused = ask(other, content="report", report_id=number)
    assert refused.status_code == 403
    assert refused.text == (
        f"ERROR: The API request cannot complete because report_id={number} does not belong to "
        "this project."
    )
    with pytest.raises(ValueError, match="no fields nothing"):
        sandbox.add_report(classic, ["nothing"])


# -- surveys --------------------------------------------------------------------------------------


def test_links_and_codes(survey: str, ask: Ask) -> None:
    def told(content: str, **more: str) -> str:
        response = ask(survey, content=content, **({"record": "1"} | more))
        assert response.status_code == 200
        return response.text

    link = told("surveyLink", instrument="visit")
    assert link.startswith("https://")
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


# -- PDF ------------------------------------------------------------------------------------------


def test_pdf_of_instruments_and_records(classic: str, ask: Ask) -> None:
    blank = ask(classic, content="pdf", instrument="visit")
    assert blank.headers["content-type"] == "text/html; charset=UTF-8"
    assert blank.content.startswith(b"%PDF-1.4")
    assert b"(Visit) Tj" in blank.content
    assert b"(Drug) Tj" not in blank.content
    ten = ask(classic, content="pdf", record="10").content
    assert b'a "b"' in ten
    assert b"(id: 9)" not in ten
    assert b"(id: 9)" in ask(classic, content="pdf", allRecords="false").content
    assert ask(classic, content="pdf", record="11").status_code == 400
    assert ask(classic, content="pdf", instrument="none").status_code == 400


def test_a_pdf_points_at_its_parts() -> None:
    pdf = write_pdf([f"line ({number}) \\ é ←" for number in range(120)])
    start = int(pdf.split(b"startxref\n")[1].split()[0])
    assert pdf[start:].startswith(b"xref\n")
    places = [int(line.split()[0]) for line in pdf[start:].split(b"\n")[3:] if b" n" in line]
    assert len(places) == 9  # catalog, pages, font, and three pages with their text
    for number, place in enumerate(places, 1):
        assert pdf[place:].startswith(b"%d 0 obj" % number)
    assert b"(line \\(1\\) \\\\ \xe9 ?) Tj" in pdf


def test_surveys_of_an_event(sandbox: Sandbox, ask: Ask, fixtures: Path) -> None:
    xml = fixtures / "projects/survey/project.xml"
    token = sandbox.add_project(xml)
    form = "prescreening_survey"
    listed = ask(token, content="participantList", instrument=form, format="json").json()
    assert {row["response_status"] for row in listed} <= {0, 1, 2}
    assert listed
    token = sandbox.add_project(
        exports=LONGITUDINAL,
        records=[{"id": "1", "redcap_event_name": "first_arm_1", "visit_timestamp": ""}],
    )
    at = {"content": "surveyLink", "record": "1", "instrument": "visit"}
    assert ask(token, **at, event="first_arm_1").status_code == 200
    assert ask(token, **at, event="then_arm_1").status_code == 400
