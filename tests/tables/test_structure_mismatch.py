"""Exports that do not fit the structure are refused, before they become tables that look right."""

from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import (
    CleaningRules,
    DisagreementError,
    check_agreement,
    clean,
    split_by_instrument,
)
from tests.dictionary import field

METADATA = [
    field("id", "base"),
    field("note", type="notes"),
]
LONGITUDINAL: dict[str, Any] = {
    "events": [{"event_name": "A", "arm_num": 1, "unique_event_name": "a_arm_1"}],
    "form_event_mapping": [
        {"arm_num": 1, "unique_event_name": "a_arm_1", "form": form} for form in ("base", "visit")
    ],
}
CLASSIC = REDCapProject.from_exports(metadata=METADATA)
EVENTS = REDCapProject.from_exports(metadata=METADATA, **LONGITUDINAL)
REPEATS = REDCapProject.from_exports(metadata=METADATA, repeating=[{"form_name": "visit"}])


def _export(**columns: str) -> pa.Table:
    return pa.table({"id": ["1"], **{name: [value] for name, value in columns.items()}})


def _repeat(instrument: str, instance: str) -> dict[str, str]:
    return {"redcap_repeat_instrument": instrument, "redcap_repeat_instance": instance}


@pytest.mark.parametrize(
    ("project", "columns"),
    [
        (CLASSIC, {}),
        (CLASSIC, _repeat("", "")),
        (EVENTS, {"redcap_event_name": "a_arm_1"}),
        (REPEATS, _repeat("visit", "2")),
        (REPEATS, _repeat("", "")),
    ],
)
def test_exports_that_fit(project: REDCapProject, columns: dict[str, str]) -> None:
    check_agreement(_export(**columns), project)


@pytest.mark.parametrize(
    ("project", "columns", "message"),
    [
        (CLASSIC, {"redcap_event_name": "a_arm_1"}, "has events"),
        (CLASSIC, _repeat("visit", "1"), "has instances"),
        (EVENTS, {}, "does not have the events"),
        (EVENTS, {"redcap_event_name": "Xanthippe"}, "1 rows of the export name an event"),
        (REPEATS, {}, "does not have the columns of repeating"),
        (REPEATS, _repeat("Xanthippe", "1"), "1 rows of the export name an instrument"),
        (REPEATS, _repeat("visit", ""), "1 rows of the export have an instance"),
        (REPEATS, _repeat("visit", "Xanthippe"), "an instance that is not a number"),
        (CLASSIC, {"id": ""}, "not have a record id"),
    ],
)
def test_exports_that_do_not(project: REDCapProject, columns: dict[str, str], message: str) -> None:
    with pytest.raises(DisagreementError, match=message) as caught:
        check_agreement(_export(**columns), project)
    assert "Xanthippe" not in str(caught.value)


def test_no_rows_fit_anything() -> None:
    check_agreement(pa.table({"id": pa.array([], pa.string())}), EVENTS)


def test_records_that_were_stored_under_another_structure() -> None:
    records = split_by_instrument(_export(note="x", visit_complete="2"), CLASSIC)["visit"]
    assert clean(records, "visit", CLASSIC, CleaningRules()).table.num_rows == 1
    with pytest.raises(StructureError, match="Materialize the records again"):
        clean(records, "visit", REPEATS, CleaningRules())
    renamed = records.rename_columns(["sid", *records.column_names[1:]])
    with pytest.raises(StructureError, match="Materialize the records again"):
        clean(renamed, "visit", CLASSIC, CleaningRules())
    with pytest.raises(StructureError, match=r"the instrument has now: note\. .*or together"):
        clean(records.drop_columns("note"), "visit", CLASSIC, CleaningRules())


def test_fields_that_are_called_like_what_redcap_adds() -> None:
    metadata = [*METADATA, field("visit_complete")]
    project = REDCapProject.from_exports(metadata=metadata)
    with pytest.raises(StructureError, match=r"'visit_complete' of the instrument 'visit'"):
        split_by_instrument(_export(), project)


def test_a_field_called_redcap_arm_keeps_its_values_in_a_classic_project() -> None:
    metadata = [*METADATA, field("redcap_arm")]
    project = REDCapProject.from_exports(metadata=metadata)
    records = split_by_instrument(_export(redcap_arm="left"), project)["visit"]
    assert records["redcap_arm"].to_pylist() == ["left"]
    cleaned = clean(records, "visit", project, CleaningRules())
    assert cleaned.table["redcap_arm"].to_pylist() == ["left"]


def test_a_field_called_redcap_arm_is_told_by_its_name_in_a_longitudinal_project() -> None:
    project = REDCapProject.from_exports(metadata=[*METADATA, field("redcap_arm")], **LONGITUDINAL)
    with pytest.raises(StructureError, match=r"\['redcap_arm'\] of 'visit'"):
        split_by_instrument(_export(redcap_arm="left", redcap_event_name="a_arm_1"), project)


@pytest.mark.parametrize("tag", ["@CALCTEXT(1)", "@HIDDEN @CALCDATE([a],1,'d')"])
def test_what_redcap_calculates_does_not_prove_a_form_saved(tag: str) -> None:
    metadata = [*METADATA[:1], {**METADATA[1], "field_annotation": tag}]
    project = REDCapProject.from_exports(metadata=metadata)
    assert len(split_by_instrument(_export(note="x"), project)["visit"]) == 0
