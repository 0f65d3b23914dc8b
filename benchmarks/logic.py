"""Branching logic of 100 fields over 100,000 rows: time.

Run it with ``python -m benchmarks.logic [--rows N] [--runs N]``. Twenty fields compare two columns
of numbers or of dates that have as many values as rows; the others compare columns of choices.
"""

import argparse

from benchmarks.logic_study import FIELDS, prepare_logic
from benchmarks.measure import Task, measure_in_turns, print_count, print_heading

_GOAL = 1000
"""Milliseconds."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print_heading(f"Branching logic of {FIELDS} fields, {options.rows:,} rows")
    took = measure_in_turns(options.runs, {"logic": Task(prepare_logic, (options.rows,))})["logic"]
    what = f"logic {FIELDS} x {options.rows:,}"
    print_count(what, took.seconds * 1000, _GOAL, " ms")
    print_count(f"{what}, of processors", took.cpu * 1000, None, " ms")


if __name__ == "__main__":
    main()
