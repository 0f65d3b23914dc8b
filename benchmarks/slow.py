"""Records from a server that takes its time: four requests side by side, beside one after another.

Run it with ``python -m benchmarks.slow [--records N] [--fields N]``. An answer takes such a server
a second for each 1,000 records, and requests are served side by side. It is measured for two kinds
of servers: one where a whole record costs that and a listing of ids as much less as it has fewer
cells, and one where each record costs that however little is asked of it.
"""

import argparse

from benchmarks import others, ours
from benchmarks.measure import Way, in_turns, print_head, print_times
from benchmarks.server import Costs, serving
from benchmarks.study import project_of

_PER_RECORD = 0.001


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--fields", type=int, default=120)
    asked = parser.parse_args()
    project = project_of(asked.fields)
    cells = sum(len(project.columns(form.instrument_name)) for form in project.instruments) + 1
    print_head(
        f"{asked.records:,} records x {asked.fields} fields from a server that takes 1 s ..."
    )
    for what, costs in {
        "for the cells of 1,000 records": Costs(per_cell=_PER_RECORD / cells),
        "for 1,000 records, listed ones too": Costs(per_record=_PER_RECORD),
    }.items():
        with serving(asked.records, asked.fields, costs) as url:
            took = in_turns(
                1,
                {
                    "PyCap": Way(others.pycap, (url,)),
                    "four": Way(ours.four_at_once, (url,)),
                    "batches": Way(others.in_batches, (url,)),
                },
            )
        print_times(f"... {what}, PyCap", took["four"], took["PyCap"], goal=0.3)
        print_times(f"... {what}, REDCapR's way", took["four"], took["batches"], goal=0.3)


if __name__ == "__main__":
    main()
