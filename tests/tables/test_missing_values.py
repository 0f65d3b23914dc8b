"""Blanks, markers and missing data codes, and the reasons why a value is missing."""

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables import (
    CleaningRules,
    StudyRows,
    clean,
    split_by_instrument,
)
from tests.dictionary import field
from tests.tables.missing_codes import clean_rows


def test_reasons_tell_blank_marker_code_and_unfit_apart() -> None:
    ages = ["7", "", "?", "UNK", "-7", "old"]
    cleaned = clean_rows(*({"age": age} for age in ages), missing_reasons=True)
    assert cleaned.table["age"].to_pylist() == [7, None, None, None, None, None]
    reasons = cleaned.table["age_missing"].to_pylist()
    assert reasons == [None, "blank", "?", "Unknown", "Refused", "unfit"]
    assert (cleaned.replaced["age"], cleaned.invalid["age"]) == (3, 1)
    codes = clean_rows(*({"age": age} for age in ages), missing_reasons=True, labels="codes")
    assert codes.table["age_missing"].to_pylist()[3:5] == ["UNK", "-7"]


def test_reasons_tell_what_was_not_asked_from_what_was_left_blank() -> None:
    project = REDCapProject.from_exports(
        metadata=[
            field("id", "f"),
            field("sex", "f"),
            field("due", "f", validation="integer", branching_logic="[sex] = '1'"),
            field("race", "f", type="checkbox", choices="1, A", branching_logic="[sex] = '1'"),
            field("far", "f", branching_logic="[elsewhere] = '1'"),
            field("elsewhere", "g"),
        ],
        info={"missing_data_codes": "-7, not asked"},
    )
    cells = {
        "id": ["1", "2", "3", "4", "5", "6"],
        "sex": ["1", "2", "1", "1", "2", "2"],
        "due": [None, None, "-7", "old", "old", "7"],
        "race___1": ["1", None, None, "0", "0", None],
        "race____7": ["0", None, None, "0", "0", None],
        "far": [None, "x", None, None, None, None],
        "f_complete": ["2"] * 6,
    }
    records = pa.table({name: pa.array(texts, pa.string()) for name, texts in cells.items()})
    rules = CleaningRules(missing_reasons=True)
    alone = clean(records, "f", project, rules).table
    assert alone["due_missing"].to_pylist() == [
        "blank",
        "not asked",
        "not asked (-7)",
        "unfit",
        "unfit",
        None,
    ]
    assert alone["race_missing"].to_pylist() == [
        None,
        "not asked",
        "blank",
        None,
        None,
        "not asked",
    ]
    assert set(alone["far_missing"].to_pylist()) == {None, "cannot be said"}
    study = StudyRows(
        project, {"f": records, "g": pa.table({"id": ["1", "4"], "elsewhere": ["1", "2"]})}
    )
    whole = clean(records, "f", project, rules, study=study).table
    assert whole["far_missing"].to_pylist() == ["blank", None, *["not asked"] * 4]


def test_reasons_stand_beside_their_fields() -> None:
    names = clean_rows({}, missing_reasons=True).table.column_names
    assert names[:5] == ["id", "f_timestamp", "f_timestamp_missing", "age", "age_missing"]
    assert names[-2:] == ["race_missing", "f_complete"]
    assert not [name for name in clean_rows({}).table.column_names if name.endswith("_missing")]


def test_an_unfinished_survey_is_a_reason() -> None:
    cleaned = clean_rows({"f_timestamp": "[not completed]"}, missing_reasons=True)
    assert cleaned.table["f_timestamp_missing"].to_pylist() == ["[not completed]"]


def test_a_field_that_may_not_be_missing_has_no_codes() -> None:
    cleaned = clean_rows({"sure": "UNK"}, {"sure": "?"})
    assert cleaned.table["sure"].to_pylist() == ["UNK", None]


def test_a_reason_must_not_hide_a_field() -> None:
    metadata = [field(name, "f") for name in ("id", "a", "a_missing")]
    project = REDCapProject.from_exports(metadata=metadata)
    records = split_by_instrument(pa.table({"id": ["1"], "a": ["1"]}), project)["f"]
    with pytest.raises(StructureError, match="a_missing"):
        clean(records, "f", project, CleaningRules(missing_reasons=True))


def test_labels_and_notes_keep_their_text() -> None:
    label = "<b>x < y</b>, <5 years and >2"
    metadata = [
        field("id", "f"),
        field("note", "f", type="notes"),
        field("age", "f", type="radio", choices=f"1, {label}"),
    ]
    project = REDCapProject.from_exports(metadata=metadata)
    export = pa.table({"id": ["1"], "note": [label], "age": ["1"]})
    records = split_by_instrument(export, project)["f"]
    row = clean(records, "f", project, CleaningRules()).table.to_pylist()[0]
    assert (row["note"], row["age"]) == (label, label)
