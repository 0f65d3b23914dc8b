"""The calls that docs/coming-from.md sets beside each other: each one works."""

import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from redcap.project import Project

from redcap_dagster import CleaningRules
from redcap_dagster.api import REDCapClient, REDCapFile
from redcap_dagster.sandbox import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
ROWS = [{"record_id": "1", "redcap_event_name": "first_arm_1", "age": "41"}]


def calls(name: str) -> Iterator[str]:
    """Yield the code in the cells of tables that begins with a name, in the order of the page."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("| "):
            yield from re.findall(rf"`({name}[.(][^`]*)`", line)


@pytest.fixture
def names(sandbox: Sandbox, token: str, tmp_path: Path) -> dict[str, Any]:
    """What the calls of the page speak of."""
    client = REDCapClient(sandbox.url, token, retries=0)
    return {
        "project": Project(sandbox.url, token),
        "client": client,
        "url": sandbox.url,
        "token": token,
        "rows": ROWS,
        "fields": client.export_metadata(),
        "report_id": sandbox.add_report(token, ["record_id", "age"]),
        "folder": tmp_path,
        "datetime": datetime,
        "io": io,
        "CleaningRules": CleaningRules,
        "REDCapClient": REDCapClient,
        "REDCapFile": REDCapFile,
    }


def test_every_call_of_pycap_works(names: dict[str, Any]) -> None:
    found = list(calls("project"))
    assert len(found) > 35
    done = {call: eval(call, names) for call in found}  # noqa: S307
    assert done['project.export_file("1", "scan", event="first_arm_1")'][0] == b"hello"


def test_every_call_of_ours_works(sandbox: Sandbox, token: str, names: dict[str, Any]) -> None:
    ours = [*calls("client"), *calls("REDCapClient"), *calls("CleaningRules")]
    assert len(ours) > 60
    deletions = {call for call in ours if call.startswith("client.records.delete(")}
    once = [call for call in dict.fromkeys(ours) if call not in deletions]
    done = {call: eval(call, names) for call in once}  # noqa: S307
    assert all(isinstance(done[call], pd.DataFrame) for call in once if "export_records(" in call)
    assert done["client.records.import_(rows)"].records == ("1",)
    assert [eval(call, names) for call in deletions] == [1]  # noqa: S307
    left = REDCapClient(sandbox.url, token).export_records(fields=["age"])
    assert left["record_id"].unique().tolist() == ["1"]
