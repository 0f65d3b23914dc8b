"""Programs that run beside a test, each with a limit, and none of them left behind."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 1_200.0
"""Seconds that a program gets to say what is waited for, so that no test hangs."""


class Program:
    """A process whose lines are read as they come, so that it never waits for a reader."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = process
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            sys.stdout.write(line)  # pytest shows it where a test fails.
            self._lines.put(line)
        self._lines.put(None)

    def wait_until(self, holds: Callable[[str], bool]) -> None:
        """Wait until something holds: at a line that it says, or while it says nothing."""
        deadline = time.monotonic() + PATIENCE
        line: str | None = ""
        while line is not None and time.monotonic() < deadline:
            if holds(line):
                return
            try:
                line = self._lines.get(timeout=1)
            except queue.Empty:
                line = ""
        pytest.fail(f"Waited in vain for {self._process.args!r}.")

    def end(self) -> None:
        """Ask it to end, then end what is left of it and of all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join()


@contextmanager
def running(*command: str | Path, folder: Path, **options: Any) -> Iterator[Program]:
    """Run a program in a folder; options are those of `subprocess.Popen`."""
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    ) as process:
        program = Program(process)
        try:
            yield program
        finally:
            program.end()
