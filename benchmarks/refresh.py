"""What it costs to keep up: 1% of the records changed, all in one of 32 buckets.

Run it with ``python -m benchmarks.refresh [--records N] [--fields N] [--buckets N]``. The server
counts requests and bytes: of a look of the change sensor, and of the run that it requests. It is
done twice: a run asks once more for what was changed in the two minutes before it, as REDCap tells
minutes; what was changed earlier costs less.
"""

import argparse
import tempfile
from collections.abc import Callable

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import requests

from benchmarks import pipeline
from benchmarks.measure import print_count, print_head, print_sizes
from benchmarks.server import serving
from redcap_dagster.partitions import assign_buckets, bucket_keys

_GOAL_BYTES = 0.05
_GOAL_REQUESTS = 15


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--buckets", type=int, default=32)
    asked = parser.parse_args()
    with (
        serving(asked.records, asked.fields) as url,
        tempfile.TemporaryDirectory() as folder,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        defined = pipeline.definitions(
            url, asked.fields, f"{folder}/warehouse.duckdb", asked.buckets
        )
        tick = _ticks(defined, instance)
        tick()
        whole = len(requests.post(url, data={"content": "record"}, timeout=600).content)
        _counted(url)
        print_head(
            f"1% of {asked.records:,} records x {asked.fields} fields changed in one of "
            f"{asked.buckets} buckets; theirs is a full export"
        )
        for minutes, goal in {4: _GOAL_REQUESTS, 0: None}.items():
            _change(url, asked.records, asked.buckets, minutes)
            wanted = tick()
            looked = _counted(url)
            for request in wanted:
                pipeline.materialize(
                    defined, instance, request.asset_selection or (), request.partition_key
                )
            ran = _counted(url)
            when = f"changed {minutes} minutes ago"
            print_sizes(f"{when}: bytes", looked["bytes"] + ran["bytes"], whole, _GOAL_BYTES)
            print_count(f"{when}: requests of the sensor", looked["requests"])
            print_count(f"{when}: requests of its run", ran["requests"])
            print_count(f"{when}: requests", looked["requests"] + ran["requests"], goal)


def _ticks(
    defined: dg.Definitions, instance: dg.DagsterInstance
) -> Callable[[], list[dg.RunRequest]]:
    """Give what lets the change sensor look once, from where it stopped."""
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
    told = url.replace("/api/", f"/changed/{minutes}")
    requests.post(told, data="\n".join(changed), timeout=60).raise_for_status()


def _counted(url: str) -> dict[str, int]:
    told: dict[str, int] = requests.get(url, timeout=60).json()
    return told


if __name__ == "__main__":
    main()
