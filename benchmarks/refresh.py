"""A refresh after changes: 1% of the records changed, all in one of 32 buckets.

Run it with ``python -m benchmarks.refresh [--records N] [--fields N] [--buckets N]``. The server
counts requests and bytes of a tick of the change sensor and of the run that it requests. Changes
of the last two minutes cost more than earlier ones, because REDCap's log has no seconds and a run
requests them again; so both are measured.
"""

import argparse
import tempfile
from collections.abc import Callable

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import requests

from benchmarks import pipeline
from benchmarks.measure import print_count, print_heading, print_sizes
from benchmarks.server import serve_study
from redcap_dagster import DuckDBTableIOManager
from redcap_dagster.partitions import assign_buckets, bucket_keys

_GOAL_BYTES = 0.05
_GOAL_REQUESTS = 15


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--buckets", type=int, default=32)
    options = parser.parse_args()
    with (
        serve_study(options.records, options.fields) as url,
        tempfile.TemporaryDirectory() as folder,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        storage = DuckDBTableIOManager(database=f"{folder}/warehouse.duckdb")
        defined = pipeline.build_definitions(url, options.fields, storage, buckets=options.buckets)
        tick = _make_tick(defined, instance)
        tick()
        full_size = len(requests.post(url, data={"content": "record"}, timeout=600).content)
        _read_counts(url)
        print_heading(
            f"1% of {options.records:,} records x {options.fields} fields changed in one of "
            f"{options.buckets} buckets; compared with a full export"
        )
        for minutes, goal in {4: _GOAL_REQUESTS, 0: None}.items():
            _change(url, options.records, options.buckets, minutes)
            run_requests = tick()
            ticked = _read_counts(url)
            for request in run_requests:
                pipeline.materialize(
                    defined, instance, request.asset_selection or (), request.partition_key
                )
            ran = _read_counts(url)
            when = f"changed {minutes} minutes ago"
            print_sizes(
                f"{when}: bytes in all", ticked["bytes"] + ran["bytes"], full_size, _GOAL_BYTES
            )
            print_count(f"{when}: requests of the sensor's tick", ticked["requests"])
            print_count(f"{when}: requests of the run", ran["requests"])
            print_count(f"{when}: requests in all", ticked["requests"] + ran["requests"], goal)


def _make_tick(
    defined: dg.Definitions, instance: dg.DagsterInstance
) -> Callable[[], list[dg.RunRequest]]:
    """Return a function that evaluates one tick of the change sensor, with its last cursor."""
    sensor = defined.resolve_sensor_def("study__changes")
    cursor: str | None = None

    def tick() -> list[dg.RunRequest]:
        nonlocal cursor
        with dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            definitions=defined,
            resources={"study__redcap": (defined.resources or {})["study__redcap"]},
            sensor_name="study__changes",
        ) as context:
            found = sensor.evaluate_tick(context)
        cursor = found.cursor or cursor
        return list(found.run_requests or ())

    return tick


def _change(url: str, records: int, buckets: int, minutes: int) -> None:
    ids = pa.chunked_array([[str(number) for number in range(1, records + 1)]])
    own = ids.filter(pc.equal(assign_buckets(ids, buckets), bucket_keys(buckets)[0]))
    changed = own.slice(0, records // 100).to_pylist()
    change_url = url.replace("/api/", f"/changed/{minutes}")
    requests.post(change_url, data="\n".join(changed), timeout=60).raise_for_status()


def _read_counts(url: str) -> dict[str, int]:
    counts: dict[str, int] = requests.get(url, timeout=60).json()
    return counts


if __name__ == "__main__":
    main()
