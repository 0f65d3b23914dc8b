"""Our own client against the sandbox: every room, from both sides."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.api import (
    MalformedResponseError,
    REDCapClient,
    REDCapError,
    REDCapFile,
    RefusedError,
)
from redcap_dagster.sandbox import Sandbox
from tests.clients.conftest import EXPORTS


@pytest.fixture
def client(sandbox: Sandbox, token: str) -> REDCapClient:
    return REDCapClient(sandbox.url, token, retries=0)


def test_users(client: REDCapClient) -> None:
    before = {user["username"] for user in client.users.export()}

    assert client.users.import_([{"username": "ann", "forms": {"visit": 1}}]) == 1
    users = {user["username"]: user for user in client.users.export()}
    assert users.keys() == before | {"ann"}
    assert str(users["ann"]["forms"]["visit"]) == "1"

    assert client.users.delete(["ann"]) == 1
    assert {user["username"] for user in client.users.export()} == before


def test_users_keep_their_access_group_unless_it_is_given(client: REDCapClient) -> None:
    """REDCap removes a user whose row lacks the group from it, who then sees all records."""

    def get_groups() -> dict[str, str]:
        users = client.users.export()
        return {user["username"]: user["data_access_group"] for user in users}

    ann: dict[str, Any] = {"username": "ann", "data_access_group": "north", "forms": {"visit": 1}}
    client.users.import_([ann, {"username": "bob", "data_access_group": ""}])
    text = "username,design\nann,1\nbob,0\neve,0\n"
    for data in (
        [{"username": "ann", "forms": {"visit": 2}}, {"username": "bob"}, {"username": "eve"}],
        text,
        pd.read_csv(io.StringIO(text)),
    ):
        assert client.users.import_(data) == 3
        groups = get_groups()
        assert (groups["ann"], groups["bob"], groups["eve"]) == ("north", "", "")
    users = {user["username"]: user for user in client.users.export()}
    assert str(users["ann"]["forms"]["visit"]) == "2"
    assert str(users["ann"]["design"]) == "1"

    assert client.users.import_([{"username": "ann", "data_access_group": ""}]) == 1
    assert get_groups()["ann"] == ""


def test_roles(client: REDCapClient) -> None:
    assert client.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}]) == 1
    [role] = client.roles.export()
    assert role["role_label"] == "Nurse"

    client.users.import_("username\nann\n")
    mapping = [{"username": "ann", "unique_role_name": role["unique_role_name"]}]
    assert client.roles.import_mapping(mapping) == 1
    found = {row["username"]: row["unique_role_name"] for row in client.roles.export_mapping()}
    assert found["ann"] == role["unique_role_name"]

    assert client.roles.delete([role["unique_role_name"]]) == 1
    assert client.roles.export() == []


def test_access_groups(client: REDCapClient) -> None:
    rows = [{"data_access_group_name": "South Pole", "unique_group_name": ""}]
    assert client.groups.import_(rows) == 1
    names = [group["unique_group_name"] for group in client.groups.export()]
    assert sorted(names) == ["north", "south_pole"]

    [me] = [row["username"] for row in client.groups.export_mapping()]
    assert (
        client.groups.import_mapping([{"username": me, "redcap_data_access_group": "north"}]) == 1
    )
    assert set(client.export_records(fields=["age"])["record_id"]) == {"1"}


def test_a_group_is_deleted(client: REDCapClient) -> None:
    client.groups.import_("data_access_group_name,unique_group_name\nSouth,\n")

    assert client.groups.delete(["south"]) == 1

    assert [group["unique_group_name"] for group in client.groups.export()] == ["north"]


def test_the_log(client: REDCapClient) -> None:
    client.records.delete(["2"])

    log = client.log.export(logtype="record_delete", record="2")

    assert [row["record"] for row in log] == ["2"]


def test_the_file_repository(client: REDCapClient, tmp_path: Path) -> None:
    folder = client.repository.create_folder("Consent")
    client.repository.import_(REDCapFile("form.pdf", "application/pdf", b"%PDF-x"), folder)

    [top] = client.repository.list_()
    assert (top["folder_id"], top["name"]) == (folder, "Consent")
    [document] = client.repository.list_(folder)
    assert document["name"] == "form.pdf"
    assert client.repository.export(document["doc_id"]).content == b"%PDF-x"
    assert client.repository.save(tmp_path, document["doc_id"]) == tmp_path / "form.pdf"

    client.repository.delete(document["doc_id"])
    assert client.repository.list_(folder) == []
    with pytest.raises(RefusedError) as caught:
        client.repository.list_(99)
    assert caught.value.kind == "unknown folder"


def test_surveys(client: REDCapClient) -> None:
    where: dict[str, Any] = {"record": "1", "instrument": "visit", "event": "first_arm_1"}

    assert client.surveys.export_link(**where).startswith("http")
    assert len(client.surveys.export_access_code(**where)) == 9
    assert len(client.surveys.export_return_code(**where)) == 8
    assert client.surveys.export_queue_link("1").startswith("http")
    assert isinstance(client.surveys.export_participants("visit", "first_arm_1"), list)
    with pytest.raises(RefusedError) as caught:
        client.surveys.export_link("99", "visit", "first_arm_1")
    assert (caught.value.kind, caught.value.records) == ("unknown record", ("99",))


def test_reports(sandbox: Sandbox, token: str, client: REDCapClient) -> None:
    report = sandbox.add_report(token, ["record_id", "age"], "[age] > 45")

    assert client.reports.export(report)["age"].tolist() == ["50"]
    with pytest.raises(REDCapError, match="another project"):
        client.reports.export(report + 999)


def test_a_report_with_labels_for_a_header(
    sandbox: Sandbox, token: str, client: REDCapClient
) -> None:
    report = sandbox.add_report(token, ["record_id", "race"])

    labelled = client.reports.export(report, raw_or_label_headers="label")

    raw = client.reports.export(report)
    assert {"race (choice=A)", "race (choice=B)"} <= set(labelled)
    assert labelled.to_numpy().tolist() == raw.to_numpy().tolist()


def test_labels_that_come_twice_are_refused(
    sandbox: Sandbox, token: str, client: REDCapClient
) -> None:
    metadata: list[dict[str, Any]] = [dict(row) for row in client.export_metadata()]
    metadata[1]["field_label"] = metadata[0]["field_label"]
    client.design.import_metadata(metadata)
    report = sandbox.add_report(token, ["record_id", "age"])

    with pytest.raises(MalformedResponseError, match="names a column twice") as caught:
        client.reports.export(report, raw_or_label_headers="label")

    assert "always has different columns" in caught.value.__notes__[0]
    assert "age" in client.reports.export(report)


def test_a_pdf(client: REDCapClient) -> None:
    for options in ({}, {"record": "1", "compact_display": True}, {"all_records": True}):
        file = client.pdfs.export(**options)
        assert file.content.startswith(b"%PDF-")


def test_the_design(client: REDCapClient) -> None:
    metadata: list[dict[str, Any]] = [dict(row) for row in client.export_metadata()]
    metadata[1]["field_label"] = "Age, in years"
    assert client.design.import_metadata(metadata) == len(metadata)
    assert client.export_metadata() == metadata

    client.design.import_arms([{"arm_num": 2, "name": "Two"}])
    event = {"event_name": "First", "arm_num": 2, "unique_event_name": ""}
    assert client.design.import_events([event]) == 1
    assert [row["arm_num"] for row in client.export_arms([2])] == [2]
    [new] = client.export_events([2])

    mapping = [
        *client.export_form_event_mapping(),
        {"arm_num": 2, "unique_event_name": new["unique_event_name"], "form": "visit"},
    ]
    assert client.design.import_form_event_mapping(mapping) == 3
    assert client.export_form_event_mapping() == mapping

    repeating = [{"event_name": "first_arm_1", "form_name": "visit", "custom_form_label": ""}]
    assert client.design.import_repeating_forms_events(repeating) == 1
    assert client.export_repeating_forms_events() == repeating

    assert client.design.delete_events([new["unique_event_name"]]) == 1
    assert [row["arm_num"] for row in client.export_arms()] == [1]


def test_the_project(sandbox: Sandbox, client: REDCapClient) -> None:
    assert client.projects.import_settings({"project_title": "Renamed"}) == 1
    assert client.export_project_info()["project_title"] == "Renamed"

    xml = client.projects.export_xml()
    maker = REDCapClient(sandbox.url, sandbox.super_token, retries=0)
    token = maker.projects.create({"project_title": "Copy", "purpose": 0}, xml)

    copy = REDCapClient(sandbox.url, token, retries=0)
    assert copy.export_project_info()["project_title"] == "Copy"
    assert copy.export_metadata() == client.export_metadata()
    assert [row["field_name"] for row in copy.export_metadata()] == [
        row["field_name"] for row in EXPORTS["metadata"]
    ]
    assert copy.export_records(fields=["age", "dose"]).equals(
        client.export_records(fields=["age", "dose"])
    )
