"""Codes find their labels by pairing two exports."""

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import (
    CleaningRules,
    clean,
    pair_labels,
    split_by_instrument,
)
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


def _export(*rows: tuple[str, ...]) -> pa.Table:
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(NAMES)})


def test_labels_come_from_pairing_two_exports() -> None:
    events = [("1", "a_arm_1", "drug", str(n), "", "", "", "", code, "2") for n, code in
              enumerate(["C5:1", "", "C5:2", "C5:1"], start=1)]  # fmt: skip
    shown = {"C5:1": "Nausea, mild", "C5:2": "Fever", "": ""}
    labelled = [(*row[:1], "Event A", "Drug", *row[3:8], shown[row[8]], "Done") for row in events]
    paired = pair_labels(_export(*events), _export(*labelled), PROJECT)
    records = split_by_instrument(_export(*events), PROJECT)["drug"]
    cleaned = clean(records, "drug", PROJECT, CleaningRules(labels="both"), paired=paired)
    assert cleaned.table["term"].to_pylist() == ["Nausea, mild", None, "Fever", "Nausea, mild"]
    assert cleaned.table["term_code"].to_pylist() == ["C5:1", None, "C5:2", "C5:1"]
    assert not cleaned.invalid


def test_exports_of_different_rows_are_not_paired() -> None:
    rows = [(name, "a_arm_1", "", "", "", "1", "0", "", "", "") for name in "12"]
    with pytest.raises(StructureError, match="export both again"):
        pair_labels(_export(*rows), _export(*reversed(rows)), PROJECT)
