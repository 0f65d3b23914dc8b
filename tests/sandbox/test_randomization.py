"""Records randomized from an allocation table."""

from typing import Any

import pytest
import requests

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import LONGITUDINAL, Ask, imported, stored

EXPORTS: dict[str, Any] = {
    "metadata": [
        field("id", "a"),
        field("note", "a"),
        field("sex", "a", type="radio", choices="1, F | 2, M"),
        field("group", "a", type="radio", choices="A, Drug | P, Placebo"),
    ]
}
RECORDS: list[dict[str, object]] = [
    {"id": "1", "sex": "2"},
    {"id": "2", "sex": "2"},
    {"id": "3", "sex": "2"},
    {"id": "4"},
    {"id": "5", "sex": "1", "group": "A"},
]
ALLOCATIONS = [
    {"sex": "2", "group": "P", "redcap_randomization_number": "R-1"},
    {"sex": "1", "group": "A", "redcap_randomization_number": "R-2"},
    {"sex": "2", "group": "A", "redcap_randomization_number": "R-3"},
]


@pytest.fixture
def trial(sandbox: Sandbox) -> tuple[str, int]:
    token = sandbox.add_project(exports=EXPORTS, records=RECORDS)
    return token, sandbox.add_randomization(token, "group", ALLOCATIONS)


def randomized(ask: Ask, trial: tuple[str, int], record: str, **more: str) -> requests.Response:
    asked = {"content": "record", "action": "randomize", "format": "json", "record": record}
    return ask(trial[0], **{**asked, "randomization_id": str(trial[1]), **more})


def test_a_record_takes_the_next_row_of_its_stratum(trial: tuple[str, int], ask: Ask) -> None:
    token, number = trial
    assert randomized(ask, trial, "1", returnAlt="true").json() == {
        "randomization_id": number,
        "record": "1",
        "target_field": "P",
        "target_field_alt": "R-1",
    }
    assert randomized(ask, trial, "2").json()["target_field"] == "A"
    assert [row["group"] for row in stored(ask, token)] == ["P", "A", "", "", "A"]
    newest = ask(token, content="log", format="json", logtype="record").json()[0]
    assert (newest["record"], newest["details"]) == ("2", "group = 'A'")


def test_the_client_randomizes(trial: tuple[str, int], sandbox: Sandbox) -> None:
    client = REDCapClient(sandbox.url, trial[0])
    answer = client.records.randomize("1", trial[1], return_alt=True)
    assert (answer["target_field"], answer["target_field_alt"]) == ("P", "R-1")


def test_a_renamed_record_is_not_randomized_again(trial: tuple[str, int], ask: Ask) -> None:
    token, _ = trial
    randomized(ask, trial, "1")
    ask(token, content="record", action="rename", record="1", new_record_name="9")
    imported(ask, token, [{"id": "9", "group": ""}], overwriteBehavior="overwrite")
    again = randomized(ask, trial, "9")
    assert (again.status_code, again.json()["error"]) == (
        400,
        'The record "9" is randomized already',
    )
    # The allocation of a deleted record is free again.
    ask(token, content="record", action="delete", records="9")
    assert randomized(ask, trial, "3").json()["target_field"] == "P"


@pytest.mark.parametrize(
    ("record", "more", "status", "message"),
    [
        ("4", {}, 400, "no value for: sex"),
        ("5", {}, 400, "has a value for group already"),
        ("77", {}, 400, 'The record "77" does not exist'),
        ("", {}, 400, "does not exist"),
        ("1", {"randomization_id": ""}, 400, "randomization_id"),
        ("1", {"randomization_id": "0"}, 400, "randomization_id"),
    ],
)
def test_randomizations_that_are_refused(
    trial: tuple[str, int],
    ask: Ask,
    record: str,
    more: dict[str, str],
    status: int,
    message: str,
) -> None:
    before = stored(ask, trial[0])
    answer = randomized(ask, trial, record, **more)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert stored(ask, trial[0]) == before


def test_without_a_row_a_right_or_a_set_up(
    trial: tuple[str, int], classic: str, sandbox: Sandbox, ask: Ask
) -> None:
    token, _ = trial
    assert randomized(ask, trial, "1").ok
    assert randomized(ask, trial, "2").ok
    assert "no row left" in randomized(ask, trial, "3").text
    assert "not enabled" in randomized(ask, (classic, 1), "9").text
    assert ask(token, content="project", format="json").json()["randomization_enabled"] == 1
    # Not another project's.
    other = sandbox.add_project(exports=EXPORTS, records=RECORDS)
    sandbox.add_randomization(other, "group", [{"group": "A"}])
    assert "randomization_id" in randomized(ask, (other, trial[1]), "1").text
    sandbox.set_rights(token, {"random_perform": 0})
    assert randomized(ask, trial, "3").status_code == 403


def test_a_group_hides_its_others_from_randomization(sandbox: Sandbox, ask: Ask) -> None:
    choices = field("group", type="radio", choices="1, A | 2, B")
    exports = LONGITUDINAL | {"metadata": [*LONGITUDINAL["metadata"], choices]}
    row = {"redcap_event_name": "first_arm_1"}
    records = [
        row | {"id": "1", "redcap_data_access_group": "north"},
        row | {"id": "2", "redcap_data_access_group": "south"},
    ]
    token = sandbox.add_project(
        exports=exports, records=records, rights={"data_access_group": "south"}
    )
    number = sandbox.add_randomization(token, "group", [{"group": "2"}] * 2, event="first_arm_1")
    assert randomized(ask, (token, number), "1").status_code == 400
    assert randomized(ask, (token, number), "2").json()["target_field"] == "2"


@pytest.mark.parametrize(
    ("allocations", "event"),
    [
        ([], ""),
        ([{"sex": "1"}], ""),
        ([{"group": "A"}, {"sex": "1", "group": "A"}], ""),
        ([{"group": "X"}], ""),
        ([{"group": "A", "note": "x"}], ""),
        ([{"group": "A"}], "first_arm_1"),
    ],
)
def test_invalid_randomizations(
    sandbox: Sandbox, ask: Ask, allocations: list[dict[str, object]], event: str
) -> None:
    token = sandbox.add_project(exports=EXPORTS, records=RECORDS)
    with pytest.raises(ValueError, match=r"allocations|event"):
        sandbox.add_randomization(token, "group", allocations, event)
    assert ask(token, content="project", format="json").json()["randomization_enabled"] == 0
