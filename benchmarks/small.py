"""A run of many small tables with all checks, compared with a run that does nothing.

Run it with ``python -m benchmarks.small [--records N] [--fields N] [--runs N]``. The other run has
one op, with as many assets and checks; so it shows what Dagster's events cost. Both keep them in
SQLite.
"""

import argparse
import tempfile

import dagster as dg

from benchmarks import pipeline
from benchmarks.measure import Task, measure_in_turns, print_heading, print_times
from benchmarks.server import serve_study

_URL = "http://127.0.0.1/api/"  # nothing is requested from it


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with (
        serve_study(options.records, options.fields) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        assets, checks = count_assets(options.fields, folder)
        print_heading(f"{assets} tables of {options.records:,} records, with {checks} checks")
        took = measure_in_turns(
            options.runs,
            {
                "empty": Task(pipeline.prepare_empty_run, (assets, checks, folder)),
                "run": Task(pipeline.prepare_small_run, (url, options.fields, folder)),
            },
        )
    print_times(
        "all assets in DuckDB; compared with an op that does nothing",
        took["run"],
        took["empty"],
        goal=1.8,
    )


def count_assets(fields: int, folder: str) -> tuple[int, int]:
    """Return how many assets and checks a study has that is stored in a folder."""
    defined = pipeline.build_definitions(_URL, fields, pipeline.make_duckdb(folder))
    assets = [one for one in defined.assets or () if isinstance(one, dg.AssetsDefinition)]
    return sum(len(one.keys) for one in assets), sum(len(one.check_keys) for one in assets)


if __name__ == "__main__":
    main()
