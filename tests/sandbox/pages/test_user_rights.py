"""User rights on the page are those of the API, from the moment they are saved."""

import json

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, Ask, rows_of, stored
from tests.sandbox.pages.conftest import Visitor, error_of

RECORDS: list[dict[str, object]] = [
    {"id": "1", "note": "a", "visit_complete": "2", "redcap_data_access_group": "north"},
    {"id": "2", "note": "b", "visit_complete": "2", "redcap_data_access_group": "south"},
]
SAVE = {"action": "save", "username": "sandbox"}
ALL = {**SAVE, "api_export": "1", "api_import": "1"}


@pytest.fixture
def project(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports=CLASSIC, records=RECORDS)


@pytest.fixture
def page(ask: Ask, project: str) -> str:
    info = json.loads(ask(project, content="project", format="json").text)
    return f"/redcap_v14.7.3/UserRights/index.php?pid={info['project_id']}"


def test_saved_rights_apply_at_once(visitor: Visitor, ask: Ask, project: str, page: str) -> None:
    def save(**rights: str) -> list[dict[str, str]]:
        assert "were saved" in visitor.post(page, ALL | rights).text
        return stored(ask, project)

    assert [row["id"] for row in save()] == ["1", "2"]
    assert [row["id"] for row in save(data_access_group="north")] == ["1"]
    assert save()[0].keys() == {*save(**{"export:visit": "1"})[0]}
    assert "note" not in save(**{"export:visit": "2"})[0]  # de-identified
    assert "scan" in save()[0]
    assert "scan" not in save(export="0", **{"export:lab": "1"})[0]  # all instruments
    save(export="1")
    # Without the right to edit an instrument, nothing is imported into it.
    assert "were saved" in visitor.post(page, ALL | {"view:visit": "read"}).text
    row = [{"id": "1", "note": "c"}]
    imported = ask(project, content="record", data=json.dumps(row), format="json")
    assert imported.status_code == 403
    assert "were saved" in visitor.post(page, SAVE | {"api_import": "1"}).text
    assert ask(project, content="record").status_code == 403


def test_a_change_is_logged(visitor: Visitor, ask: Ask, project: str, page: str) -> None:
    visitor.post(page, ALL)
    visitor.post(page, {"action": "add", "username": "reader"})
    log = rows_of(ask(project, content="log").text)
    assert [(row["username"], row["action"]) for row in log[:2]] == [
        ("sandbox", "Add user reader"),
        ("sandbox", "Edit user sandbox"),
    ]


def test_a_new_user_has_no_rights_and_no_token(
    sandbox: Sandbox, visitor: Visitor, ask: Ask, project: str, page: str
) -> None:
    added = visitor.post(page, {"action": "add", "username": "reader@site.org"})
    assert "user=reader%40site.org" in added.url
    users = json.loads(ask(project, content="user", format="json").text)
    assert (users[0]["username"], users[0]["api_export"], users[0]["forms"]["visit"]) == (
        "reader@site.org",
        0,
        0,
    )
    assert ask(sandbox.get_token(project, "reader@site.org"), content="record").status_code == 403


@pytest.mark.parametrize("name", ["", " ", "a b", "<b>", "é", "a" * 256, "sandbox"])
def test_a_username_is_refused(visitor: Visitor, page: str, name: str) -> None:
    refused = visitor.post(page, {"action": "add", "username": name})
    assert refused.status_code == 400
    assert error_of(refused)


@pytest.mark.parametrize(
    "rights", [{"data_access_group": "west"}, {"export:visit": "9"}, {"view": "all"}]
)
def test_a_right_is_refused(
    visitor: Visitor, ask: Ask, project: str, page: str, rights: dict[str, str]
) -> None:
    refused = visitor.post(page, SAVE | rights)
    assert refused.status_code == 400
    assert "Choose one" in error_of(refused)
    assert ask(project, content="record").status_code == 200


def test_codes_are_those_of_the_version_and_stay_if_nothing_changes(
    visitor: Visitor, page: str, sandbox: Sandbox, project: str, ask: Ask
) -> None:
    sandbox.set_rights(project, {"forms": {"visit": 3}, "forms_export": {"lab": 3}})
    visitor.post(page, ALL | {"view:lab": "none", "view:drug": "read", "view:visit": "edit"})
    (user,) = json.loads(ask(project, content="user", format="json").text)
    assert user["forms"] == {"visit": 3, "lab": 0, "drug": 2}
    assert user["forms_export"] == {"visit": 1, "lab": 3, "drug": 1}


def test_without_the_right_to_user_rights_the_page_is_refused(
    visitor: Visitor, sandbox: Sandbox, project: str, page: str
) -> None:
    sandbox.add_user(project, "hidden.colleague")
    home = page.replace("UserRights/", "")
    assert "hidden.colleague" in visitor.get(home).text
    sandbox.set_rights(project, {"user_rights": 0})
    assert "hidden.colleague" not in visitor.get(home).text
    for refused in (
        visitor.get(page),
        visitor.post(page, ALL),
        visitor.get(f"{page}&user=sandbox"),
    ):
        assert (refused.status_code, "User Rights" in error_of(refused)) == (403, True)
    assert visitor.get(f"{page}&user=nobody").status_code == 403
