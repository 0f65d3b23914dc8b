"""REDCap's logic as a filter."""

import pytest

from tests.sandbox.conftest import Ask


def rows(ask: Ask, token: str, logic: str) -> list[tuple[str, ...]]:
    answer = ask(token, content="record", format="json", filterLogic=logic)
    assert answer.status_code == 200, answer.text
    names = ("id", "redcap_event_name", "redcap_repeat_instance")
    return [tuple(str(row[name]) for name in names if name in row) for row in answer.json()]


def test_many_conditions(ask: Ask, classic: str) -> None:
    logic = " or ".join(f"[id] = '{number}'" for number in range(1000))
    assert rows(ask, classic, logic) == [("9", ""), ("9", "2"), ("9", "10"), ("10", "")]


@pytest.mark.parametrize(
    ("logic", "expected"),
    [
        ("[id] >= 10", [("10", "")]),
        ("[race(-99)] = '1'", [("10", "")]),
        # Row by row: an instance has no values of other instruments.
        ("[race(1)] = '0'", [("9", ""), ("10", "")]),
        ("[dose] = 5", [("9", "2")]),
        ("[dose][2] = 5", [("9", ""), ("9", "2"), ("9", "10")]),
        ("[dose][last-instance] = 'é'", [("9", ""), ("9", "2"), ("9", "10")]),
        ("[visit_complete] = 2", [("10", "")]),
        ("[lab_complete] = '0'", [("9", ""), ("10", "")]),
        ("[record-name] = '9' and [current-instance] = 10", [("9", "10")]),
        ("[id] = ''", []),
        ("[x][note] <> ''", []),  # The values of an event that the project does not have are blank.
    ],
)
def test_filters_of_a_classic_project(
    classic: str, ask: Ask, logic: str, expected: list[tuple[str, ...]]
) -> None:
    assert rows(ask, classic, logic) == expected


def test_filters_by_events(longitudinal: str, ask: Ask) -> None:
    assert rows(ask, longitudinal, "[age] > 2") == [("1", "first_arm_2", "")]
    assert len(rows(ask, longitudinal, "[first_arm_1][age] = 2")) == 5
    assert rows(ask, longitudinal, "[event-name] = 'then_arm_1' and [dose] = 8") == [
        ("1", "then_arm_1", "2")
    ]
    assert len(rows(ask, longitudinal, "[then_arm_1][dose][2] = 8")) == 5
    assert len(rows(ask, longitudinal, "[first_arm_1][dose][first-instance] = 7")) == 5
    assert len(rows(ask, longitudinal, "[first_arm_1][dose] = 7")) == 5


@pytest.mark.parametrize(
    ("logic", "events"),
    [
        ("[arm-number] = 2", ["first_arm_2"]),
        ("[arm-label] = 'Two'", ["first_arm_2"]),
        ("[event-label] = 'First' and [record-dag-name] = 'south'", ["first_arm_2"]),
        ("[user-name] <> 'sandbox'", []),
        ("[user-dag-name] = '' and [arm-number] = '2'", ["first_arm_2"]),
        ("[project-id] = ''", []),
    ],
)
def test_smart_variables(longitudinal: str, ask: Ask, logic: str, events: list[str]) -> None:
    assert [row[1] for row in rows(ask, longitudinal, logic)] == events


def test_smart_variables_of_a_classic_project(classic: str, ask: Ask) -> None:
    logic = "[arm-number] = '' and [record-dag-name] = '' and [record-name] = 10"
    assert rows(ask, classic, logic) == [("10", "")]


@pytest.mark.parametrize(
    "logic",
    [
        "[x] = 1",
        "[race] = 1",
        "[race____99] = 1",
        "[note(1)] = 1",
        "[race(7)] = 1",
        "[survey-url] = 1",
    ],
)
def test_references_that_a_project_does_not_have(classic: str, ask: Ask, logic: str) -> None:
    answer = ask(classic, content="record", filterLogic=logic)
    assert answer.status_code == 400
    assert answer.text.startswith('ERROR: The logic in the parameter "filterLogic" is not valid: ')
