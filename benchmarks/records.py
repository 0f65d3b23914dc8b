"""Records from a server that answers at once: time and memory beside what people use otherwise.

Run it with ``python -m benchmarks.records [--records N] [--fields N] [--runs N]``. Times are by the
clock and, in brackets, of processors; both are medians of fresh processes that take turns. Memory
is the peak of the whole process, imports included.
"""

import argparse
import tempfile
from pathlib import Path

import requests

from benchmarks import others, ours, pipeline
from benchmarks.measure import Way, in_turns, print_head, print_sizes, print_times
from benchmarks.server import serving


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    with serving(asked.records, asked.fields) as url, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.csv"
        path.write_bytes(requests.post(url, data={"content": "record"}, timeout=600).content)
        size = path.stat().st_size / 1e6
        print_head(f"{asked.records:,} records x {asked.fields} fields, {size:.0f} MB of CSV")
        _frames(url, path, asked.runs)
        _tables(url, str(asked.fields), Path(folder), asked.runs)


def _frames(url: str, path: Path, runs: int) -> None:
    took = in_turns(
        runs,
        {
            "PyCap": Way(others.pycap, (url,)),
            "one": Way(ours.as_one_request, (url,)),
            "plan": Way(ours.by_default, (url,)),
            "Arrow": Way(others.arrow, (path,)),
        },
    )
    one, plan, pycap, arrow = (took[name] for name in ("one", "plan", "PyCap", "Arrow"))
    print_times("to a DataFrame in one request, PyCap", one, pycap, goal=0.2)
    print_sizes("its peak memory, PyCap", one.peak, pycap.peak, goal=0.4)
    print_times("with the default plan, census and checks, PyCap", plan, pycap, goal=0.6)
    print_sizes("its peak memory, PyCap", plan.peak, pycap.peak)
    print_times("in one request, `pyarrow.csv` from a file", one, arrow, goal=1.5)


def _tables(url: str, fields: str, folder: Path, runs: int) -> None:
    took = in_turns(
        runs,
        {
            "script": Way(others.script, (url, folder)),
            "one": Way(pipeline.as_one_request, (url, fields, folder)),
            "plan": Way(pipeline.by_default, (url, fields, folder)),
            "functions": Way(pipeline.by_functions, (url, fields, folder)),
        },
    )
    print_times("to clean tables in DuckDB, a script", took["plan"], took["script"], goal=0.5)
    print_sizes("its peak memory, a script", took["plan"].peak, took["script"].peak)
    print_times("likewise, in one request, a script", took["one"], took["script"], goal=0.5)
    print_times("clean tables alone, without Dagster, a script", took["functions"], took["script"])


if __name__ == "__main__":
    main()
