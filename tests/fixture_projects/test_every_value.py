"""Projects of real servers, through the sandbox and the client: every value is in a table."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables import CleaningRules, clean, count_unplaced_cells, split_by_instrument
from tests.fixture_projects.conftest import SHARED

PROJECTS = sorted(str(path.parent.name) for path in SHARED.glob("projects/*/project.xml"))
# Columns in which a data.csv is of another time or another program than its XML.
DRIFT = {
    "simple": {"sex", "mugshot", "interpreter_needed"},
    "survey": {"prescreening_survey_timestamp"},
    "validation-types-1": {"f_calculated"},
}
# What does not fit: it was entered before its field had a validation.
UNFIT = {
    "potentially-problematic-values": {
        "date_before_validation": 2,
        "integer_before_validation": 2,
    },
}
KEYS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
Cell = tuple[tuple[str, ...], str, str]  # place, column, text


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def _cells(rows: list[dict[str, str]], record_id: str) -> set[Cell]:
    """Give what is in rows: text with line breaks as the export from REDCap's pages has them."""
    return {
        (
            tuple(row.get(key) or "" for key in (record_id, *KEYS)),
            name,
            re.sub(r"\n+|(  )+", "  ", text),
        )
        for row in rows
        for name, text in row.items()
        if text and name not in (record_id, *KEYS)
    }


def _shown_by_itself(cell: Cell, project: REDCapProject) -> bool:
    """Whether REDCap shows this of a form that was never saved."""
    _, name, text = cell
    if text == "[not completed]":
        return True
    kinds = {
        c.name: c.field for f in project.instruments for c in project.columns(f.instrument_name)
    }
    calculated = name in kinds and kinds[name].field_type == "calc"
    return calculated or (text == "0" and ("___" in name or name.endswith("_complete")))


@pytest.mark.parametrize("name", PROJECTS)
def test_every_value_is_in_a_table(name: str, fixtures: Path, server: Sandbox) -> None:
    folder = fixtures / "projects" / name
    client = REDCapClient(server.url, server.add_project(folder / "project.xml"), rate_limit=None)
    export = client.export_records_table(export_survey_fields=True)
    project = client.export_structure().project(header=export.column_names)
    tables = split_by_instrument(export, project)
    assert count_unplaced_cells(export, project) == {}
    assert _unfit(tables, project) == UNFIT.get(name, {})

    rows = [row for table in tables.values() for row in _text(table).to_pylist()]
    ours = _cells(rows, project.record_id_field)
    data = folder / "data.csv"
    if not data.exists():
        theirs = _cells(_text(export).to_pylist(), project.record_id_field)
    else:
        with data.open(newline="", encoding="utf-8-sig") as file:
            theirs = _cells(list(csv.DictReader(file)), project.record_id_field)
    drift = DRIFT.get(name, set()) | {"redcap_data_access_group"}
    ours, theirs = ({cell for cell in cells if cell[1] not in drift} for cells in (ours, theirs))
    assert ours <= theirs
    assert all(_shown_by_itself(cell, project) for cell in theirs - ours)


def _text(table: pa.Table) -> pa.Table:
    return table.drop_columns("redcap_arm") if "redcap_arm" in table.column_names else table


def _unfit(tables: dict[str, pa.Table], project: REDCapProject) -> dict[str, int]:
    unfit: dict[str, int] = {}
    for form, records in tables.items():
        unfit |= clean(records, form, project, CleaningRules()).invalid
    return unfit
