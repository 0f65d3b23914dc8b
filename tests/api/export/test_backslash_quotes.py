"""Quotes after a backslash are read as they were written, in either way; or not at all."""

from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redcap_dagster.api import MalformedResponseError, REDCapClient
from redcap_dagster.api.export.reader import backslash_quotes, csv_blocks
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.sandbox import Sandbox
from tests.api.export.test_csv_reader import answer, in_chunks
from tests.dictionary import field
from tests.fake_server import CANARY, Reply, Server

Table = Sequence[Sequence[str]]

COLUMNS = ("record_id", "name", "scan")

# Few characters, so that cells look like the ends of others.
NASTY = st.text(st.sampled_from('\\",\n a'), max_size=7)
USUAL = st.sampled_from(
    ["", "C:\\data\\", 'say \\"no\\"', '"', '\\"', "a,b", "a\nb", "5", "two words"]
)
ROWS = st.lists(st.tuples(NASTY | USUAL, NASTY | USUAL), min_size=1, max_size=8)


def write_php(cell: str) -> str:
    """Write a cell as PHP's fputcsv does, whose escape character is a backslash."""
    if not any(mark in cell for mark in '\\", \n\r\t'):
        return cell
    written, escaped = "", False
    for mark in cell:
        if mark == "\\":
            escaped = True
        elif mark == '"' and not escaped:
            written += '"'
        else:
            escaped = False
        written += mark
    return f'"{written}"'


def write_doubled(cell: str) -> str:
    if not any(mark in cell for mark in '", \n\r\t'):
        return cell
    return '"' + cell.replace('"', '""') + '"'


def write_csv(rows: Table, way: str) -> bytes:
    write = {"php": write_php, "doubled": write_doubled}[way]
    return "".join(f"{','.join(map(write, row))}\n" for row in (COLUMNS, *rows)).encode()


def number_rows(cells: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(str(number), *own) for number, own in enumerate(cells, 1)]


def read_table(table: pa.Table) -> list[tuple[str, ...]]:
    return [tuple(row[name] or "" for name in COLUMNS) for row in table.to_pylist()]


@pytest.mark.parametrize("way", ["php", "doubled"])
@given(cells=ROWS, size=st.integers(1, 60))
@example(cells=[("C:\\", "a b"), ("x", "")], size=7)
@example(cells=[('"\\', ',"'), ("", "\\")], size=100)
def test_a_table_is_read_as_it_was_written(
    way: str, cells: list[tuple[str, str]], size: int
) -> None:
    rows = number_rows(cells)
    body = write_csv(rows, way)

    with mock.patch.multiple(csv_blocks, _BLOCK=16, _OVERLAP=5):
        in_blocks = open_csv(answer(in_chunks(body, [size])), "record_id").read_all()

    assert read_table(in_blocks) == rows
    assert read_table(open_csv(answer(iter([body])), "record_id").read_all()) == rows


CELLS = ['say \\"no\\"', "C:\\data\\", '\\"', 'a\\",\n"b', "\\\\", "plain"]
STUDY: dict[str, Any] = {
    "exports": {
        "metadata": [field("record_id"), field("name", label='A \\"name\\"'), field("scan")]
    },
    "records": [
        {"record_id": str(number), "name": cell, "scan": CELLS[-number]}
        for number, cell in enumerate(CELLS, 1)
    ],
}


def test_every_export_of_a_server_that_escapes_quotes() -> None:
    with Sandbox(dialect="php") as sandbox:
        token = sandbox.add_project(**STUDY)
        client = REDCapClient(sandbox.url, token, max_cells=8)
        report = sandbox.add_report(token, ["record_id", "name"])

        labeled = client.export_records(raw_or_label_headers="label")

        assert labeled['A \\"name\\"'].tolist() == CELLS
        assert client.export_snapshot().table["scan"].to_pylist() == CELLS[::-1]
        assert pa.Table.from_batches(client.stream_records())["name"].to_pylist() == CELLS
        assert client.reports.export(report)["name"].tolist() == CELLS
        values = client.records.export_eav(fields=["name"])
        assert values[values["field_name"] == "name"]["value"].tolist() == CELLS


def test_a_quote_that_fits_no_way_names_record_and_field(
    server: Server, client: REDCapClient, assert_silent: Callable[[BaseException], None]
) -> None:
    server.say("record", Reply(f'record_id,name\n1,x\n{CANARY},"\\"{CANARY}" b"\n2,b\n'.encode()))

    with pytest.raises(MalformedResponseError, match="doubled, in the field name") as caught:
        client.export_records()

    assert caught.value.records == (CANARY,)
    assert caught.value.fields == ("name",)
    assert_silent(caught.value)


def test_rows_do_not_wait_for_a_quote_that_may_never_come() -> None:
    """The next quote, or the length, decides what a quote after a backslash means."""
    rows = [("1", "a b\\", ""), *((str(number), "x" * 100, "") for number in range(2, 1000))]
    body = write_csv(rows, "php")

    with (
        mock.patch.object(csv_blocks, "_BLOCK", 1000),
        mock.patch.object(backslash_quotes, "_LONGEST_CELL", 3000),
    ):
        batches = list(open_csv(answer(in_chunks(body, [500])), "record_id").batches)

    assert len(batches) > 10
    assert read_table(pa.Table.from_batches(batches)) == rows
