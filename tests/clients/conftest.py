"""A project with everything, for clients that others publish."""

from collections.abc import Iterator
from typing import Any

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.clients.call_guard import RAN
from tests.dictionary import VISIT_THEN_DRUG, field

EXPORTS: dict[str, Any] = {
    "metadata": [
        field("record_id", label="record_id"),
        field("age", label="age", validation="integer"),
        field("race", label="race", type="checkbox", choices="1, A | 2, B"),
        field("scan", label="scan", type="file"),
        field("dose", "drug", label="dose"),
    ],
    **VISIT_THEN_DRUG,
}
PLACE = {
    "redcap_event_name": "first_arm_1",
    "redcap_repeat_instrument": "",
    "redcap_repeat_instance": "",
}
RECORDS: list[dict[str, object]] = [
    {
        "record_id": "1",
        **PLACE,
        "redcap_data_access_group": "north",
        "visit_timestamp": "2024-01-02 03:04:05",
        "age": "40",
        "race___1": "1",
        "visit_complete": "2",
    },
    {
        "record_id": "1",
        "redcap_event_name": "then_arm_1",
        "redcap_repeat_instrument": "drug",
        "redcap_repeat_instance": 1,
        "dose": "5",
        "drug_complete": "0",
    },
    {"record_id": "2", **PLACE, "age": "50", "visit_complete": "0"},
]


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(version="15.5.0") as sandbox:
        yield sandbox


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports=EXPORTS, records=RECORDS)


@pytest.fixture(autouse=True)
def note_that_it_runs(request: pytest.FixtureRequest) -> None:
    module = request.node.getparent(pytest.Module)
    module.stash.setdefault(RAN, set()).add(request.node.originalname)
