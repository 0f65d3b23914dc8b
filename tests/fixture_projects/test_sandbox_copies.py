"""Projects of real servers are copied within the sandbox, and calculate what their servers did."""

from pathlib import Path

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import Ask, imported, stored

WHOLE = {
    "exportFiles": "true",
    "exportSurveyFields": "true",
    "exportDataAccessGroups": "true",
}


def test_every_project_comes_back(
    fixtures: Path, sandbox: Sandbox, ask: Ask, tmp_path: Path
) -> None:
    paths = sorted(fixtures.glob("projects/*/project*.xml"))
    assert len(paths) == 17
    for path in paths:
        first = sandbox.add_project(path)
        (again := tmp_path / "again.xml").write_bytes(
            ask(first, content="project_xml", **WHOLE).content
        )
        second = sandbox.add_project(again)
        for content in ("metadata", "instrument", "formEventMapping", "repeatingFormsEvents"):
            assert ask(first, content=content).text == ask(second, content=content).text
        asked = {"content": "record", **WHOLE, "exportBlankForGrayFormStatus": "true"}
        assert ask(first, **asked).content == ask(second, **asked).content, path.parent.name
        if path.parent.name == "simple":
            mugshot = {"content": "file", "record": "1", "field": "mugshot"}
            assert ask(first, **mugshot).content.startswith(b"\xff\xd8")
            assert ask(first, **mugshot).content == ask(second, **mugshot).content


@pytest.mark.parametrize(
    "name",
    [
        "checkboxes-1",
        "decimal-comma",
        "repeating-events",
        "repeating-instruments",
        "survey",
        "validation-types-1",
    ],
)
def test_records_of_real_projects_can_be_imported(
    name: str, fixtures: Path, tmp_path: Path, sandbox: Sandbox, ask: Ask
) -> None:
    """Values of every type that a server kept are taken, and calculations come out the same."""
    token = sandbox.add_project(fixtures / "projects" / name / "project.xml")
    bare = tmp_path / "bare.xml"
    bare.write_bytes(ask(token, content="project_xml", returnMetadataOnly="true").content)
    copy = sandbox.add_project(bare)
    asked = {"content": "record", "exportBlankForGrayFormStatus": "true"}
    body = ask(token, **asked).content.decode()
    assert ask(copy, content="record").text.count("\n") == 1
    assert imported(ask, copy, body, format="csv").ok
    assert ask(copy, **asked).content.decode() == body


def test_calculations_are_worked_out_anew(fixtures: Path, sandbox: Sandbox, ask: Ask) -> None:
    """They give what the server had calculated of the same weights and heights."""
    token = sandbox.add_project(fixtures / "projects/simple/project.xml")
    before = stored(ask, token)
    rows = [{name: row[name] for name in ("record_id", "weight", "height")} for row in before]
    for row in before:
        sandbox.edit(token, record=row["record_id"], field="bmi", value="0")
    assert imported(ask, token, rows).ok
    assert stored(ask, token) == before


def test_participants_of_a_real_survey(sandbox: Sandbox, ask: Ask, fixtures: Path) -> None:
    token = sandbox.add_project(fixtures / "projects/survey/project.xml")
    form = "prescreening_survey"
    listed = ask(token, content="participantList", instrument=form, format="json").json()
    assert {row["response_status"] for row in listed} <= {0, 1, 2}
    assert listed
