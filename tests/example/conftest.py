"""A copy of the example to run, so that nothing of a test stays in this one."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from example_project import local
from redcap_dagster.sandbox import Sandbox
from tests.browser import open_browser

EXAMPLE = Path(__file__).parents[2] / "example_project"
NOT_COPIED = shutil.ignore_patterns("__pycache__", local.STRUCTURE.name)
PATIENCE = 300.0
"""Seconds that a command gets at most, so that no test hangs."""
PAGE_PATIENCE = 120_000.0
"""Milliseconds that a page waits at most for what it is to show."""


@dataclass(frozen=True)
class Project:
    """A copy of the example, with a Dagster of its own."""

    root: Path

    @contextmanager
    def running(self, *command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command in the project; nothing that it started is left behind."""
        environment = {name: v for name, v in os.environ.items() if not name.startswith("REDCAP_")}
        program, *arguments = command
        with subprocess.Popen(
            [Path(sys.executable).with_name(program), *arguments],
            cwd=self.root,
            env={
                **environment,
                "PYTHONPATH": str(self.root / "src"),
                "DAGSTER_HOME": str(self.root / "dagster_home"),
                "DG_CLI_CONFIG": str(self.root / "dg.toml"),
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            limit = threading.Timer(PATIENCE, process.terminate)
            limit.start()
            try:
                yield process
            finally:
                limit.cancel()
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(2 * local.PATIENCE)  # it may wait as long itself
                with suppress(ProcessLookupError):  # Nothing was left.
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, *command: str, **variables: str) -> str:
        """Run a command to its end, which is to be a good one; give what it said."""
        with self.running(*command, **variables) as process:
            said, _ = process.communicate()
        assert process.returncode == 0, said[-3_000:]
        return said

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a file, as whoever copies the example would."""
        path = self.root / "src/example_project" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def table(self, name: str) -> pd.DataFrame:
        """Read a table of the warehouse, such as ``asthma_clean.visit``."""
        with duckdb.connect(str(self.root / "warehouse.duckdb"), read_only=True) as connection:
            table: pd.DataFrame = connection.sql(f"from {name}").df()
        return table


def read_until(process: subprocess.Popen[str], pattern: str) -> tuple[str, re.Match[str]]:
    """Return what a process said until something that fits a pattern, and the match."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(pattern, said):
            return said, found
    pytest.fail(said)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "example_project"
    shutil.copytree(EXAMPLE / "src", root / "src", ignore=NOT_COPIED)
    (root / "dagster_home").mkdir()
    for file in ("pyproject.toml", "dagster_home/dagster.yaml"):
        shutil.copy(EXAMPLE / file, root / file)
    return Project(root)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as redcap:
        yield redcap


@pytest.fixture
def page() -> Iterator[Page]:
    """A page that waits for Dagster, which takes seconds to show what it has."""
    with open_browser() as chromium:
        page = chromium.new_page(viewport={"width": 1500, "height": 960})
        page.set_default_timeout(PAGE_PATIENCE)
        expect.set_options(timeout=PAGE_PATIENCE)
        yield page
