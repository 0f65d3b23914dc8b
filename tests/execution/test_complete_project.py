"""Whole tables of one project that has everything: two arms, groups, a survey, repeats."""

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import CheckRules, CleaningRules, REDCapResource, build_redcap_definitions
from redcap_dagster.sandbox import Sandbox
from tests.dagster_runs import Study, entry, materializations, studying, summary
from tests.dictionary import field

DT = dt.datetime

EXPORTS: dict[str, Any] = {
    "metadata": [
        field("id", "base"),
        field("born", "base", validation="date_dmy"),
        field("pace", validation="time_mm_ss"),
        field("dose", validation="number_1dp_comma_decimal"),
        field("drug", "drugs", type="dropdown", choices="a, Aspirin | b, Placebo"),
        field("mood", "diary", type="slider"),
    ],
    "project": {"missing_data_codes": "NI, No information"},
    "arm": [{"arm_num": 1, "name": "Old"}, {"arm_num": 3, "name": "New"}],
    "event": [
        {"event_name": "Start", "arm_num": 1, "unique_event_name": "start_arm_1"},
        {"event_name": "Later", "arm_num": 1, "unique_event_name": "later_arm_1"},
        {"event_name": "Start", "arm_num": 3, "unique_event_name": "start_arm_3"},
    ],
    "formEventMapping": [
        {"arm_num": arm, "unique_event_name": event, "form": form}
        for arm, event, forms in (
            (1, "start_arm_1", ("base", "visit", "drugs")),
            (1, "later_arm_1", ("visit", "drugs", "diary")),
            (3, "start_arm_3", ("base", "diary")),
        )
        for form in forms
    ],
    # drugs repeats later on, but not at the start; the event in arm 3 repeats as a whole.
    "repeatingFormsEvents": [
        {"event_name": "later_arm_1", "form_name": "drugs"},
        {"event_name": "start_arm_3", "form_name": ""},
    ],
}


def _row(
    record: str, event: str, instrument: str = "", instance: str = "", **cells: str
) -> dict[str, str]:
    return {
        "id": record,
        "redcap_event_name": event,
        "redcap_repeat_instrument": instrument,
        "redcap_repeat_instance": instance,
        "redcap_survey_identifier": "",
        "diary_timestamp": "",
        **cells,
    }


RECORDS = [
    _row("1", "start_arm_1", born="2001-12-31", base_complete="2", visit_complete="0"),
    _row("1", "later_arm_1", pace="05:30", dose="1,5", visit_complete="1"),
    _row("1", "later_arm_1", "drugs", "1", drug="a", drugs_complete="2"),
    _row("1", "later_arm_1", "drugs", "2", drugs_complete="0"),
    _row("1", "start_arm_3", "", "1", born="NI", base_complete="0"),
    _row("1", "start_arm_3", "", "2", mood="7", diary_timestamp="2024-02-29 12:00:00"),
    _row("2", "start_arm_1", drug="b", born="31.12.2001"),
    _row("2", "later_arm_1", diary_timestamp="[not completed]"),
]
for row in RECORDS:
    row["redcap_data_access_group"] = "north" if row["redcap_event_name"] != "start_arm_3" else ""

OLD, LATER, NEW = ("start_arm_1", 1), ("later_arm_1", 1), ("start_arm_3", 3)


def _keys(event: tuple[str, int], *repeat: Any, group: str | None = "north") -> tuple[Any, ...]:
    return (*event, *repeat, group, None)


CLEAN: dict[str, list[tuple[Any, ...]]] = {
    "base": [
        ("1", *_keys(OLD, None, None), dt.date(2001, 12, 31), "Complete"),
        ("1", *_keys(NEW, None, 1, group=None), None, "Incomplete"),
        ("2", *_keys(OLD, None, None), None, None),
    ],
    "visit": [
        # Saved with nothing in it, which its status alone tells.
        ("1", *_keys(OLD), None, None, "Incomplete"),
        ("1", *_keys(LATER), dt.time(0, 5, 30), 1.5, "Unverified"),
    ],
    "drugs": [
        ("1", *_keys(LATER, "drugs", 1), "Aspirin", "Complete"),
        ("1", *_keys(LATER, "drugs", 2), None, "Incomplete"),
        ("2", *_keys(OLD, None, None), "Placebo", None),
    ],
    "diary": [
        ("1", *_keys(NEW, None, 2, group=None), DT(2024, 2, 29, 12), 7, None),
    ],
}


STUDY: dict[str, Any] = {"exports": EXPORTS, "records": RECORDS}


def _rows(study: Study, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in study.table(table).to_pylist()]


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its unsaved forms are blank.
@pytest.mark.slow
def test_clean_tables_as_made_and_as_made_again_from_storage(study: Study) -> None:
    definitions = study.definitions()
    result = study.run(definitions)
    assert result.success
    for form, rows in CLEAN.items():
        assert _rows(study, f"study_clean.{form}") == rows, form
    again = study.run(definitions, select=[f"study/clean/{form}" for form in CLEAN])
    assert again.success
    for form, rows in CLEAN.items():
        assert _rows(study, f"study_clean.{form}") == rows, form
    made = materializations(result)
    assert summary(made["study/clean/base"], "replaced") == {"born": "1"}
    assert summary(made["study/clean/base"], "invalid") == {"born": "1"}
    assert entry(made["study/records/base"], "redcap/hidden_columns") == []
    keys = "id, redcap_event_name, redcap_arm, redcap_repeat_instrument, redcap_repeat_instance"
    schema = entry(made["study/clean/drugs"], "dagster/column_schema")
    assert schema.constraints.other == [f"unique key: {keys}"]


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its unsaved forms are blank.
def test_records_are_the_text_that_was_sent(study: Study) -> None:
    assert study.run().success
    assert _rows(study, "study_records.visit") == [
        ("1", *_keys(OLD), None, None, "0"),
        ("1", *_keys(LATER), "05:30", "1,5", "1"),
    ]
    assert [row[:3] for row in _rows(study, "study_records._census")] == [
        ("1", *OLD),
        ("1", *LATER),
        ("1", *NEW),
        ("2", *OLD),
        ("2", *LATER),
    ]


def test_unsaved_forms_on_request(study: Study) -> None:
    assert study.run(study.definitions(cleaning=CleaningRules(keep_unsaved=True))).success
    assert [row[:2] for row in _rows(study, "study_clean.visit")] == [
        ("1", "start_arm_1"),
        ("1", "later_arm_1"),
        ("2", "start_arm_1"),
        ("2", "later_arm_1"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["14.7.3", "17.4.1"])
def test_without_records_the_tables_keep_their_columns(version: str, tmp_path: Path) -> None:
    """The newer server sends no header for no rows; it was asked when there was a record."""
    with studying(tmp_path, exports=EXPORTS, records=RECORDS, version=version) as study:
        definitions = study.definitions(checks=CheckRules(allow_shrink=True))
        assert study.run(definitions).success
        before = {form: study.table(f"study_clean.{form}").schema for form in CLEAN}
        for record in ("1", "2"):
            study.sandbox.delete_record(study.token, record)
        result = study.run(definitions)
        assert result.success
        for form, schema in before.items():
            table = study.table(f"study_clean.{form}")
            assert table.num_rows == 0
            assert table.schema.equals(schema), form
            made = materializations(result)[f"study/records/{form}"]
            assert entry(made, "redcap/hidden_columns") == []


def test_two_projects_that_are_fetched_keep_their_own_structure(redcap_dialect: str) -> None:
    with Sandbox(dialect=redcap_dialect) as sandbox, pytest.MonkeyPatch.context() as patch:
        made = []
        for name in ("one", "two"):
            metadata = [field("id", f"form_{name}")]
            token = sandbox.add_project(exports={"metadata": metadata})
            patch.setenv(f"TOKEN_OF_{name.upper()}", token)
            redcap = REDCapResource(url=sandbox.url, token=dg.EnvVar(f"TOKEN_OF_{name.upper()}"))
            made.append(build_redcap_definitions(name=name, redcap=redcap))
        keys = dg.Definitions.merge(*made).resolve_all_asset_keys()
        assert dg.AssetKey(["one", "clean", "form_one"]) in keys
        assert dg.AssetKey(["two", "clean", "form_two"]) in keys
        states = [dict(each.metadata or {}) for each in made]
        assert len(states[0].keys() | states[1].keys()) == 2


def test_columns_that_rights_hide_are_named_and_keep_their_place(
    tmp_path: Path, redcap_dialect: str
) -> None:
    """The token may not export visits, and only de-identified what the base form holds."""
    rights = {"forms_export": {"visit": 0, "base": 2}, "data_access_groups": 0}
    metadata = [*EXPORTS["metadata"], field("free", "base")]
    exports = {**EXPORTS, "metadata": metadata}
    with studying(
        tmp_path, dialect=redcap_dialect, exports=exports, records=RECORDS, rights=rights
    ) as study:
        result = study.run()
        assert result.success
        made = materializations(result)
        hidden = {
            form: entry(made[f"study/records/{form}"], "redcap/hidden_columns") for form in CLEAN
        }
        assert hidden["visit"] == ["pace", "dose", "visit_complete"]
        assert hidden["drugs"] == []
        assert "free" in hidden["base"]
        assert study.table("study_clean.visit").column_names[-3:] == hidden["visit"]
        assert study.table("study_clean.visit").num_rows == 0
        assert study.table("study_clean.drugs")["drug"].to_pylist() == ["Aspirin", None, "Placebo"]
