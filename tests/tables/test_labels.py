"""Codes find their labels by pairing two exports."""

import pytest

from redcap_dagster.project import StructureError
from redcap_dagster.tables import (
    CleaningRules,
    clean,
    pair_labels,
    split_by_instrument,
)
from tests.tables.longitudinal_project import PROJECT, export_of


def test_labels_come_from_pairing_two_exports() -> None:
    events = [("1", "a_arm_1", "drug", str(n), "", "", "", "", code, "2") for n, code in
              enumerate(["C5:1", "", "C5:2", "C5:1"], start=1)]  # fmt: skip
    shown = {"C5:1": "Nausea, mild", "C5:2": "Fever", "": ""}
    labelled = [(*row[:1], "Event A", "Drug", *row[3:8], shown[row[8]], "Done") for row in events]
    paired = pair_labels(export_of(*events), export_of(*labelled), PROJECT)
    records = split_by_instrument(export_of(*events), PROJECT)["drug"]
    cleaned = clean(records, "drug", PROJECT, CleaningRules(labels="both"), paired=paired)
    assert cleaned.table["term"].to_pylist() == ["Nausea, mild", None, "Fever", "Nausea, mild"]
    assert cleaned.table["term_code"].to_pylist() == ["C5:1", None, "C5:2", "C5:1"]
    assert not cleaned.invalid


def test_exports_of_different_rows_are_not_paired() -> None:
    rows = [(name, "a_arm_1", "", "", "", "1", "0", "", "", "") for name in "12"]
    with pytest.raises(StructureError, match="export both again"):
        pair_labels(export_of(*rows), export_of(*reversed(rows)), PROJECT)
