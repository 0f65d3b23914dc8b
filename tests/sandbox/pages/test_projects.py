"""The list of projects, and new ones: empty, or from a project XML."""

import json

import pytest
from requests import Response

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS, Ask
from tests.sandbox.pages.conftest import Visitor, error_of
from tests.sandbox.test_cli import PROJECT

FORM = {"project_title": "A study", "purpose": "2", "project_notes": "Two\nlines"}
BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><ODM>&b;</ODM>'


def create(visitor: Visitor, xml: bytes | None = None, **form: str) -> Response:
    files = {"xml": ("project.xml", xml)} if xml is not None else {"xml": ("", b"")}
    return visitor.post("/new-project", FORM | form, files=files)


def test_a_project_xml_becomes_a_project(sandbox: Sandbox, visitor: Visitor) -> None:
    created = create(visitor, PROJECT.encode(), project_title="A study of its own")
    assert "Two\nlines" in created.text
    assert ">API</a>" not in created.text
    pid = created.url.partition("pid=")[2].partition("&")[0]
    row = visitor.get("/").text.partition("A study of its own")[2].partition("</tr>")[0]
    assert f'<td>{pid}</td>\n<td class="number">1</td>' in row
    assert f"<td>{sandbox.version}</td>" in row
    assert sandbox.url in row
    # The creator has all rights but those to the API, and no token yet.
    rights = visitor.get(f"/UserRights/index.php?pid={pid}&user=sandbox").text
    assert "checked" not in rights
    assert visitor.get(f"/API/project_api.php?pid={pid}").status_code == 403
    save = {"action": "save", "username": "sandbox", "api_export": "1"}
    visitor.post(f"/UserRights/index.php?pid={pid}", save)
    assert "You do not have a token" in visitor.get(f"/API/project_api.php?pid={pid}").text


def test_an_empty_project_has_one_instrument(visitor: Visitor) -> None:
    created = create(visitor, purpose="1", purpose_other="Something else")
    assert "my_first_instrument" in created.text
    assert "record_id" in created.text


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"project_title": ""}, "The project needs a title."),
        ({"project_title": "  "}, "The project needs a title."),
        ({"purpose": ""}, "Choose the purpose"),
        ({"purpose": "9"}, "Choose the purpose"),
        ({"purpose": "1"}, "The purpose Other needs"),
    ],
)
def test_a_form_is_shown_again_with_a_sentence(
    visitor: Visitor, form: dict[str, str], sentence: str
) -> None:
    refused = create(visitor, None, **form)
    assert refused.status_code == 400
    assert error_of(refused).startswith(sentence)
    assert "Two\nlines</textarea>" in refused.text  # nothing is to be typed again
    assert ("A study" in refused.text) == ("project_title" not in form)


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"\0",
        b"%PDF-1.4",
        b"\xff\xfe<",
        b"<html><body>Log in</body></html>",
        b"<ODM",
        b"<!-- " + b"-" * 200_000,
        b"<!--" * 100_000,
        b"<" * 100_000,
        b"<a " + b'b="' * 100_000,
        b"<a>" * 100_000,
        BOMB.encode(),
        PROJECT.replace("?>", "?>" + BOMB.partition("?>")[2].partition("<ODM>")[0], 1).encode(),
        PROJECT.replace('FieldType="text"', 'FieldType="text" b="' + "<" * 100_000).encode(),
        PROJECT.replace("<FormDef", "<!--").encode(),
        PROJECT.encode()[:-20],
    ],
    ids=lambda xml: repr(xml[:20]),
)
def test_an_unreadable_xml_ends_in_a_sentence(visitor: Visitor, xml: bytes) -> None:
    refused = create(visitor, xml, project_title="Never made")
    assert refused.status_code == 400
    assert len(error_of(refused)) > 20
    assert "canary" not in error_of(refused)
    assert "Never made" not in visitor.get("/").text


def test_too_large_a_file_ends_in_a_sentence(visitor: Visitor) -> None:
    refused = create(visitor, b"<" + bytes(65 * 1024 * 1024))
    assert refused.status_code == 413
    assert "too large" in error_of(refused)


def test_projects_of_others_are_not_listed(sandbox: Sandbox, visitor: Visitor, ask: Ask) -> None:
    exports = {**CLASSIC, "project": {"project_title": "Of a colleague"}}
    token = sandbox.add_project(exports=exports, records=CLASSIC_RECORDS)
    colleague = sandbox.add_user(token, "colleague")
    info = json.loads(ask(token, content="project", format="json").text)
    home = f"/index.php?pid={info['project_id']}"
    assert "Of a colleague" in visitor.get("/").text
    assert visitor.get(home).status_code == 200
    sandbox.set_status(token, "completed")
    assert visitor.get(home).status_code == 400
    row = visitor.get("/").text.partition("Of a colleague")[2].partition("</tr>")[0]
    assert "no access" in row
    sandbox.set_status(token, "production")
    assert ask(colleague, content="user", action="delete", **{"users[0]": "sandbox"}).text == "1"
    assert "Of a colleague" not in visitor.get("/").text
    assert visitor.get(home).status_code == 404
