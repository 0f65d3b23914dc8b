"""Any text that REDCap can hold goes in by an import, and comes out by an export unchanged."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
EDGES = [
    "=1+1",
    "\r",
    "a\r\nb",
    '"',
    '""x',
    "a,b",
    " x ",
    "\u202eabc",
    "🙂",
    "\ufeff",
    "é" * 60_000,
]


@pytest.fixture(scope="module")
def redcap() -> Iterator[REDCapClient]:
    """A server whose texts are UTF-8; another byte is refused."""
    metadata = [
        field("record_id"),
        field("note", type="notes"),
        field("line"),
    ]
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports={"metadata": metadata})
        yield REDCapClient(sandbox.url, token, retries=0)


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("written", [as_csv, list, pd.DataFrame], ids=["csv", "list", "frame"])
@pytest.mark.parametrize("shape", ["flat", "eav"])
@settings(max_examples=20)
@given(note=TEXTS | st.sampled_from(EDGES), line=TEXTS | st.sampled_from(EDGES))
def test_any_text_comes_out_as_it_went_in(
    written: Any, shape: Any, note: str, line: str, redcap: REDCapClient
) -> None:
    texts = {"note": note, "line": line}
    rows = {
        "flat": [{"record_id": "1", **texts}],
        "eav": [{"record": "1", "field_name": name, "value": texts[name]} for name in texts],
    }

    redcap.records.import_(written(rows[shape]), type=shape)

    [flat] = redcap.export_records(fields=["note", "line"]).to_dict("records")
    assert flat == {"record_id": "1", **texts}
    values = redcap.records.export_eav(fields=["note", "line"])
    assert dict(zip(values["field_name"], values["value"], strict=True)) == texts
    changes = redcap.records.import_(written(rows[shape]), type=shape, dry_run=True).changes
    assert changes == ()
