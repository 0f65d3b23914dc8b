"""The memory of an export: its text is not copied for pandas, nor kept twice."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api import REDCapClient
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.methods import record_exports
from redcap_dagster.frames import Frames, to_frame
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field

EVENT = "first_arm_1"
KEYS = ("record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
STUDY = {
    "exports": {
        "metadata": [
            field("record_id"),
            field("race", type="checkbox", choices="1, A | 2, B"),
            field("dose", "drug"),
        ],
        "event": [{"event_name": "First", "arm_num": 1, "unique_event_name": EVENT}],
        "formEventMapping": [
            {"arm_num": 1, "unique_event_name": EVENT, "form": form} for form in ("visit", "drug")
        ],
        "repeatingFormsEvents": [{"event_name": EVENT, "form_name": "drug"}],
    },
    "records": [
        row
        for record in map(str, range(1, 30))
        for row in (
            {"record_id": record, "redcap_event_name": EVENT, "race___1": "1"},
            {
                "record_id": record,
                "redcap_event_name": EVENT,
                "redcap_repeat_instrument": "drug",
                "redcap_repeat_instance": "1",
                "dose": record * 3,
            },
        )
    ],
}


@pytest.mark.parametrize("max_cells", [None, 1_000, 40, 3])
@pytest.mark.parametrize("frames", ["pandas", "arrow"])
def test_a_frame_is_made_of_text_that_needs_no_conversion(
    sandbox: Sandbox,
    token: str,
    max_cells: int | None,
    frames: Frames,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = REDCapClient(sandbox.url, token, max_cells=max_cells, frames=frames)
    tables: list[pa.Table] = []

    def note(table: pa.Table, frames: Frames) -> object:
        tables.append(table)
        return to_frame(table, frames)

    monkeypatch.setattr(record_exports, "to_frame", note)
    frame = client.export_records()

    text = pa.large_string() if frames == "pandas" else pa.string()
    assert {f.type for f in tables[0].schema if f.name not in KEYS} == {text}
    assert {f.type for f in client.export_records_table().schema} == {pa.string()}
    assert frame.equals(to_frame(client.export_records_table(), frames))


@given(
    rows=st.lists(st.tuples(*[st.text("aé", max_size=2)] * 3), min_size=1, max_size=20),
    text=st.sampled_from([pa.string(), pa.large_string()]),
)
def test_columns_that_share_offsets_have_their_own_cells(
    rows: list[tuple[str, str, str]], text: pa.DataType
) -> None:
    lines = [("id", "a", "b", "c"), *((str(number), *row) for number, row in enumerate(rows))]
    body = "".join(",".join(line) + "\n" for line in lines).encode()
    response = Response("export", "", 200, {}, iter([body]), lambda: None, {})

    table = open_csv(response, "id", text=text).read_all()
    table.validate(full=True)

    assert [tuple(row.values())[1:] for row in table.to_pylist()] == [
        tuple(cell or None for cell in row) for row in rows
    ]


@pytest.mark.parametrize("text", [pa.string(), pa.large_string()])
def test_columns_of_single_bytes_and_blank_ones_share_their_offsets(text: pa.DataType) -> None:
    body = b"id,a,b,c,d\n" + b"10,1,0,,12\n11,2,,,\n" * 2_000
    response = Response("export", "", 200, {}, iter([body]), lambda: None, {})

    for batch in open_csv(response, "id", text=text).batches:
        a, b, c, d = (batch[name].buffers()[1].address for name in "abcd")
        assert a == b == c != d
        assert {tuple(row.values()) for row in batch.to_pylist()} == {
            ("10", "1", "0", None, "12"),
            ("11", "2", None, None, None),
        }
