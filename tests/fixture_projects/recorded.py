"""Projects recorded from a real server, as exports and records."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from redcap_dagster.project import REDCapProject


@dataclass(frozen=True)
class Recorded:
    """A recorded project.

    Attributes:
        repeating: The repeating set-up, which no recording holds: inferred from its records.
    """

    name: str
    records: str
    repeating: tuple[dict[str, str], ...] = ()


def _forms(form: str, *events: str) -> tuple[dict[str, str], ...]:
    return tuple({"form_name": form, "event_name": event} for event in events)


RECORDED = (
    Recorded(
        "classic",
        "records_survey.csv",
        ({"form_name": "repeated"}, {"form_name": "repeat_survey"}),
    ),
    Recorded(
        "longitudinal_2arm",
        "records.csv",
        _forms("repeated", "event_1_arm_1", "event_2_arm_1", "event_1_arm_2", "event_3_arm_2"),
    ),
    Recorded(
        "dag_longitudinal",
        "records.csv",
        _forms("repeat_form_1", "event_1_arm_1", "event_2_arm_1"),
    ),
    Recorded("repeat_first_instrument", "records.csv", ({"form_name": "form_1"},)),
    Recorded(
        "repeating_event",
        "records.csv",
        (*_forms("r_instrument", "nr_event_arm_1"), {"event_name": "r_event_arm_1"}),
    ),
    Recorded("restricted_export_rights", "records.csv"),
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def table_of(path: Path) -> pa.Table:
    """Read a CSV as text, without the help of what is under test."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = csv.reader(file)
    return pa.table(
        {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(header)}
    )


def load(recorded: Recorded, fixtures: Path) -> tuple[REDCapProject, pa.Table]:
    folder = fixtures / "recorded" / recorded.name
    mapping: list[dict[str, Any]] = []
    if (folder / "event_mapping.csv").exists():
        mapping = list(rows_of(folder / "event_mapping.csv"))
    events = dict.fromkeys((row["unique_event_name"], row["arm_num"]) for row in mapping)
    records = table_of(folder / recorded.records)
    project = REDCapProject.from_exports(
        metadata=json.loads((folder / "metadata.json").read_text()),
        instruments=rows_of(folder / "instruments.csv"),
        events=[{"event_name": n, "unique_event_name": n, "arm_num": a} for n, a in events],
        form_event_mapping=mapping,
        repeating=recorded.repeating,
        header=records.column_names,
    )
    return project, records
