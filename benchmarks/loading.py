"""Loading definitions: a project of 500 instruments with 20 fields each, beside ``import dagster``.

Run it with ``python -m benchmarks.loading [--instruments N] [--fields N]``. Every measurement has a
process of its own; the two take turns, and of each the fastest run counts, by the clock and, in
brackets, by seconds of processors. What is measured is what
a code location does with the state of a component: read it, build the definitions, and make the
repository that Dagster serves.
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
begun, used = time.perf_counter(), time.process_time()
import dagster
print(time.perf_counter() - begun, time.process_time() - used)
"""

_LOAD = """
import sys, time
from pathlib import Path
import dagster as dg
from redcap_dagster import REDCapProjectComponent
component = REDCapProjectComponent(
    name="trial", url="https://redcap.example.edu/api/", token=dg.EnvVar("REDCAP_API_TOKEN"))
context = dg.ComponentTree.for_test().load_context
begun, used = time.perf_counter(), time.process_time()
definitions = component.build_defs_from_state(context, Path(sys.argv[1]))
definitions.get_repository_def()
print(time.perf_counter() - begun, time.process_time() - used)
"""

KINDS: tuple[dict[str, str], ...] = (
    {},
    {"text_validation_type_or_show_slider_number": "date_dmy"},
    {"field_type": "radio", "select_choices_or_calculations": "1, Never | 2, Often | 9, Not known"},
    {"field_type": "checkbox", "select_choices_or_calculations": "1, Fever | 2, Cough | 3, Pain"},
)
"""What the fields of a form are, in turn."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--fields", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        state.write_text(_project(asked.instruments, asked.fields).to_json())
        taken = [(_seconds(_IMPORT), _seconds(_LOAD, str(state))) for _ in range(RUNS)]
    importing, loading = (
        tuple(map(min, zip(*times, strict=True))) for times in zip(*taken, strict=True)
    )
    print(f"{asked.instruments} instruments with {asked.fields} fields each:")
    print(f"  import dagster              {importing[0]:5.2f} s ({importing[1]:.2f})")
    print(f"  from state to repository    {loading[0]:5.2f} s ({loading[1]:.2f})")
    print(
        f"  of it                       {loading[0] / importing[0]:5.2f}   "
        f"({loading[1] / importing[1]:.2f})"
    )


def _project(instruments: int, fields: int) -> REDCapProject:
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


def _seconds(code: str, *arguments: str) -> tuple[float, float]:
    """Run code in a process of its own, and read the seconds that it prints."""
    done = subprocess.run(  # noqa: S603 its own code
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    clock, processors = done.stdout.split()[-2:]
    return float(clock), float(processors)


if __name__ == "__main__":
    main()
