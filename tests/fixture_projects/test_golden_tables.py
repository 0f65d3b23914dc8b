"""Recorded projects against the tables that other tools made of them, in both directions."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, clean, hidden_columns, split_by_instrument
from tests.fixture_projects.recorded import RECORDED, Recorded, load, rows_of

Key = tuple[str, ...]
Rows = dict[Key, dict[str, str]]

# REDCapTidieR's rule is known to be worse here: it keeps classic rows with nothing in them and rows
# that have only an access group, and drops instances that were saved blank.
ONLY_THEIRS: dict[tuple[str, str], set[Key]] = {
    ("classic", "nonrepeated"): {("3",)},
    ("classic", "nonrepeated2"): {("3",), ("4",)},
    ("classic", "data_field_types"): {("3",), ("4",)},
    ("classic", "text_input_validation_types"): {("2",), ("3",), ("4",)},
    ("classic", "api_no_access"): {("1",), ("2",), ("3",), ("4",)},
    ("classic", "api_no_access_2"): {("1",), ("2",), ("3",), ("4",)},
    ("classic", "survey"): {("3",), ("4",)},
    ("restricted_export_rights", "full_access"): {("3",)},
    ("restricted_export_rights", "remove_phi_access"): {("3",)},
    ("restricted_export_rights", "deidentify_phi_access"): {("3",)},
    ("dag_longitudinal", "non_repeat_form_1"): {("2", "event_2_arm_1")},
}
ONLY_OURS: dict[tuple[str, str], set[Key]] = {
    ("repeating_event", "r_instrument"): {
        ("1", "nr_event_arm_1", "3"),
        ("3", "nr_event_arm_1", "1"),
    },
}


def _our_rows(table: pa.Table) -> Rows:
    rows: Rows = {}
    for row in table.to_pylist():
        values = list(row.values())
        key = [values[0], row.get("redcap_event_name"), row.get("redcap_repeat_instance")]
        place = tuple(str(part) for part in key if part)
        assert place not in rows, "keys are unique"
        rows[place] = {name: _spelled(value) for name, value in list(row.items())[1:]}
    return rows


def _spelled(value: Any) -> str:
    """Spell a value as REDCapTidieR's files do."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float():
            return f"{value:g}"
        case dt.datetime():
            return f"{value.isoformat()}Z"
        case dt.date() | dt.time():
            return value.isoformat()
        case _:
            return str(value)


def _their_rows(path: Path, form: str) -> Rows:
    rows: Rows = {}
    for row in rows_of(path) if path.exists() else []:
        event = ""
        if "redcap_event" in row:
            event = f"{row.pop('redcap_event')}_arm_{row.pop('redcap_arm', '') or '1'}"
        instances = [row.pop(f"redcap_{of}_instance", "") for of in ("form", "event")]
        record = row.pop("record_id")
        place = tuple(part for part in (record, event, *instances) if part)
        rows[place] = {_our_name(name, form): value for name, value in row.items()}
    return rows


def _our_name(name: str, form: str) -> str:
    renamed = {
        "form_status_complete": f"{form}_complete",
        "redcap_survey_timestamp": f"{form}_timestamp",
    }
    return renamed.get(name, name.replace("___-", "____"))


# A time of minutes and seconds, which they read as hours and minutes.
ONLY_SPELLED: dict[tuple[str, str, Key], dict[str, str]] = {
    ("label", "text_input_validation_types", ("1",)): {"text_ms": "15:00:00"},
}
KEYS = {"redcap_event_name", "redcap_arm", "redcap_repeat_instrument", "redcap_repeat_instance"}


@pytest.mark.parametrize("spelling", ["raw", "label"])
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_tables_are_those_of_redcaptidier(
    recorded: Recorded, spelling: str, fixtures: Path
) -> None:
    project, export = load(recorded, fixtures)
    tables = split_by_instrument(export, project)
    assert list(tables) == [form.instrument_name for form in project.instruments]
    for form, records in tables.items():
        table = records
        if spelling == "label":
            cleaned = clean(records, form, project, CleaningRules())
            assert not cleaned.invalid
            table = cleaned.table
        ours = _our_rows(table)
        theirs = _their_rows(fixtures / "tables" / recorded.name / spelling / f"{form}.csv", form)
        assert theirs.keys() - ours.keys() == ONLY_THEIRS.get((recorded.name, form), set()), form
        assert ours.keys() - theirs.keys() == ONLY_OURS.get((recorded.name, form), set()), form
        common = [key for key in ours if key in theirs]
        assert [key for key in theirs if key in ours] == common, "the order is REDCap's"
        columns = set(table.column_names[1:]) - KEYS
        # They drop what rights hide, and keep the survey identifier in forms that are surveys.
        dropped = set(hidden_columns(export.column_names, project, form))
        if form not in project.surveys:
            dropped.add("redcap_survey_identifier")
        for key in common:
            assert theirs[key].keys() == columns - dropped, form
            different = {
                name: value for name, value in theirs[key].items() if ours[key][name] != value
            }
            assert different == ONLY_SPELLED.get((spelling, form, key), {}), (form, key)


# REDCap-ETL keeps a form in up to three tables: base rows, repeating events, repeating forms.
ETL_TABLES = {
    "enrollment": ["enrollment"],
    "contact_information": ["contact_information"],
    "weight": ["weight", "weight_repeating_events", "weight_repeating_instruments"],
}
DEIDENTIFIED = {
    *("home_address", "registration_date", "first_name", "last_name", "birthdate", "weight_time"),
}


def _etl_project(data: dict[str, Any]) -> REDCapProject:
    rows = data["records"]
    mapping = data["instrumentEventMappings"]
    events = dict.fromkeys((row["unique_event_name"], row["arm_num"]) for row in mapping)
    # No file tells what repeats; the records do.
    repeating = dict.fromkeys(
        (row["redcap_event_name"], row["redcap_repeat_instrument"])
        for row in rows
        if row["redcap_repeat_instance"]
    )
    return REDCapProject.from_exports(
        metadata=data["metadata"],
        events=[{"event_name": n, "unique_event_name": n, "arm_num": a} for n, a in events],
        form_event_mapping=mapping,
        repeating=[{"event_name": event, "form_name": form} for event, form in repeating],
        field_names=data["fieldNames"],
        header=rows[0],
    )


@pytest.mark.parametrize("form", ETL_TABLES)
def test_tables_are_those_of_redcap_etl(form: str, fixtures: Path) -> None:
    folder = fixtures / "tables" / "etl_repeating_events"
    data = json.loads((folder / "records.json").read_text())
    export = pa.table(
        {name: [str(row[name]) for row in data["records"]] for name in data["records"][0]}
    )
    ours = _our_rows(split_by_instrument(export, _etl_project(data))[form])
    theirs: Rows = {}
    for name in ETL_TABLES[form]:
        for row in rows_of(folder / f"{name}.csv"):
            key = [row["record_id"], row["redcap_event_name"], row.get("redcap_repeat_instance")]
            theirs[tuple(part for part in key if part)] = {
                column: value
                for column, value in row.items()
                if column not in KEYS and not column.startswith("deident_")
            }
    assert ours.keys() == theirs.keys()
    for place, row in theirs.items():
        mine = ours[place]
        columns = mine.keys() - KEYS - {f"{form}_complete"}
        assert columns == row.keys() - {"record_id"}
        assert {name for name in columns if mine[name] != row[name]} <= DEIDENTIFIED
        assert all(row[name] == "" for name in columns & DEIDENTIFIED)
