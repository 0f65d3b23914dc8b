"""What the benchmarks compare does the same, and their scripts run; no time is tested."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.csv as pa_csv
import pytest
import requests

from benchmarks import client_exports, other_tools, pipeline
from benchmarks.measure import Measurement, Task, measure_in_turns
from benchmarks.server import TOKEN, serve_study
from redcap_dagster.api import REDCapClient

RECORDS, FIELDS = 300, 30


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_study(RECORDS, FIELDS) as url:
        yield url


def test_all_ways_read_the_same_values(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_tools, "_PAUSE", 0)
    read = other_tools.prepare_batches(url)().fillna("")
    assert len(read) == RECORDS
    assert (read == "?").any(axis=None)
    for way in (
        client_exports.prepare_one_request,
        client_exports.prepare_default_plan,
        client_exports.prepare_four_requests,
    ):
        frame = way(url)()
        assert list(frame.columns) == list(read.columns)
        assert frame.fillna("").values.tolist() == read.values.tolist()
    assert other_tools.prepare_pycap(url)().shape == read.shape
    path = tmp_path / "export.csv"
    path.write_bytes(requests.post(url, data={"content": "record"}, timeout=120).content)
    table: pa_csv.Table = other_tools.prepare_arrow(str(path))()
    assert table.to_pandas().fillna("").values.tolist() == read.values.tolist()


def test_the_server_answers_in_pieces_what_it_answers_at_once(url: str) -> None:
    whole = REDCapClient(url, TOKEN, max_cells=None).export_records()
    assert REDCapClient(url, TOKEN, max_cells=500).export_records().equals(whole)
    some = REDCapClient(url, TOKEN).export_records(records=["7", "3"], forms=["form_1"])
    assert some["record_id"].tolist() == ["3", "7"]
    assert some["field_29"].equals(whole["field_29"][[2, 6]].reset_index(drop=True))


@pytest.mark.slow
def test_pipelines_and_script_store_all_records(url: str, tmp_path: Path) -> None:
    ways = {
        "records": other_tools.prepare_script(url, str(tmp_path)),
        "study_clean.form_1": pipeline.prepare_run(url, str(FIELDS), str(tmp_path)),
        "study_clean.form_0": pipeline.prepare_functions(url, str(FIELDS), str(tmp_path)),
    }
    seen: set[Path] = set()
    for table, way in ways.items():
        way()
        (made,) = set(tmp_path.rglob("*.duckdb")) - seen
        seen.add(made)
        with duckdb.connect(str(made), read_only=True) as connection:
            assert connection.table(table).shape[0] == RECORDS


def test_a_way_is_measured_in_a_process_of_its_own(url: str) -> None:
    took = measure_in_turns(1, {"one": Task(client_exports.prepare_one_request, (url,))})["one"]
    assert took.shape[0] == RECORDS
    assert took.peak > 10**7
    assert took.seconds > 0


def test_logic_prints_its_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["logic", "--rows", "50", "--runs", "1"])
    importlib.import_module("benchmarks.logic").main()
    assert capsys.readouterr().out.count("\n| logic 100 x 50") == 2


def _run_here(task: Task) -> Measurement:
    """Run a task in this process; that each has a process of its own is tested above."""
    result = task.prepare(*map(str, task.arguments))()
    return Measurement(1.0, 1.0, 10**8, getattr(result, "shape", ()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("records", ["--runs", "1"]),
        ("small", ["--runs", "1"]),
        ("slow", []),
        ("refresh", []),
        ("large", ["--buckets", "2"]),
    ],
)
def test_each_prints_its_table(
    name: str, more: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Task, "measure", _run_here)
    monkeypatch.setattr(other_tools, "_PAUSE", 0)
    monkeypatch.setattr("sys.argv", [name, "--records", "400", "--fields", "30", *more])
    importlib.import_module(f"benchmarks.{name}").main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) > 1
    assert all(row.count("|") == 7 for row in rows)
