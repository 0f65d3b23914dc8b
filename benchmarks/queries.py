"""A run that lists what to mend, compared with the same run without queries.

Run it with ``python -m benchmarks.queries [--records N] [--fields N] [--runs N]``. Half of the
fields are under branching logic; the records obey it, so that the rules judge all and find nothing.
"""

import argparse
import tempfile

from benchmarks import pipeline
from benchmarks.measure import Task, measure_in_turns, print_heading, print_times
from benchmarks.server import serve_study


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with (
        serve_study(options.records, options.fields, study="branching") as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        print_heading(
            f"{options.records:,} records x {options.fields} fields, half under branching"
        )
        took = measure_in_turns(
            options.runs,
            {
                "without": Task(pipeline.prepare_run, (url, options.fields, folder, "branching")),
                "with": Task(pipeline.prepare_query_run, (url, options.fields, folder)),
            },
        )
    print_times(
        "all assets in DuckDB with queries; without", took["with"], took["without"], goal=1.3
    )


if __name__ == "__main__":
    main()
