"""The life of a token on the page of the API."""

import json
import logging
import re

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS, Ask, rows_of
from tests.sandbox.pages.conftest import Visitor, error_of


@pytest.fixture
def project(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)


@pytest.fixture
def page(ask: Ask, project: str) -> str:
    info = json.loads(ask(project, content="project", format="json").text)
    return f"/redcap_v14.7.3/API/project_api.php?pid={info['project_id']}"


def show(visitor: Visitor, page: str) -> str:
    found = re.search(
        'id="token"[^>]* value="([0-9A-F]{32})"', visitor.post(page, {"action": "show"}).text
    )
    assert found
    return found[1]


def test_a_token_is_created_shown_replaced_and_deleted(
    visitor: Visitor, ask: Ask, project: str, page: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = [project]
    assert project not in visitor.get(page).text
    assert show(visitor, page) == project

    replaced = visitor.post(page, {"action": "regenerate"})
    tokens.append(show(visitor, page))
    assert tokens[0] != tokens[1]
    assert ask(tokens[0], content="record").status_code == 403
    assert ask(tokens[1], content="record").status_code == 200
    log = ask(tokens[1], content="log").text

    deleted = visitor.post(page, {"action": "delete"})
    assert ask(tokens[1], content="record").status_code == 403
    assert visitor.post(page, {"action": "show"}).status_code == 409
    created = visitor.post(page, {"action": "create"})
    tokens.append(show(visitor, page))
    assert ask(tokens[2], content="record").status_code == 200

    assert len(set(tokens)) == 3
    assert [row["details"] for row in rows_of(log)][1:2] == ["Regenerate API token"]
    home = visitor.get(page.replace("API/project_api", "index"))
    seen = [log, caplog.text, *(r.text + r.url for r in (replaced, deleted, created, home))]
    assert not [text for text in seen for token in tokens if token in text]


def test_pages_of_the_api_are_for_those_with_a_right_to_it(
    visitor: Visitor, sandbox: Sandbox, project: str, page: str
) -> None:
    home = page.replace("API/project_api", "index")
    for rights, status in (
        ({"api_export": 1, "api_import": 0}, 200),
        ({"api_export": 0, "api_import": 1}, 200),
        ({"api_export": 0, "api_import": 0}, 403),
    ):
        sandbox.set_rights(project, rights)
        assert visitor.get(page).status_code == status
        assert visitor.post(page, {"action": "show"}).status_code == status
        for entry in ("API", "API Playground"):
            assert (f">{entry}</a>" in visitor.get(home).text) == (status == 200)
    assert "User rights" in error_of(visitor.get(page))
    assert "UserRights/index.php" in visitor.get(page).text  # the menu leads there


def test_what_is_done_to_a_token_has_a_name(visitor: Visitor, page: str) -> None:
    assert visitor.post(page, {"action": "steal"}).status_code == 400
    assert visitor.post(page, {}).status_code == 400
    assert visitor.post(page, {"action": "create"}).status_code == 409  # there is one
