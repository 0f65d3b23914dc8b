"""The status of forms: each that is expected has a row, and each instance its own."""

import pyarrow as pa

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables.instruments import census_table, split_by_instrument
from redcap_dagster.tables.status import build_status, draw_completeness
from tests.dictionary import field, in_events

EVENTS = {"base_arm_1": ["visit", "lab"], "late_arm_1": ["visit", "ae"]}
STRUCTURE = in_events(
    [
        field("id", "visit"),
        field("age", "visit"),
        field("hb", "lab"),
        field("what", "ae"),
    ],
    EVENTS,
)
PROJECT = REDCapProject.from_exports(
    metadata=STRUCTURE["metadata"],
    events=[
        *STRUCTURE["event"],
        {"event_name": "other", "arm_num": 2, "unique_event_name": "other_arm_2"},
    ],
    form_event_mapping=[
        *STRUCTURE["formEventMapping"],
        {"arm_num": 2, "unique_event_name": "other_arm_2", "form": "visit"},
    ],
    repeating=[{"form_name": "lab", "event_name": "base_arm_1"}, {"event_name": "late_arm_1"}],
    header=["redcap_data_access_group"],
)
NAMES = (
    *("id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"),
    *("redcap_data_access_group", "age", "hb", "what"),
    *("visit_complete", "lab_complete", "ae_complete"),
)
ROWS = [
    ("1", "base_arm_1", "", "", "north", "4", "", "", "2", "", ""),
    ("1", "base_arm_1", "lab", "1", "north", "", "9", "", "", "0", ""),
    ("1", "base_arm_1", "lab", "3", "north", "", "9", "", "", "2", ""),
    ("1", "late_arm_1", "", "2", "north", "5", "", "x", "1", "", "2"),
    ("1", "late_arm_1", "", "3", "north", "5", "", "", "2", "", ""),
    ("2", "other_arm_2", "", "", "", "7", "", "", "", "", ""),
]
EXPORT = pa.table({name: [row[place] for row in ROWS] for place, name in enumerate(NAMES)})


def test_each_expected_form_and_each_instance_has_a_row() -> None:
    records = split_by_instrument(EXPORT, PROJECT, blank_status=True)
    census = census_table(EXPORT, PROJECT)
    queries = pa.table(
        {"record": ["1", "1"], "event": ["late_arm_1"] * 2, "instance": [2, 2],
         "instrument": ["visit", "visit"]}
    )  # fmt: skip

    status = build_status(census, records, PROJECT, queries=queries)
    assert [tuple(row.values()) for row in status.to_pylist()] == [
        ("1", "base_arm_1", None, "north", "visit", "complete", 0),
        ("1", "base_arm_1", 1, "north", "lab", "incomplete", 0),
        ("1", "base_arm_1", 3, "north", "lab", "complete", 0),
        ("1", "late_arm_1", 2, "north", "visit", "unverified", 2),
        ("1", "late_arm_1", 3, "north", "visit", "complete", 0),
        ("1", "late_arm_1", 2, "north", "ae", "complete", 0),
        ("1", "late_arm_1", 3, "north", "ae", "not saved", 0),
        ("2", "other_arm_2", None, None, "visit", "incomplete", 0),
    ]
    assert draw_completeness(status, PROJECT).splitlines()[2:] == [
        (
            "| Visit | ██████████ 100 % (1 of 1) | █████░░░░░ 50 % (1 of 2) "
            "| ░░░░░░░░░░ 0 % (0 of 1) |"
        ),
        "| Lab | █████░░░░░ 50 % (1 of 2) |  |  |",
        "| Ae |  | █████░░░░░ 50 % (1 of 2) |  |",
    ]


def test_records_without_instances_and_a_hidden_status() -> None:
    records = split_by_instrument(EXPORT.slice(0, 1), PROJECT, blank_status=True)
    census = census_table(EXPORT.slice(0, 1), PROJECT)

    status = build_status(census, records, PROJECT, hidden=["visit_complete"])
    assert [tuple(row.values())[1:] for row in status.to_pylist()] == [
        ("base_arm_1", None, "north", "visit", None, None),
        ("base_arm_1", None, "north", "lab", "not saved", None),
        ("late_arm_1", None, "north", "visit", None, None),
        ("late_arm_1", None, "north", "ae", "not saved", None),
    ]
    assert "| hidden | hidden |" in draw_completeness(status, PROJECT)


def test_an_empty_project_has_the_columns() -> None:
    empty = EXPORT.slice(0, 0)
    records = split_by_instrument(empty, PROJECT)
    whole = build_status(census_table(EXPORT, PROJECT), records, PROJECT)
    assert build_status(census_table(empty, PROJECT), records, PROJECT).schema == whole.schema
    assert build_status(census_table(empty, PROJECT), {}, PROJECT).schema == whole.schema
