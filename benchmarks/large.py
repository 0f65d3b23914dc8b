"""A project of a million records: whether it comes whole, in how much memory, and how fast.

Run it with ``python -m benchmarks.large [--records N] [--fields N] [--buckets N]``. It takes some
minutes. Memory is the peak of one process, imports included; the server's is apart.
"""

import argparse
import tempfile
from dataclasses import replace

import requests

from benchmarks import ours, pipeline
from benchmarks.measure import (
    Measured,
    Way,
    in_turns,
    print_count,
    print_head,
    print_sizes,
    print_times,
)
from benchmarks.server import serving
from redcap_dagster.partitions import bucket_keys

_TIMES = 10
"""So many times fewer records has the project whose time is the measure."""

_GOAL_BUCKETS = 500

_FRUGAL = {"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"}
"""Arrow's default keeps more of the memory that it has no use for."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--buckets", type=int, default=32)
    asked = parser.parse_args()
    with serving(asked.records // _TIMES, asked.fields) as url:
        small = _exported(url, runs=3)
    with serving(asked.records, asked.fields) as url, tempfile.TemporaryDirectory() as folder:
        size = _size(url)
        print_head(f"{asked.records:,} records x {asked.fields} fields, {size / 1e6:.0f} MB of CSV")
        large = _exported(url, runs=1)
        print_sizes("peak memory in one request, the CSV", large["one"].peak, size, goal=2.5)
        print_sizes("with the default plan, the CSV", large["plan"].peak, size)
        for name, what in {"one": "in one request", "plan": "with the default plan"}.items():
            alike = replace(
                small[name], seconds=small[name].seconds * _TIMES, cpu=small[name].cpu * _TIMES
            )
            print_times(f"time {what}, {_TIMES} times a tenth", large[name], alike, goal=1.2)
        arguments = (url, asked.fields, f"{folder}/warehouse.duckdb", asked.buckets)
        bucketed = {
            bucket: Way(pipeline.one_bucket, (*arguments, bucket)).measure().peak
            for bucket in bucket_keys(asked.buckets)
        }
        print_count(
            f"peak memory, runs of {asked.buckets} buckets into DuckDB",
            max(bucketed.values()) / 1e6,
            _GOAL_BUCKETS,
            " MB",
        )
        largest = max(bucketed, key=lambda bucket: bucketed[bucket])
        frugal = Way(pipeline.one_bucket, (*arguments, largest), _FRUGAL).measure()
        print_count(
            f"the same with {' '.join(map('='.join, _FRUGAL.items()))}",
            frugal.peak / 1e6,
            _GOAL_BUCKETS,
            " MB",
        )


def _exported(url: str, runs: int) -> dict[str, Measured]:
    return in_turns(
        runs, {"one": Way(ours.as_one_request, (url,)), "plan": Way(ours.by_default, (url,))}
    )


def _size(url: str) -> int:
    with requests.post(url, data={"content": "record"}, stream=True, timeout=600) as answer:
        return sum(map(len, answer.iter_content(1 << 20)))


if __name__ == "__main__":
    main()
