"""PyCap 2.7.0 against the sandbox: what its documentation promises."""

import inspect
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from redcap.project import Project
from redcap.request import RedcapError

from redcap_dagster.sandbox import Sandbox
from tests.clients.call_guard import every_method_is_called, public_methods
from tests.clients.conftest import EXPORTS


@pytest.fixture(scope="module", autouse=True)
def every_method(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[None]:
    methods = public_methods(Project)
    yield from every_method_is_called(request, Project, methods, lambda: len(sandbox.requests))


@pytest.fixture
def project(sandbox: Sandbox, token: str) -> Any:
    return Project(sandbox.url, token)


def test_what_it_knows_of_a_project(project: Any) -> None:
    assert project.def_field == "record_id"
    assert project.is_longitudinal
    assert sorted(project.forms) == ["drug", "visit"]  # from a set, in no order
    assert project.field_names == ["record_id", "age", "race", "scan", "dose"]
    assert str(project.export_version()) == "15.5.0"
    assert project.export_project_info()["is_longitudinal"] == 1


def test_the_structure(project: Any) -> None:
    assert [row["field_name"] for row in project.export_metadata(forms=["drug"])] == ["dose"]
    assert len(project.export_metadata(format_type="df")) == 5
    assert project.export_field_names(field="race") == [
        {"original_field_name": "race", "choice_value": code, "export_field_name": f"race___{code}"}
        for code in "12"
    ]
    assert [row["instrument_name"] for row in project.export_instruments()] == ["visit", "drug"]
    assert project.export_arms() == [{"arm_num": 1, "name": "One"}]
    assert [row["unique_event_name"] for row in project.export_events(arms=["1"])] == [
        "first_arm_1",
        "then_arm_1",
    ]
    assert project.export_instrument_event_mappings() == EXPORTS["formEventMapping"]
    [repeating] = project.export_repeating_instruments_events()
    assert repeating["form_name"] == "drug"


def test_records_in_each_format(project: Any) -> None:
    rows = project.export_records()
    assert [row["record_id"] for row in rows] == ["1", "1", "2"]
    assert rows[1]["redcap_repeat_instance"] == 1
    assert project.export_records(format_type="csv").count("\n") == 4
    assert "<record_id>" in project.export_records(format_type="xml")
    frame = project.export_records(format_type="df")
    assert frame.index.names == ["record_id", "redcap_event_name"]
    assert frame["age"].dropna().tolist() == [40, 50]


def test_what_records_may_be_asked_for(project: Any) -> None:
    ask = project.export_records

    assert {row["record_id"] for row in ask(records=["2"])} == {"2"}
    assert {row["record_id"] for row in ask(filter_logic="[age] > 45")} == {"2"}
    assert ask(records=["2"], fields=["age"])[0].keys() == {
        "record_id",
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
        "age",
    }
    assert len(ask(events=["then_arm_1"])) == 1
    labelled = ask(
        records=["1"],
        raw_or_label="label",
        export_data_access_groups=True,
        export_survey_fields=True,
        export_checkbox_labels=True,
    )
    assert labelled[0]["race___1"] == "A"
    assert labelled[0]["redcap_data_access_group"]
    assert labelled[0]["visit_timestamp"] == "2024-01-02 03:04:05"
    assert ask(records=["2"], export_blank_for_gray_form_status=True)[0]["drug_complete"] == ""
    assert ask(date_begin=datetime(2099, 1, 1)) == []  # noqa: DTZ001
    values = ask(record_type="eav", records=["2"], fields=["age"])
    assert ("age", "50") in [(row["field_name"], row["value"]) for row in values]


@pytest.mark.parametrize("import_format", ["json", "csv", "xml"])
def test_records_go_in(import_format: str, project: Any) -> None:
    data = {
        "json": [{"record_id": "9", "redcap_event_name": "first_arm_1", "age": "1"}],
        "csv": "record_id,redcap_event_name,age\n9,first_arm_1,1\n",
        "xml": "<records><item><record_id>9</record_id><redcap_event_name>first_arm_1"
        "</redcap_event_name><age>1</age></item></records>",
    }

    done = project.import_records(data[import_format], import_format=import_format)

    assert done == {"count": 1}
    assert project.export_records(records=["9"])[0]["age"] == "1"


def test_what_an_import_returns(project: Any) -> None:
    frame = project.export_records(format_type="df", records=["2"], fields=["age"])
    # A defect of PyCap: it gives a longitudinal project two levels of index, and drops them when
    # it imports such a frame, record ids and all.
    frame = frame.reset_index()

    assert project.import_records(frame, import_format="df", return_content="ids") == ["2"]
    row = {"record_id": "x", "redcap_event_name": "first_arm_1", "age": "7"}
    assert project.import_records([row], force_auto_number=True, return_content="auto_ids") == [
        "3,x"
    ]
    assert project.import_records([row], return_content="nothing") == [{}]
    assert project.import_records([row], return_format_type="csv") == "1"
    with pytest.raises(RedcapError, match="could not be validated"):
        project.import_records([row | {"age": "old"}])


def test_records_go(project: Any) -> None:
    assert project.generate_next_record_name() == "3"
    assert project.delete_records(["2"]) == 1
    with pytest.raises(RedcapError, match="do not exist"):
        project.delete_records(["2"])


def test_files(project: Any) -> None:
    project.import_file("1", "scan", "a b.jpg", io.BytesIO(b"\xff\xd8"), event="first_arm_1")

    content, headers = project.export_file("1", "scan", event="first_arm_1")
    assert content == b"\xff\xd8"
    assert headers["name"] == "a b.jpg"

    project.delete_file("1", "scan", event="first_arm_1")
    with pytest.raises(RedcapError):
        project.export_file("1", "scan", event="first_arm_1")
    # It refuses by itself what is no file field.
    with pytest.raises(ValueError, match="not a 'file' field"):
        project.export_file("1", "age", event="first_arm_1")


def test_the_file_repository(project: Any) -> None:
    [made] = project.create_folder_in_repository("Consent")
    folder = made["folder_id"]
    project.import_file_into_repository("form.txt", io.BytesIO(b"hello"), folder_id=folder)
    [document] = project.export_file_repository(folder_id=folder)
    assert document["name"] == "form.txt"

    content, headers = project.export_file_from_repository(document["doc_id"])
    assert (content, headers["name"]) == (b"hello", "form.txt")

    project.delete_file_from_repository(document["doc_id"])
    assert project.export_file_repository(folder_id=folder) == []


def test_users_and_roles(project: Any) -> None:
    assert project.import_users([{"username": "ann", "forms": {"visit": 1, "drug": 0}}]) == 1
    assert "ann" in {user["username"] for user in project.export_users()}
    assert "ann" in project.export_users(format_type="csv")

    assert project.import_user_roles([{"role_label": "Nurse"}]) == 1
    [role] = project.export_user_roles()
    name = role["unique_role_name"]
    assert project.import_user_role_assignment([{"username": "ann", "unique_role_name": name}]) == 1
    given = {row["username"]: row for row in project.export_user_role_assignment()}
    assert given["ann"]["unique_role_name"] == name

    assert project.delete_user_roles([name]) == 1
    assert project.delete_users(["ann"]) == 1


def test_access_groups(project: Any) -> None:
    row = {"data_access_group_name": "South", "unique_group_name": ""}
    assert project.import_dags([row]) == 1
    assert {group["unique_group_name"] for group in project.export_dags()} == {"north", "south"}

    project.import_users([{"username": "ann"}])
    assignment = [{"username": "ann", "redcap_data_access_group": "south"}]
    assert project.import_user_dag_assignment(assignment) == 1
    given = {row["username"]: row for row in project.export_user_dag_assignment()}
    assert given["ann"]["redcap_data_access_group"] == "south"

    assert project.switch_dag("south") == "1"
    assert project.export_records() == []


def test_a_group_goes(project: Any) -> None:
    project.import_dags([{"data_access_group_name": "South", "unique_group_name": ""}])

    assert project.delete_dags(["south"]) == 1


def test_surveys(project: Any) -> None:
    where = {"record": "1", "instrument": "visit", "event": "first_arm_1"}

    assert project.export_survey_link(**where).startswith("http")
    assert project.export_survey_queue_link("1").startswith("http")
    assert len(project.export_survey_return_code(**where)) == 8
    assert len(project.export_survey_access_code(**where)) == 9
    people = project.export_survey_participant_list("visit", event="first_arm_1")
    assert isinstance(people, list)
    with pytest.raises(RedcapError, match="does not exist"):
        project.export_survey_link(**where | {"record": "-1"})


def test_the_log_reports_and_pdfs(sandbox: Sandbox, token: str, project: Any) -> None:
    project.delete_records(["2"])
    assert [row["record"] for row in project.export_logging(log_type="record_delete")] == ["2"]

    report = sandbox.add_report(token, ["record_id", "age"])
    assert {row["age"] for row in project.export_report(str(report))} >= {"40"}
    with pytest.raises(RedcapError, match="does not belong"):
        project.export_report("999")

    content, _ = project.export_pdf(instrument="visit")
    assert content.startswith(b"%PDF-")


def test_a_bad_token_and_a_bad_field(sandbox: Sandbox, project: Any) -> None:
    with pytest.raises(RedcapError):
        Project(sandbox.url, "0" * 32).export_version()
    with pytest.raises(RedcapError, match="not valid"):
        project.export_records(fields=["nothing"])


def test_the_design(project: Any) -> None:
    metadata = project.export_metadata()
    metadata[1]["field_label"] = "Age, in years"
    assert project.import_metadata(metadata) == len(metadata)
    assert project.export_metadata() == metadata

    assert project.import_arms([{"arm_num": 2, "name": "Two"}]) == 1
    event = {"event_name": "First", "arm_num": 2, "unique_event_name": ""}
    assert project.import_events([event]) == 1
    mapping = [
        *project.export_instrument_event_mappings(),
        {"arm_num": 2, "unique_event_name": "first_arm_2", "form": "visit"},
    ]
    assert project.import_instrument_event_mappings(mapping) == 3
    repeating = [{"event_name": "first_arm_1", "form_name": "visit", "custom_form_label": ""}]
    assert project.import_repeating_instruments_events(repeating) == 1

    assert project.delete_events(["first_arm_2"]) == 1
    assert project.delete_arms(["2"]) == 1


FRAMES = [
    name
    for name in sorted(public_methods(Project))  # the same order in each process of a run
    if "df" in str(inspect.signature(getattr(Project, name)).parameters.get("format_type"))
]


@pytest.mark.parametrize("method", FRAMES)
def test_a_frame_has_what_the_list_has(
    method: str, sandbox: Sandbox, token: str, project: Any
) -> None:
    project.import_users([{"username": "ann"}])
    project.import_user_roles([{"role_label": "Nurse"}])
    where = {
        "export_report": [str(sandbox.add_report(token, ["record_id", "age"]))],
        "export_survey_participant_list": ["visit"],
    }
    event = {"event": "first_arm_1"} if method == "export_survey_participant_list" else {}
    ask = getattr(project, method)

    frame = ask(*where.get(method, []), format_type="df", **event)
    rows = ask(*where.get(method, []), **event)

    rows = [rows] if isinstance(rows, dict) else rows
    if method == "export_logging":
        rows = rows[1:]  # the first is of the export of the frame
    assert len(frame) == len(rows) > 0
    assert set(rows[0]) <= {*frame.columns, *frame.index.names}
