"""Exports from a server that responds at once: time and memory compared with other tools.

Run it with ``python -m benchmarks.records [--records N] [--fields N] [--runs N]``. Times are
seconds of the clock and, in brackets, of processors: medians of fresh processes that take turns.
Memory is the peak of the process, imports included.
"""

import argparse
import tempfile
from pathlib import Path

import requests

from benchmarks import client_exports, other_tools, pipeline
from benchmarks.measure import Task, measure_in_turns, print_heading, print_sizes, print_times
from benchmarks.server import serve_study


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with (
        serve_study(options.records, options.fields) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "export.csv"
        path.write_bytes(requests.post(url, data={"content": "record"}, timeout=600).content)
        size = path.stat().st_size / 1e6
        print_heading(
            f"{options.records:,} records x {options.fields} fields, {size:.0f} MB of CSV"
        )
        _print_frames(url, path, options.runs)
        _print_tables(url, str(options.fields), Path(folder), options.runs)
    with (
        serve_study(options.records, options.fields, study="values") as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        _print_values(url, str(options.fields), Path(folder), options.runs)


def _print_frames(url: str, path: Path, runs: int) -> None:
    took = measure_in_turns(
        runs,
        {
            "PyCap": Task(other_tools.prepare_pycap, (url,)),
            "one": Task(client_exports.prepare_one_request, (url,)),
            "plan": Task(client_exports.prepare_default_plan, (url,)),
            "Arrow": Task(other_tools.prepare_arrow, (path,)),
        },
    )
    one, plan, pycap, arrow = (took[name] for name in ("one", "plan", "PyCap", "Arrow"))
    print_times("export to a DataFrame, one request; compared with PyCap", one, pycap, goal=0.3)
    print_sizes("peak memory, one request; compared with PyCap", one.peak, pycap.peak, goal=0.45)
    print_times(
        "export to a DataFrame, default plan with census and checks; compared with PyCap",
        plan,
        pycap,
        goal=0.6,
    )
    print_sizes("peak memory, default plan; compared with PyCap", plan.peak, pycap.peak)
    print_times(
        "export to a DataFrame, one request; compared with `pyarrow.csv` from a file",
        one,
        arrow,
        goal=1.5,
    )


def _print_tables(url: str, fields: str, folder: Path, runs: int) -> None:
    took = measure_in_turns(
        runs,
        {
            "script": Task(other_tools.prepare_script, (url, folder)),
            "one": Task(pipeline.prepare_one_request_run, (url, fields, folder)),
            "plan": Task(pipeline.prepare_run, (url, fields, folder)),
            "Parquet": Task(pipeline.prepare_parquet_run, (url, fields, folder)),
            "functions": Task(pipeline.prepare_functions, (url, fields, folder)),
        },
    )
    print_times(
        "all assets in DuckDB; compared with a script", took["plan"], took["script"], goal=1.1
    )
    print_sizes(
        "peak memory, all assets in DuckDB; compared with a script",
        took["plan"].peak,
        took["script"].peak,
    )
    print_times(
        "all assets in Parquet; compared with a script", took["Parquet"], took["script"], goal=0.9
    )
    print_times(
        "all assets in DuckDB, one request; compared with a script", took["one"], took["script"]
    )
    print_times(
        "clean tables without Dagster; compared with a script", took["functions"], took["script"]
    )


def _print_values(url: str, fields: str, folder: Path, runs: int) -> None:
    took = measure_in_turns(
        runs,
        {
            "script": Task(other_tools.prepare_script, (url, folder)),
            "DuckDB": Task(pipeline.prepare_run, (url, fields, folder, "values")),
            "Parquet": Task(pipeline.prepare_parquet_run, (url, fields, folder, "values")),
        },
    )
    for storage, goal in {"DuckDB": 2.0, "Parquet": 1.3}.items():
        print_times(
            f"numbers, dates, choices: all assets in {storage}; compared with a script",
            took[storage],
            took["script"],
            goal,
        )
        print_sizes(
            f"peak memory of the same in {storage}; compared with a script",
            took[storage].peak,
            took["script"].peak,
            goal=1.1,
        )


if __name__ == "__main__":
    main()
