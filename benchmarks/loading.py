"""Loading of definitions: 500 instruments with 20 fields each, compared with ``import dagster``.

Run it with ``python -m benchmarks.loading [--instruments N] [--fields N]``. A code location reads
the state of a component, builds the definitions, and makes the repository that Dagster serves.
Each measurement runs in a fresh process, in turn with ``import dagster``. The fastest runs are
printed: seconds of the clock and, in brackets, seconds of processors.
"""

# ruff: noqa: T201
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from redcap_dagster.project import REDCapProject

RUNS = 5

_IMPORT = """
import time
started, processors = time.perf_counter(), time.process_time()
import dagster
print(time.perf_counter() - started, time.process_time() - processors)
"""

_LOAD = """
import sys, time
from pathlib import Path
import dagster as dg
from redcap_dagster import REDCapProjectComponent
component = REDCapProjectComponent(
    name="trial", url="https://redcap.example.edu/api/", token=dg.EnvVar("REDCAP_API_TOKEN"))
context = dg.ComponentTree.for_test().load_context
started, processors = time.perf_counter(), time.process_time()
definitions = component.build_defs_from_state(context, Path(sys.argv[1]))
definitions.get_repository_def()
print(time.perf_counter() - started, time.process_time() - processors)
"""

KINDS: tuple[dict[str, str], ...] = (
    {},
    {"text_validation_type_or_show_slider_number": "date_dmy"},
    {"field_type": "radio", "select_choices_or_calculations": "1, Never | 2, Often | 9, Not known"},
    {"field_type": "checkbox", "select_choices_or_calculations": "1, Fever | 2, Cough | 3, Pain"},
)
"""Kinds of fields, which the fields of an instrument take in turn."""


def main() -> None:
    """Measure, and print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--fields", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        state.write_text(_make_large_project(options.instruments, options.fields).to_json())
        times = [
            (_measure_seconds(_IMPORT), _measure_seconds(_LOAD, str(state))) for _ in range(RUNS)
        ]
    importing, loading = (
        tuple(map(min, zip(*pairs, strict=True))) for pairs in zip(*times, strict=True)
    )
    print(f"{options.instruments} instruments with {options.fields} fields each:")
    print(f"  import dagster              {importing[0]:5.2f} s ({importing[1]:.2f})")
    print(f"  from state to repository    {loading[0]:5.2f} s ({loading[1]:.2f})")
    print(
        f"  ratio                       {loading[0] / importing[0]:5.2f}   "
        f"({loading[1] / importing[1]:.2f})"
    )


def _make_large_project(instruments: int, fields: int) -> REDCapProject:
    metadata = [
        {
            "field_name": f"form_{form}_field_{number}",
            "form_name": f"form_{form}",
            "field_label": f"Question {number} of form {form}",
            **KINDS[number % len(KINDS)],
        }
        for form in range(instruments)
        for number in range(fields)
    ]
    return REDCapProject.from_exports(metadata=metadata, version="14.7.3")


def _measure_seconds(code: str, *arguments: str) -> tuple[float, float]:
    """Run code in a fresh process, and return the seconds that it prints."""
    done = subprocess.run(  # noqa: S603 its own code
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    clock, processors = done.stdout.split()[-2:]
    return float(clock), float(processors)


if __name__ == "__main__":
    main()
