"""Clean tables from an export: time and memory compared with ``pandas.read_csv`` on its bytes.

Run it with ``python -m benchmarks.tables [--records N] [--fields N]`` or ``... --growth``. Each
measurement runs in a fresh process; the two take turns, and the fastest runs are printed. Memory is
the peak of the process minus its peak before it reads the CSV.
"""

# ruff: noqa: T201
import argparse
import io
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from benchmarks.study import make_project, make_text_options, write_export
from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, clean, instrument_table

RUNS = 3

_GOAL = 0.6
"""Seconds of clean tables, divided by those of `pandas.read_csv`."""

GROWTH = (
    *((10_000, 12), (100_000, 12), (1_000_000, 12)),
    *((10_000, 120), (10_000, 1_000), (10_000, 3_000)),
)
"""Records and fields."""

_Result = TypeVar("_Result")


def read_text(path: Path) -> pa.Table:
    """Return an export read as the client reads it: in pieces, all text, blanks null."""
    return pa_csv.open_csv(
        path,
        pa_csv.ReadOptions(block_size=1 << 24, use_threads=False),
        pa_csv.ParseOptions(newlines_in_values=True),
        make_text_options(path),
    ).read_all()


def clean_all(export: pa.Table, project: REDCapProject) -> int:
    """Return the cells of all clean tables, which are made and freed one by one, as in assets."""
    rules = CleaningRules()
    cells = 0
    for form in project.instruments:
        records = instrument_table(export, project, form.instrument_name)
        table = clean(records, form.instrument_name, project, rules).table
        cells += table.num_rows * table.num_columns
    return cells


def _time_ours(path: Path, fields: int) -> tuple[float, float]:
    project = make_project(fields)
    before = _read_peak_memory()
    export = read_text(path)
    clean_all(export.slice(0, 100), project)  # the first run takes longer
    start = time.perf_counter()
    clean_all(export, project)
    return time.perf_counter() - start, _read_peak_memory() - before


def _time_pandas(path: Path, fields: int) -> tuple[float, float]:  # noqa: ARG001
    before = _read_peak_memory()
    text = path.read_bytes()
    pd.read_csv(io.BytesIO(text), nrows=100)
    start = time.perf_counter()
    pd.read_csv(io.BytesIO(text))
    return time.perf_counter() - start, _read_peak_memory() - before


def _read_peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _run_alone(what: Callable[..., _Result], *arguments: object) -> _Result:
    """Return a function's result from a fresh process, which inherits this one's peak memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(what, arguments)


def _write(path: Path, fields: int, records: int) -> int:
    write_export(path, fields, records)
    return path.stat().st_size


def _compare_with_pandas(folder: Path, records: int, fields: int) -> None:
    path = folder / "export.csv"
    size = _run_alone(_write, path, fields, records)
    print(f"{records:,} records x {fields:,} fields, {size / 1e6:.0f} MB of CSV")
    ours, pandas = [], []
    for _ in range(RUNS):
        ours.append(_run_alone(_time_ours, path, fields))
        pandas.append(_run_alone(_time_pandas, path, fields))
    for name, results in {"clean tables": ours, "pandas.read_csv": pandas}.items():
        seconds = min(result[0] for result in results)
        memory = max(result[1] for result in results)
        print(f"  {name:<16} {seconds:6.2f} s   peak memory {memory / size:4.1f} x the CSV")
    ratio = min(ours)[0] / min(pandas)[0]
    print(f"  {'ratio':<16} {ratio:6.2f}     goal {_GOAL}, {'ok' if ratio <= _GOAL else 'missed'}")


def _print_growth(folder: Path) -> None:
    print("Seconds per million cells:")
    for records, fields in GROWTH:
        path = folder / "export.csv"
        _run_alone(_write, path, fields, records)
        seconds, _ = _run_alone(_time_ours, path, fields)
        cells = records * fields / 1e6
        print(f"  {records:>9,} records x {fields:>5,} fields  {seconds / cells:6.3f}")


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument(
        "--growth", action="store_true", help="measure how time grows with the size"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.growth:
            _print_growth(Path(folder))
        else:
            _compare_with_pandas(Path(folder), options.records, options.fields)


if __name__ == "__main__":
    main()
