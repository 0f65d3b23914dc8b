"""From an export to clean tables: time beside ``pandas.read_csv`` on the same bytes, and memory.

Run it with ``python -m benchmarks.tables [--records N] [--fields N]`` or ``... --growth``. Every
measurement has a process of its own, so that none has another's memory; the two take turns, and of
each the fastest run counts. Memory is what a process takes from before it reads the CSV on.
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

from benchmarks.study import as_text, project_of, write_export
from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, clean, instrument_table

RUNS = 3

GROWTH = (
    *((10_000, 12), (100_000, 12), (1_000_000, 12)),
    *((10_000, 120), (10_000, 1_000), (10_000, 3_000)),
)
"""Records and fields."""

_Result = TypeVar("_Result")


def read_text(path: Path) -> pa.Table:
    """Read an export as the client does: piece by piece, all text, blanks null."""
    return pa_csv.open_csv(
        path,
        pa_csv.ReadOptions(block_size=1 << 24, use_threads=False),
        pa_csv.ParseOptions(newlines_in_values=True),
        as_text(path),
    ).read_all()


def clean_all(export: pa.Table, project: REDCapProject) -> int:
    """Give records and clean tables form by form, each let go before the next, as the assets do."""
    rules = CleaningRules()
    cells = 0
    for form in project.instruments:
        records = instrument_table(export, project, form.instrument_name)
        table = clean(records, form.instrument_name, project, rules).table
        cells += table.num_rows * table.num_columns
    return cells


def _time_ours(path: Path, fields: int) -> tuple[float, float]:
    project = project_of(fields)
    before = _peak()
    export = read_text(path)
    clean_all(export.slice(0, 100), project)  # what only a first run takes
    start = time.perf_counter()
    clean_all(export, project)
    return time.perf_counter() - start, _peak() - before


def _time_pandas(path: Path, fields: int) -> tuple[float, float]:  # noqa: ARG001
    before = _peak()
    text = path.read_bytes()
    pd.read_csv(io.BytesIO(text), nrows=100)
    start = time.perf_counter()
    pd.read_csv(io.BytesIO(text))
    return time.perf_counter() - start, _peak() - before


def _peak() -> int:
    """Give the most memory that this process has had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _alone(what: Callable[..., _Result], *arguments: object) -> _Result:
    """Run something in a process of its own; this one stays small, as its size is inherited."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(what, arguments)


def _write(path: Path, fields: int, records: int) -> int:
    write_export(path, fields, records)
    return path.stat().st_size


def _beside_pandas(folder: Path, records: int, fields: int) -> None:
    path = folder / "export.csv"
    size = _alone(_write, path, fields, records)
    print(f"{records:,} records x {fields:,} fields, {size / 1e6:.0f} MB of CSV")
    ours, pandas = [], []
    for _ in range(RUNS):
        ours.append(_alone(_time_ours, path, fields))
        pandas.append(_alone(_time_pandas, path, fields))
    for name, results in {"clean tables": ours, "pandas.read_csv": pandas}.items():
        seconds = min(result[0] for result in results)
        memory = max(result[1] for result in results)
        print(f"  {name:<16} {seconds:6.2f} s   peak {memory / size:4.1f} x the CSV")


def _growth(folder: Path) -> None:
    print("Seconds for a million cells:")
    for records, fields in GROWTH:
        path = folder / "export.csv"
        _alone(_write, path, fields, records)
        seconds, _ = _alone(_time_ours, path, fields)
        cells = records * fields / 1e6
        print(f"  {records:>9,} records x {fields:>5,} fields  {seconds / cells:6.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--growth", action="store_true", help="how time grows with the size")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.growth:
            _growth(Path(folder))
        else:
            _beside_pandas(Path(folder), asked.records, asked.fields)


if __name__ == "__main__":
    main()
