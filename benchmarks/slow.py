"""Exports from a slow server: four concurrent requests compared with one after another.

Run it with ``python -m benchmarks.slow [--records N] [--fields N]``. The server handles requests
concurrently and takes a second for 1,000 records. Two servers are measured: one takes the time per
cell, so that listing the record ids is fast; the other takes it per record, whatever is requested.
At last, a server lists 1,000 records and fails each export of them: its requests are counted.
"""

import argparse

from benchmarks import client_exports, other_tools
from benchmarks.measure import Task, measure_in_turns, print_count, print_heading, print_times
from benchmarks.server import Costs, serve_study
from benchmarks.study import make_project
from redcap_dagster.api import REDCapClient, REDCapError
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import EMPTY, OUT_OF_MEMORY, WEB_PAGE, Cut, Reset, Status
from redcap_dagster.sandbox.http.fault import Fault

_PER_RECORD = 0.001

FAULTS: tuple[Fault, ...] = (
    Status(500, "<p>Failed"),
    Cut(0.5, "chunks"),
    Reset(),
    WEB_PAGE,
    OUT_OF_MEMORY,
    EMPTY,
)
"""Faults of a server that may be failures of size."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--fields", type=int, default=120)
    options = parser.parse_args()
    project = make_project(options.fields)
    cells = sum(len(project.columns(form.instrument_name)) for form in project.instruments) + 1
    print_heading(
        f"{options.records:,} records x {options.fields} fields from a server that takes 1 s"
    )
    for what, costs in {
        "for the cells of 1,000 records": Costs(per_cell=_PER_RECORD / cells),
        "for 1,000 records, listings too": Costs(per_record=_PER_RECORD),
    }.items():
        with serve_study(options.records, options.fields, costs) as url:
            took = measure_in_turns(
                1,
                {
                    "PyCap": Task(other_tools.prepare_pycap, (url,)),
                    "four": Task(client_exports.prepare_four_requests, (url,)),
                    "batches": Task(other_tools.prepare_batches, (url,)),
                },
            )
        print_times(
            f"export, 1 s {what}; compared with PyCap", took["four"], took["PyCap"], goal=0.3
        )
        print_times(
            f"export, 1 s {what}; compared with batches like REDCapR's",
            took["four"],
            took["batches"],
            goal=0.3,
        )
    most = max(count_requests(fault) for fault in FAULTS)
    print_count("requests before an export of 1,000 records gives up", most, goal=40)


def count_requests(fault: Fault, records: int = 1000, fields: int = 120) -> int:
    """Return the number of requests of an export that gives up, as each fails but the listing.

    The requests for the structure of the project are counted, too.
    """
    names = [f"field_{number}" for number in range(fields)]
    dictionary = [{"field_name": name, "form_name": "visit"} for name in ("record_id", *names)]
    rows = [{"record_id": str(number), **dict.fromkeys(names, "1")} for number in range(records)]
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports={"metadata": dictionary}, records=rows)
        sandbox.inject(fault, content="record", after=1)
        try:
            REDCapClient(sandbox.url, token, backoff=0).export_records()
        except REDCapError:
            return len(sandbox.requests)
    raise RuntimeError("The export did not fail.")


if __name__ == "__main__":
    main()
