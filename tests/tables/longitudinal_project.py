"""A longitudinal project whose instrument `drug` repeats in one event, and rows of its export."""

import pyarrow as pa

from redcap_dagster.project import REDCapProject
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "base", identifier="y"),
        field("sum", "base", type="calc"),
        field("box", "base", type="checkbox", choices="1, A"),
        field("dose", "drug", validation="number"),
        field("term", "drug", choices="BIOPORTAL:CTCAE"),
    ],
    info={"project_id": 12},
    events=[
        {"event_name": "A", "arm_num": 1, "unique_event_name": "a_arm_1", "event_id": 7},
        {"event_name": "B", "arm_num": 1, "unique_event_name": "b_arm_1"},
    ],
    form_event_mapping=[
        {"arm_num": 1, "unique_event_name": "a_arm_1", "form": "base"},
        {"arm_num": 1, "unique_event_name": "b_arm_1", "form": "drug"},
        {"arm_num": 1, "unique_event_name": "a_arm_1", "form": "drug"},
    ],
    repeating=[{"event_name": "a_arm_1", "form_name": "drug"}],
    version="14.5.1",
)
NAMES = (
    "id",
    "redcap_event_name",
    "redcap_repeat_instrument",
    "redcap_repeat_instance",
    *("sum", "box___1", "base_complete", "dose", "term", "drug_complete"),
)


def export_of(*rows: tuple[str, ...]) -> pa.Table:
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(NAMES)})
