"""Time and memory of tasks, each measured in a fresh process, and the table of the results.

A task is a function of this package that prepares what is not measured, and returns what is: a
function without arguments. `measure_in_turns` starts the processes, each with
`python -m benchmarks.measure MODULE FUNCTION ARGUMENT...`.
"""

# ruff: noqa: T201
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

_PACKAGES = ("dagster", "duckdb", "pandas", "PyCap", "pyarrow", "requests")


@dataclass(frozen=True)
class Measurement:
    """Time and memory of a task.

    Attributes:
        seconds: Seconds of the clock.
        cpu: Seconds of processors, of all threads together.
        peak: Peak memory of the process since its start, in bytes.
        shape: Rows and columns of the result. Defaults to an empty tuple, if it has none.
    """

    seconds: float
    cpu: float
    peak: int
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Task:
    """A task to measure.

    Attributes:
        prepare: Function that prepares the task, and returns the function to measure.
        arguments: Arguments of the former.
        environment: Environment variables to set. Defaults to none.
    """

    prepare: Callable[..., Callable[[], Any]]
    arguments: tuple[object, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def measure(self) -> Measurement:
        """Return the task's time and memory in a fresh process, which only imports its module."""
        names = [self.prepare.__module__, self.prepare.__name__, *map(str, self.arguments)]
        output = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "benchmarks.measure", *names],
            check=True,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        result = json.loads(output.splitlines()[-1])
        return Measurement(**result | {"shape": tuple(result["shape"])})


def measure_in_turns(runs: int, tasks: Mapping[str, Task]) -> dict[str, Measurement]:
    """Measure tasks in turn, several times, and return the medians of each.

    Raises:
        AssertionError: The results do not have the same number of rows and columns.
    """
    results: dict[str, list[Measurement]] = {name: [] for name in tasks}
    for _ in range(runs):
        for name, task in tasks.items():
            results[name].append(task.measure())
    shapes = {one.shape for runs_of_task in results.values() for one in runs_of_task if one.shape}
    assert len(shapes) <= 1, f"the results have different rows and columns: {shapes}"  # noqa: S101
    return {
        name: Measurement(
            median(one.seconds for one in took),
            median(one.cpu for one in took),
            int(median(one.peak for one in took)),
            took[0].shape,
        )
        for name, took in results.items()
    }


# -- the table ------------------------------------------------------------------------------------


def print_heading(title: str) -> None:
    """Print a title, the machine, the versions and the head of a table."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    print(f"\n{title}\n{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    print(
        "| measured | redcap_dagster | compared with | ratio | goal | result |\n"
        "|---|---|---|---|---|---|",
        flush=True,
    )


def print_times(
    what: str, ours: Measurement, theirs: Measurement, goal: float | None = None
) -> None:
    """Print two times: seconds of the clock and, in brackets, of processors."""
    _print_row(
        what,
        f"{ours.seconds:.2f} s ({ours.cpu:.2f})",
        f"{theirs.seconds:.2f} s ({theirs.cpu:.2f})",
        ours.seconds / theirs.seconds,
        goal,
        f" ({ours.cpu / theirs.cpu:.2f})",
    )


def print_sizes(what: str, ours: float, theirs: float, goal: float | None = None) -> None:
    """Print two sizes, which are given in bytes."""
    _print_row(what, f"{ours / 1e6:,.1f} MB", f"{theirs / 1e6:,.1f} MB", ours / theirs, goal)


def print_count(what: str, ours: float, goal: float | None = None, unit: str = "") -> None:
    """Print a number and its goal, which it should not exceed."""
    state = "" if goal is None else "ok" if ours <= goal else f"over by {ours - goal:,.0f}{unit}"
    goal_text = "" if goal is None else f"{goal:,.0f}{unit}"
    print(f"| {what} | {ours:,.0f}{unit} | | | {goal_text} | {state} |", flush=True)


def _print_row(
    what: str, ours: str, theirs: str, ratio: float, goal: float | None, cpu_ratio: str = ""
) -> None:
    state = "" if goal is None else "ok" if ratio <= goal else f"over by {ratio - goal:.2f}"
    goal_text = "" if goal is None else f"{goal:g}"
    print(
        f"| {what} | {ours} | {theirs} | {ratio:.2f}{cpu_ratio} | {goal_text} | {state} |",
        flush=True,
    )


# -- in the process that is measured --------------------------------------------------------------


def read_peak_memory() -> int:
    """Return the peak memory of this process in bytes.

    Not by `getrusage`, whose value is inherited from the parent process.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if kilobytes is None:
        raise RuntimeError(
            "This system does not have the peak memory in /proc/self/status; use Linux."
        )
    return int(kilobytes[1]) * 1024


def _main(module: str, function: str, *arguments: str) -> None:
    run = getattr(import_module(module), function)(*arguments)
    start, used = time.perf_counter(), time.process_time()
    result = run()
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    print(
        json.dumps(
            asdict(Measurement(seconds, cpu, read_peak_memory(), getattr(result, "shape", ())))
        )
    )


if __name__ == "__main__":
    _main(*sys.argv[1:])
