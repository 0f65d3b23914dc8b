"""Servers that omit the columns of instances where no row of a response is an instance."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import Dialect
from redcap_dagster.sandbox.faults import MemoryLimit
from redcap_dagster.tables import check_agreement, split_by_instrument
from tests.api.export.test_listing import LastRows
from tests.dictionary import field

METADATA = [field("record_id"), field("age"), field("dose", "drug"), field("note", "lab")]
EVENTS = ("first_arm_1", "then_arm_1")
CLASSIC = {"metadata": METADATA, "repeatingFormsEvents": [{"form_name": "drug"}]}
LONGITUDINAL = {
    "metadata": METADATA,
    "arm": [{"arm_num": 1, "name": "One"}],
    "event": [{"event_name": name, "arm_num": 1, "unique_event_name": name} for name in EVENTS],
    "formEventMapping": [
        {"arm_num": 1, "unique_event_name": event, "form": form}
        for event, form in product(EVENTS, ("visit", "drug", "lab"))
    ],
    "repeatingFormsEvents": [{"event_name": EVENTS[1], "form_name": "drug"}],
}


def _rows(*, longitudinal: bool, instances: bool) -> list[dict[str, Any]]:
    first, then = ({"redcap_event_name": name} if longitudinal else {} for name in EVENTS)
    rows: list[dict[str, Any]] = [
        {"record_id": str(n), **first, "age": str(n), "note": "a"} for n in range(1, 9)
    ]
    if not instances:
        return rows
    return rows + [
        {"record_id": str(n), **then, "dose": f"{n}{instance}"}
        | {"redcap_repeat_instrument": "drug", "redcap_repeat_instance": str(instance)}
        for n in (3, 8)
        for instance in (1, 2)
    ]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Sandbox, Sandbox]]:
    with Sandbox() as usual, Sandbox(dialect=Dialect(repeat_columns="instances")) as older:
        yield usual, older


@pytest.mark.parametrize("instances", [True, False])
@pytest.mark.parametrize("exports", [CLASSIC, LONGITUDINAL], ids=["classic", "longitudinal"])
@pytest.mark.parametrize("limits", [{}, {"max_records": 1}, {"max_cells": 12}], ids=str)
def test_exports_are_those_of_other_servers(
    servers: tuple[Sandbox, Sandbox],
    exports: dict[str, Any],
    limits: dict[str, int],
    instances: bool,
) -> None:
    rows = _rows(longitudinal=exports is LONGITUDINAL, instances=instances)
    found = []
    for sandbox in servers:
        token = sandbox.add_project(exports=exports, records=rows)
        client = REDCapClient(sandbox.url, token, **limits)
        project = client.export_project()
        export = client.export_snapshot()
        check_agreement(export.table, project)
        labeled = client.export_snapshot(raw_or_label="label").table
        some = client.export_snapshot(records=["2", "3"], forms=["drug"]).table
        plain = client.export_records_table()
        tables = split_by_instrument(export.table, project)
        found.append((export.table, export.consistent, labeled, some, tables, plain))
    usual, older = found
    assert older[:-1] == usual[:-1]
    # Without the structure, nothing says that there could be instances.
    assert older[-1] == usual[-1] or not instances


def test_instances_that_are_lost_are_missed(servers: tuple[Sandbox, Sandbox]) -> None:
    _, older = servers
    token = older.add_project(exports=CLASSIC, records=_rows(longitudinal=False, instances=True))
    older.inject(LastRows(1), content="record", after=1, times=1)
    table = REDCapClient(older.url, token).export_records_table()
    assert table.num_rows == 12
    older.clear_faults()


def test_a_listing_in_pieces_has_the_instances(servers: tuple[Sandbox, Sandbox]) -> None:
    _, older = servers
    rows = _rows(longitudinal=False, instances=True)
    token = older.add_project(exports=CLASSIC, records=rows)
    client = REDCapClient(older.url, token, max_records=4, backoff=0.001)
    usual = client.export_snapshot(forms=["drug"]).table
    for after in range(12):
        older.inject(MemoryLimit(30), content="record")
        older.inject(LastRows(1), content="record", after=after, times=1)
        table = client.export_snapshot(forms=["drug"]).table
        older.clear_faults()
        assert table == usual
