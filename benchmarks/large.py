"""Export and runs of a project of a million records: time and peak memory.

Run it with ``python -m benchmarks.large [--records N] [--fields N] [--buckets N]``. It takes some
minutes. Memory is the peak of the client's process, imports included, without the server's.
"""

import argparse
import tempfile
from dataclasses import replace

import requests

from benchmarks import client_exports, pipeline
from benchmarks.measure import (
    Measurement,
    Task,
    measure_in_turns,
    print_count,
    print_heading,
    print_sizes,
    print_times,
)
from benchmarks.server import serve_study
from redcap_dagster.partitions import bucket_keys

_TIMES = 10
"""How many times smaller the project is whose time is compared."""

_RUNS = 3
"""Runs of each export: the time of one alone varies by half with what else the machine does."""

_GOAL_BUCKETS = 500
"""Megabytes."""

_JEMALLOC = {"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"}
"""Environment for Arrow's allocator that returns unused memory sooner than the default."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--buckets", type=int, default=32)
    options = parser.parse_args()
    with serve_study(options.records // _TIMES, options.fields) as url:
        small = _measure_exports(url)
    with (
        serve_study(options.records, options.fields) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        size = _measure_size(url)
        print_heading(
            f"{options.records:,} records x {options.fields} fields, {size / 1e6:.0f} MB of CSV"
        )
        large = _measure_exports(url)
        print_sizes(
            "peak memory, one request; compared with the CSV", large["one"].peak, size, goal=2.5
        )
        print_sizes("peak memory, default plan; compared with the CSV", large["plan"].peak, size)
        for name, what in {"one": "one request", "plan": "default plan"}.items():
            scaled = replace(
                small[name], seconds=small[name].seconds * _TIMES, cpu=small[name].cpu * _TIMES
            )
            print_times(
                f"time, {what}; compared with {_TIMES} times a tenth", large[name], scaled, goal=1.2
            )
        arguments = (url, options.fields, f"{folder}/warehouse.duckdb", options.buckets)
        bucketed = {
            bucket: Task(pipeline.prepare_bucket_run, (*arguments, bucket)).measure().peak
            for bucket in bucket_keys(options.buckets)
        }
        print_count(
            f"peak memory, largest of {options.buckets} bucket runs into DuckDB",
            max(bucketed.values()) / 1e6,
            _GOAL_BUCKETS,
            " MB",
        )
        largest = max(bucketed, key=lambda bucket: bucketed[bucket])
        with_jemalloc = Task(
            pipeline.prepare_bucket_run, (*arguments, largest), _JEMALLOC
        ).measure()
        print_count(
            f"the same run with {' '.join(map('='.join, _JEMALLOC.items()))}",
            with_jemalloc.peak / 1e6,
            _GOAL_BUCKETS,
            " MB",
        )


def _measure_exports(url: str) -> dict[str, Measurement]:
    return measure_in_turns(
        _RUNS,
        {
            "one": Task(client_exports.prepare_one_request, (url,)),
            "plan": Task(client_exports.prepare_default_plan, (url,)),
        },
    )


def _measure_size(url: str) -> int:
    with requests.post(url, data={"content": "record"}, stream=True, timeout=600) as response:
        return sum(map(len, response.iter_content(1 << 20)))


if __name__ == "__main__":
    main()
