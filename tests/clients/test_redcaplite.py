"""redcaplite 2.3.0 against the sandbox: what its documentation promises."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.sandbox import Sandbox
from tests.clients.call_guard import every_method_is_called, public_methods
from tests.clients.conftest import EXPORTS

redcaplite = pytest.importorskip("redcaplite", reason="redcaplite needs pandas 3; this is older")
RedcapClient = redcaplite.RedcapClient
APIException = pytest.importorskip("redcaplite.http.error").APIException

ROW = {"record_id": "9", "redcap_event_name": "first_arm_1", "age": "1"}


@pytest.fixture(scope="module", autouse=True)
def every_method(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[None]:
    # What it inherits from its HTTP client is how it sends, and no method of the API.
    methods = public_methods(RedcapClient) - public_methods(RedcapClient.__base__)
    yield from every_method_is_called(request, RedcapClient, methods, lambda: len(sandbox.requests))


@pytest.fixture
def client(sandbox: Sandbox, token: str) -> Any:
    return RedcapClient(sandbox.url, token)


def test_the_structure(client: Any) -> None:
    assert client.get_version() == "15.5.0"
    assert client.get_project()["is_longitudinal"] == 1
    assert client.get_metadata(forms=["drug"])["field_name"].tolist() == ["dose"]
    assert [row["export_field_name"] for row in client.get_field_names("race")] == [
        "race___1",
        "race___2",
    ]
    assert [row["instrument_name"] for row in client.get_instruments()] == ["visit", "drug"]
    assert client.get_arms([1]) == [{"arm_num": 1, "name": "One"}]
    assert len(client.get_events()) == 2
    assert client.get_form_event_mappings() == EXPORTS["formEventMapping"]
    assert len(client.get_repeating_forms_events()) == 1
    assert "<ODM" in client.get_project_xml(returnMetadataOnly=True)


def test_records_come_out(client: Any) -> None:
    frame = client.export_records()
    assert frame["record_id"].tolist() == [1, 1, 2]
    assert client.export_records(format="json", records=[2], fields=["age"])[0]["age"] == "50"
    assert client.export_records(filterLogic="[age] > 45")["age"].tolist() == [50]
    assert len(client.export_records(events=["then_arm_1"], forms=["drug"])) == 1
    labels = client.export_records(
        rawOrLabel="label",
        rawOrLabelHeaders="label",
        exportCheckboxLabel=True,
        exportSurveyFields=True,
        exportDataAccessGroups=True,
    )
    assert "race (choice=A)" in labels
    # Its default is another delimiter only where it is told to read one.
    other = client.export_records(csvDelimiter=";", pd_read_csv_kwargs={"sep": ";"})
    assert other.equals(frame)


@pytest.mark.parametrize(
    "data",
    [[ROW], "record_id,redcap_event_name,age\n9,first_arm_1,1\n", pd.DataFrame([ROW])],
    ids=["list", "csv", "frame"],
)
def test_records_go_in(data: Any, client: Any) -> None:
    assert client.import_records(data) == ["9"]

    assert client.export_records(format="json", records=["9"])[0]["age"] == "1"


def test_the_rest_of_a_records_life(client: Any) -> None:
    assert str(client.generate_next_record_name()) == "3"
    client.rename_record("2", "7")
    assert client.delete_records(["7"]) == 1
    with pytest.raises(APIException, match="do not exist"):
        client.delete_records(["7"])


def test_files(client: Any, tmp_path: Path) -> None:
    (tmp_path / "scan.jpg").write_bytes(b"\xff\xd8")
    where = {"record": "1", "field": "scan", "event": "first_arm_1"}
    client.import_file(str(tmp_path / "scan.jpg"), **where)
    (tmp_path / "scan.jpg").unlink()

    # It joins the name in the header to the folder without a look, so that a server could write
    # anywhere; the sandbox takes slashes out of names.
    client.get_file(**where, file_dictionary=str(tmp_path))
    assert (tmp_path / "scan.jpg").read_bytes() == b"\xff\xd8"

    # It deletes, and then reads the empty answer, which REDCap gives, as JSON.
    with pytest.raises(ValueError, match="line 1 column"):
        client.delete_file(**where)
    with pytest.raises(APIException):
        client.get_file(**where, file_dictionary=str(tmp_path))


def test_the_file_repository(client: Any, tmp_path: Path) -> None:
    folder = client.create_folder_file_repository("Consent")[0]["folder_id"]
    (tmp_path / "form.txt").write_bytes(b"hello")
    client.import_file_repository(str(tmp_path / "form.txt"), folder)
    (tmp_path / "form.txt").unlink()

    [document] = client.list_file_repository(folder)
    client.export_file_repository(document["doc_id"], str(tmp_path))
    assert (tmp_path / "form.txt").read_bytes() == b"hello"

    with pytest.raises(ValueError, match="line 1 column"):  # as in deleting files of fields
        client.delete_file_repository(document["doc_id"])
    assert client.list_file_repository(folder) == []


def test_a_pdf(client: Any, tmp_path: Path) -> None:
    client.export_pdf(instrument="visit", file_dictionary=str(tmp_path))

    [path] = tmp_path.iterdir()
    assert path.read_bytes().startswith(b"%PDF-")


def test_users_roles_and_groups(client: Any) -> None:
    assert client.import_users([{"username": "ann"}]) == 1
    assert "ann" in {user["username"] for user in client.get_users()}
    assert client.import_user_roles([{"unique_role_name": "", "role_label": "Nurse"}]) == 1
    name = client.get_user_roles()[0]["unique_role_name"]
    mapping = [{"username": "ann", "unique_role_name": name}]
    assert client.import_user_role_mappings(mapping) == 1
    assert name in {row["unique_role_name"] for row in client.get_user_role_mappings()}

    row = {"data_access_group_name": "South", "unique_group_name": ""}
    assert client.import_dags([row]) == 1
    assert len(client.get_dags()) == 2
    mapping = [{"username": "ann", "redcap_data_access_group": "south"}]
    assert client.import_user_dag_mappings(mapping) == 1
    assert "south" in {row["redcap_data_access_group"] for row in client.get_user_dag_mappings()}

    assert client.delete_user_roles([name]) == 1
    assert client.delete_users(["ann"]) == 1
    assert client.delete_dags(["south"]) == 1
    client.switch_dag("north")
    assert set(client.export_records()["record_id"]) == {1}


def test_surveys_log_and_reports(sandbox: Sandbox, token: str, client: Any) -> None:
    where = {"record": "1", "instrument": "visit", "event": "first_arm_1"}
    assert client.get_survey_link(**where).startswith("http")
    assert client.get_survey_queue_link("1").startswith("http")
    assert len(client.get_survey_return_code(**where)) == 8
    client.get_participant_list("visit", "first_arm_1")

    client.delete_records(["2"])
    assert client.get_logs(logtype="record_delete")["record"].tolist() == [2]
    report = sandbox.add_report(token, ["record_id", "age"])
    assert 40 in client.get_report(report)["age"].tolist()


def test_a_bad_token(sandbox: Sandbox) -> None:
    with pytest.raises(APIException, match="Forbidden"):
        RedcapClient(sandbox.url, "0" * 32).get_version()


def test_the_design(client: Any) -> None:
    metadata = client.get_metadata(pd_read_csv_kwargs={"dtype": str, "keep_default_na": False})
    metadata.loc[1, "field_label"] = "Age, in years"
    assert client.import_metadata(metadata) == str(len(metadata))
    assert client.get_metadata(fields=["age"])["field_label"].tolist() == ["Age, in years"]

    assert client.import_arms([{"arm_num": 2, "name": "Two"}]) == 1
    assert client.import_events([{"event_name": "First", "arm_num": 2}]) == 1
    mapping = [
        *client.get_form_event_mappings(),
        {"arm_num": 2, "unique_event_name": "first_arm_2", "form": "visit"},
    ]
    assert client.import_form_event_mappings(mapping) == 3
    repeating = [{"event_name": "first_arm_1", "form_name": "visit", "custom_form_label": ""}]
    assert client.import_repeating_forms_events(repeating) == 1

    assert client.delete_events(["first_arm_2"]) == 1
    assert client.delete_arms(["2"]) == 1


def test_settings_and_new_projects(sandbox: Sandbox, client: Any) -> None:
    assert client.import_project_settings({"project_title": "Renamed"}) == 1
    assert client.get_project()["project_title"] == "Renamed"

    maker = RedcapClient(sandbox.url, sandbox.super_token)
    # It asks for JSON and reads the answer as JSON, where REDCap sends a bare token.
    with pytest.raises(ValueError, match="line 1 column"):
        maker.create_project([{"project_title": "New", "purpose": 0}])
