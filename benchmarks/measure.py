"""Time and memory of a way to do something, in a process of its own, and the table of them all.

A way is a function of this package that makes ready what is not measured, and gives what is: a
function without arguments. `python -m benchmarks.measure MODULE FUNCTION ARGUMENT...` is how a
process measures one; `in_turns` starts these.
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

_TOLD = ("dagster", "duckdb", "pandas", "PyCap", "pyarrow", "requests")


@dataclass(frozen=True)
class Measured:
    """What something took, and what came of it.

    Attributes:
        seconds: By the clock.
        cpu: Seconds of processors, of all threads together.
        peak: The most bytes of memory that the process had, from its start on.
        shape: Rows and columns, of what has them.
    """

    seconds: float
    cpu: float
    peak: int
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Way:
    """A way to do something, and what to give it.

    Attributes:
        prepare: Makes ready what is measured.
        arguments: What to give it.
        environment: Variables of the environment to set.
    """

    prepare: Callable[..., Callable[[], Any]]
    arguments: tuple[object, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def measure(self) -> Measured:
        """Measure it in a fresh process, which has imported what its module needs, and no more."""
        names = [self.prepare.__module__, self.prepare.__name__, *map(str, self.arguments)]
        output = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "benchmarks.measure", *names],
            check=True,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        told = json.loads(output.splitlines()[-1])
        return Measured(**told | {"shape": tuple(told["shape"])})


def in_turns(runs: int, ways: Mapping[str, Way]) -> dict[str, Measured]:
    """Measure ways in turn, several times, and give the medians of each.

    Raises:
        AssertionError: They do not give the same number of rows and columns.
    """
    results: dict[str, list[Measured]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            results[name].append(way.measure())
    shapes = {one.shape for took in results.values() for one in took if one.shape}
    assert len(shapes) <= 1, f"not the same rows and columns: {shapes}"  # noqa: S101
    return {
        name: Measured(
            median(one.seconds for one in took),
            median(one.cpu for one in took),
            int(median(one.peak for one in took)),
            took[0].shape,
        )
        for name, took in results.items()
    }


# -- the table ------------------------------------------------------------------------------------


def print_head(title: str) -> None:
    """Print what follows, on which machine, and the head of its table."""
    versions = ", ".join(f"{name} {version(name)}" for name in _TOLD)
    print(f"\n{title}\n{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    print("| what | ours | theirs | ratio | goal | |\n|---|---|---|---|---|---|", flush=True)


def print_times(what: str, ours: Measured, theirs: Measured, goal: float | None = None) -> None:
    """Print two times, by the clock and, in brackets, of processors."""
    _print(
        what,
        f"{ours.seconds:.2f} s ({ours.cpu:.2f})",
        f"{theirs.seconds:.2f} s ({theirs.cpu:.2f})",
        ours.seconds / theirs.seconds,
        goal,
        f" ({ours.cpu / theirs.cpu:.2f})",
    )


def print_sizes(what: str, ours: float, theirs: float, goal: float | None = None) -> None:
    """Print two sizes in bytes."""
    _print(what, f"{ours / 1e6:,.1f} MB", f"{theirs / 1e6:,.1f} MB", ours / theirs, goal)


def print_count(what: str, ours: float, goal: float | None = None, unit: str = "") -> None:
    """Print a number that is to be no more than another."""
    state = "" if goal is None else "ok" if ours <= goal else f"short by {ours - goal:,.0f}{unit}"
    told = "" if goal is None else f"{goal:,.0f}{unit}"
    print(f"| {what} | {ours:,.0f}{unit} | | | {told} | {state} |", flush=True)


def _print(
    what: str, ours: str, theirs: str, ratio: float, goal: float | None, of_cpu: str = ""
) -> None:
    state = "" if goal is None else "ok" if ratio <= goal else f"short by {ratio - goal:.2f}"
    told = "" if goal is None else f"{goal:g}"
    print(f"| {what} | {ours} | {theirs} | {ratio:.2f}{of_cpu} | {told} | {state} |", flush=True)


# -- in the process that is measured --------------------------------------------------------------


def peak_memory() -> int:
    """Give the most bytes of memory that this process has had.

    Not by `getrusage`: what that tells is inherited from the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if kilobytes is None:
        raise RuntimeError("This system does not tell the memory of a process.")
    return int(kilobytes[1]) * 1024


def _main(module: str, function: str, *arguments: str) -> None:
    way = getattr(import_module(module), function)(*arguments)
    start, used = time.perf_counter(), time.process_time()
    came = way()
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    print(json.dumps(asdict(Measured(seconds, cpu, peak_memory(), getattr(came, "shape", ())))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
