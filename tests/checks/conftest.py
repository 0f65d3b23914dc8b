"""A project of two instruments, and ways to read what its checks found."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from redcap_dagster.api import RecordExport, REDCapClient
from tests.dagster_runs import (
    Study,
    check_results,
    studying,
)
from tests.dictionary import field

# -- what each finds, in real runs ----------------------------------------------------------------

METADATA = [
    field("id", "base"),
    field("sex", "base", type="radio", choices="0, Female | 1, Male", required_field="y"),
    field("age", "base", validation="integer", minimum="18", maximum="99", identifier="y"),
    field("weight"),
    field("seen", validation="date_ymd", minimum="2020-01-01", maximum="today"),
]
RECORDS = [
    {
        "id": str(number),
        "sex": "1",
        "age": "40",
        "base_complete": "2",
        "weight": "70",
        "seen": "2024-02-03",
        "visit_complete": "2",
    }
    for number in range(1, 6)
]
ON_RECORDS = ("export_complete", "keys_unique", "nothing_hidden", "rows_not_dropping")
ON_CLEAN = (
    "calculations_correct",
    "choices_known",
    "hidden_filled",
    "inferred_types_stable",
    "labels_distinct",
    "required_filled",
    "secondary_unique",
    "ticks_allowed",
    "values_fit_types",
    "within_range",
)
ALL = {
    ("study/metadata/fields", "dictionary_drift"),
    *((f"study/records/{form}", name) for form in ("base", "visit") for name in ON_RECORDS),
    *((f"study/clean/{form}", name) for form in ("base", "visit") for name in ON_CLEAN),
}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with studying(tmp_path, exports={"metadata": METADATA}, records=RECORDS) as study:
        yield study


def failures(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], str]:
    """Give the description of each check that did not pass."""
    return {key: one.description for key, one in check_results(result).items() if not one.passed}


def reasons(result: dg.ExecuteInProcessResult) -> str:
    """Give what the failed steps of a run say."""
    return " ".join(
        str(event.event_specific_data) for event in result.all_events if event.is_step_failure
    )


def without(study: Study, *records: str) -> None:
    for record in records:
        study.sandbox.delete_record(study.token, record)


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the export give each row two times."""
    honest = REDCapClient.export_snapshot

    def doubled(*given: Any, **selection: Any) -> RecordExport:
        export = honest(*given, **selection)
        return replace(export, table=pa.concat_tables([export.table] * 2))

    monkeypatch.setattr(REDCapClient, "export_snapshot", doubled)
