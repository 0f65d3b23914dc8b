"""Access groups, users and roles, and the groups and roles of users."""

import json

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS, Ask

NEEDS = "Insufficient user privileges: You must have '{}' privileges and '{}' privileges"


def importing(ask: Ask, token: str, content: str, rows: object, **more: str) -> str:
    sent = {"content": content, "action": "import", "data": json.dumps(rows), **more}
    response = ask(token, **({"format": "json"} | sent))
    assert response.status_code == 200, response.text
    return response.text


@pytest.fixture
def grouped(classic: str, ask: Ask) -> str:
    rows = [
        {"data_access_group_name": "Site One", "unique_group_name": ""},
        {"data_access_group_name": "dag-a", "unique_group_name": ""},
    ]
    assert importing(ask, classic, "dag", rows) == "2"
    return classic


def test_groups_are_added_renamed_and_deleted(grouped: str, ask: Ask) -> None:
    groups = ask(grouped, content="dag", format="json").json()
    assert [(row["data_access_group_name"], row["unique_group_name"]) for row in groups] == [
        ("Site One", "site_one"),
        ("dag-a", "daga"),
    ]
    assert isinstance(groups[0]["data_access_group_id"], int)
    renamed = [{"data_access_group_name": "New", "unique_group_name": "daga"}]
    importing(ask, grouped, "dag", renamed)
    records = '[{"id": "9", "redcap_data_access_group": "daga"}]'
    ask(grouped, content="record", format="json", action="import", data=records)
    header = ask(grouped, content="record", exportDataAccessGroups="true").text.split("\n")[0]
    assert "redcap_data_access_group" in header
    kept = ask(grouped, content="dag", action="delete", **{"dags[0]": "daga"})
    assert kept.status_code == 400
    assert ask(grouped, content="dag", action="delete", **{"dags[0]": "site_one"}).text == "1"
    assert "New,daga," in ask(grouped, content="dag").text
    assert ask(grouped, content="dag", action="delete", dags="site_one").status_code == 400


def test_groups_of_records_are_known(longitudinal: str, ask: Ask) -> None:
    groups = ask(longitudinal, content="dag", format="json").json()
    assert [row["unique_group_name"] for row in groups] == ["north", "south"]


def test_a_user_switches_the_group(grouped: str, ask: Ask) -> None:
    assert ask(grouped, content="dag", action="switch", dag="site_one").text == "1"
    assert ask(grouped, content="record", format="json").json() == []
    mapping = ask(grouped, content="userDagMapping").text
    assert mapping == "username,redcap_data_access_group\nsandbox,site_one\n"
    assert ask(grouped, content="dag", action="switch", dag="none").status_code == 400
    back = [{"username": "sandbox", "redcap_data_access_group": ""}]
    assert importing(ask, grouped, "userDagMapping", back) == "1"
    assert ask(grouped, content="record", format="json").json() != []


def test_users_are_added_changed_and_deleted(grouped: str, ask: Ask) -> None:
    new = {"username": "ann", "design": 1, "forms": {"visit": 1}, "data_access_group": "daga"}
    assert importing(ask, grouped, "user", [new]) == "1"
    ann, own = ask(grouped, content="user", format="json").json()
    assert (ann["username"], ann["design"], ann["logging"]) == ("ann", 1, 0)
    assert ann["forms"] == {"visit": 1, "lab": 0, "drug": 0}
    assert ann["forms_export"] == {"visit": 0, "lab": 0, "drug": 0}
    assert ann["data_access_group"] == "daga"
    assert own["logging"] == 1
    assert own["forms"] == {"visit": 1, "lab": 1, "drug": 1}
    change = 'username,forms,expiration\nann,"lab:2",2030-01-01\n'
    assert ask(grouped, content="user", action="import", data=change).text == "1"
    ann = ask(grouped, content="user", format="json").json()[0]
    assert ann["forms"] == {"visit": 1, "lab": 2, "drug": 0}
    assert (ann["expiration"], ann["design"]) == ("2030-01-01", 1)
    assert ann["data_access_group"] == ""  # removed, because it was not named
    assert ',"visit:1,lab:2,drug:0",' in ask(grouped, content="user").text
    assert ">visit:1,lab:2,drug:0<" in ask(grouped, content="user", format="xml").text
    assert ask(grouped, content="user", action="delete", **{"users[0]": "ann"}).text == "1"
    assert len(ask(grouped, content="user", format="json").json()) == 1


def test_an_imported_user_has_a_token_and_sees_the_own_group(
    longitudinal: str, sandbox: Sandbox, ask: Ask
) -> None:
    ann = {"username": "ann", "api_export": 1, "data_access_group": "south"}
    ann["forms_export"] = {"visit": 1}
    importing(ask, longitudinal, "user", [ann])
    token = sandbox.get_token(longitudinal, "ann")
    assert sandbox.get_token(longitudinal, "ann") == token
    (row,) = ask(token, content="record", format="json").json()
    assert (row["redcap_event_name"], row["age"], "dose" in row) == ("first_arm_2", "3", False)
    data = '[{"id": "1", "redcap_event_name": "first_arm_2", "age": "4"}]'
    assert ask(token, content="record", data=data, format="json").status_code == 403
    assert ask(longitudinal, content="user", action="delete", users="ann").text == "1"
    assert ask(token, content="record").status_code == 403
    with pytest.raises(KeyError, match="does not have a user of this name"):
        sandbox.get_token(longitudinal, "ann")
    assert sandbox.get_token(longitudinal, "sandbox") == longitudinal


@pytest.mark.parametrize(
    "row",
    [
        {"username": ""},
        {"username": "ann", "design": "secret"},
        {"username": "ann", "unheard": 1},
        {"username": "ann", "forms": {"no_form": 1}},
        {"username": "ann", "data_access_group": "no_group"},
        ["ann"],
    ],
)
def test_users_that_are_refused(grouped: str, ask: Ask, row: object) -> None:
    data = json.dumps([{"username": "first"}, row])
    refused = ask(grouped, content="user", action="import", format="json", data=data)
    assert refused.status_code == 400
    assert "secret" not in refused.text
    assert len(ask(grouped, content="user", format="json").json()) == 1


def test_roles_give_rights(grouped: str, ask: Ask) -> None:
    assert ask(grouped, content="userRole", format="json").json() == []
    role = {"unique_role_name": "", "role_label": "Reader", "forms": {"visit": 2}, "design": 1}
    rights = {"api_export": 1, "api_import": 1, "user_rights": 1, "forms_export": {"visit": 1}}
    assert importing(ask, grouped, "userRole", [role | rights]) == "1"
    (made,) = ask(grouped, content="userRole", format="json").json()
    name = made["unique_role_name"]
    assert name.startswith("U-")
    assert (made["design"], made["logging"], made["forms"]["visit"]) == ("1", "0", "2")
    mapped = [{"username": "sandbox", "unique_role_name": name}]
    assert importing(ask, grouped, "userRoleMapping", mapped) == "1"
    assert ask(grouped, content="userRoleMapping").text == (
        f"username,unique_role_name,data_access_group\nsandbox,{name},\n"
    )
    assert ask(grouped, content="log").status_code == 400
    importing(ask, grouped, "userRole", [{"unique_role_name": name, "logging": "1"}])
    assert ask(grouped, content="log").status_code == 200
    wrong = '[{"unique_role_name": "U-NONE"}]'
    refused = ask(grouped, content="userRole", action="import", format="json", data=wrong)
    assert refused.json()["error"] == "Invalid Unique Role Names: U-NONE"
    assert ask(grouped, content="userRole", action="delete", **{"roles[0]": name}).text == "1"
    assert ask(grouped, content="userRoleMapping").text.endswith("\nsandbox,,\n")
    assert ask(grouped, content="log").status_code == 200


@pytest.mark.parametrize(
    ("content", "right", "name"),
    [
        ("dag", "data_access_groups", "Data Access Groups"),
        ("userDagMapping", "data_access_groups", "Data Access Groups"),
        ("user", "user_rights", "User Rights"),
        ("userRole", "user_rights", "User Rights"),
        ("userRoleMapping", "user_rights", "User Rights"),
    ],
)
def test_rights_are_needed(sandbox: Sandbox, ask: Ask, content: str, right: str, name: str) -> None:
    token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS, rights={right: 0})
    refused = ask(token, content=content)
    assert refused.status_code == 400
    assert NEEDS.format("API Export", name) in refused.text
    refused = ask(token, content=content, action="import", data="x")
    assert NEEDS.format("API Import/Update", name) in refused.text
