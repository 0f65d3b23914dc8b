"""The commands of ``dg``, in a project that ``create-dagster`` made, against a REDCap.

The package is installed into the project as a user would, from a wheel that is built here; what it
depends on is that of the tests, so that nothing is asked of a package index.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.xml.reader import DataPoint
from redcap_dagster.project.xml.writer import write_odm
from tests.dagster_runs import TOKEN_VARIABLE
from tests.dictionary import field

PACKAGE = Path(__file__).parents[2]
KIND = "redcap_dagster.REDCapProjectComponent"
PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "base"),
        field("weight", "base"),
    ]
)
EVERYTHING = """
instruments: [base, "b*"]
cleaning:
  missing_values: ["?", "n/a"]
  labels: both
  types: {weight: text}
checks:
  settings:
    nothing_hidden: {enabled: false}
  by_instrument:
    base:
      choices_known: {severity: error, blocking: true}
  max_drop: 0.5
  allow_shrink: true
client:
  rate_limit: 100
  read_timeout: 60
translation:
  group_name: "trial_{{ props.layer }}"
  owners: ["team:trials"]
partitions:
  buckets: 4
change_sensor: true
storage:
  duckdb: trial.duckdb
op:
  pool: redcap_example_edu
  tags: {priority: "1"}
  retry_policy:
    max_retries: 2
    backoff: EXPONENTIAL
freshness:
  fail_after: 36h
automation: on_change
schedule:
  cron: "0 3 * * *"
  timezone: Europe/Berlin
  default_status: RUNNING
max_age: 7d
defs_state:
  management_type: LOCAL_FILESYSTEM
"""


@dataclass(frozen=True)
class Shell:
    """Runs commands in a project that is made in a folder."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "study"

    @property
    def python(self) -> Path:
        return self.project / ".venv/bin/python"

    def run(self, *command: str | Path, token: str | None = None) -> str:
        """Run a command, with or without the token, and give what it says."""
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.folder / "dagster_home"),
            "DG_CLI_CONFIG": str(self.folder / "dg.toml"),
            "PYTHONPATH": str(self.project / "src"),
        }
        environment.pop(TOKEN_VARIABLE, None)
        if token is not None:
            environment[TOKEN_VARIABLE] = token
        done = subprocess.run(
            command,
            cwd=self.project if self.project.exists() else self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3_000:]
        return done.stdout + done.stderr

    def dg(self, *words: str, token: str | None = None) -> str:
        """Run a command of dg by the Python of the project."""
        command = "from dagster_dg_cli.cli import main; main()"
        return self.run(self.python, "-c", command, *words, token=token)

    def install(self) -> None:
        """Install the package into the environment of the project."""
        self.run(sys.executable, "-m", "venv", "--without-pip", ".venv")
        (packages,) = self.project.glob(".venv/lib/python*/site-packages")
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        pip = (self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        self.run(*pip, "--no-index", "--no-deps", "--no-build-isolation", PACKAGE)
        where = self.run(self.python, "-c", "import redcap_dagster; print(redcap_dagster.__file__)")
        assert where.startswith(str(packages))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return Shell(tmp_path)


@pytest.fixture
def redcap(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Serve a project from another process: its URL and token."""
    file = tmp_path / "project.xml"
    values = {"id": "1", "weight": "70", "base_complete": "2"}
    points = [DataPoint("1", "", "", 0, field, value) for field, value in values.items()]
    file.write_bytes(write_odm(PROJECT, points, with_files=False))
    program = "from redcap_dagster.sandbox_command import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "serve", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        yield url, token
        process.terminate()


@pytest.mark.slow
def test_from_an_empty_project_to_tables(shell: Shell, redcap: tuple[str, str]) -> None:
    url, token = redcap
    shell.run(Path(sys.executable).parent / "create-dagster", "project", "study", "--no-uv-sync")
    shell.install()
    assert KIND in shell.dg("list", "components")
    shell.dg("scaffold", "defs", KIND, "trial", "--url", url, "--token-env", TOKEN_VARIABLE)
    yaml_file = shell.project / "src/study/defs/trial/defs.yaml"
    scaffolded = yaml_file.read_text()
    for line in ("# storage:", "#   duckdb: trial.duckdb", "# schedule:", '#   cron: "0 3 * * *"'):
        assert f"\n  {line}" in scaffolded
    assert "its structure was not fetched yet" in shell.dg("list", "defs")
    shell.dg("utils", "refresh-defs-state", token=token)
    assert "trial/clean/base" in shell.dg("list", "defs")
    shell.dg("launch", "--assets", "*", token=token)
    tables = shell.folder / "dagster_home/storage/redcap"
    assert (tables / "trial_clean/base.parquet").exists()
    assert len(list(tables.glob("trial_*/*.parquet"))) == 7
    said = [path.read_bytes() for path in shell.folder.rglob("*") if path.is_file()]
    assert not any(token.encode() in content for content in said)

    required, *_ = scaffolded.partition("  translation:")
    yaml_file.write_text(required.rstrip() + indent(EVERYTHING, "  "))
    assert "validated successfully" in shell.dg("check", "yaml")
    assert "loaded successfully" in shell.dg("check", "defs")
