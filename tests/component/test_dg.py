"""The commands of ``dg``, in a project that ``create-dagster`` made, against a REDCap."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.runs import TOKEN_VARIABLE

METADATA = [
    {"field_name": "id", "form_name": "base"},
    {"field_name": "weight", "form_name": "base"},
]
RECORDS = [{"id": "1", "weight": "70", "base_complete": "2"}]

Command = Callable[..., str]


@pytest.fixture
def redcap() -> Iterator[tuple[str, str]]:
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports={"metadata": METADATA}, records=RECORDS)
        yield sandbox.url, token


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Give a function that runs a command in the project, with or without the token."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    project = tmp_path / "study"

    def run(*words: str, token: str | None = None) -> str:
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "DG_CLI_CONFIG": str(tmp_path / "dg.toml"),
            "PYTHONPATH": str(project / "src"),
        }
        environment.pop(TOKEN_VARIABLE, None)
        if token is not None:
            environment[TOKEN_VARIABLE] = token
        done = subprocess.run(
            [Path(sys.executable).parent / words[0], *words[1:]],
            cwd=project if project.exists() else tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3_000:]
        return done.stdout + done.stderr

    return run


@pytest.mark.slow
def test_from_an_empty_project_to_tables(
    command: Command, redcap: tuple[str, str], tmp_path: Path
) -> None:
    url, token = redcap
    kind = "redcap_dagster.REDCapProjectComponent"
    command("create-dagster", "project", "study", "--no-uv-sync")
    assert kind in command("dg", "list", "components")
    command("dg", "scaffold", "defs", kind, "trial", "--url", url, "--token-env", TOKEN_VARIABLE)
    assert "validated successfully" in command("dg", "check", "yaml")
    assert "no structure yet" in command("dg", "list", "defs")
    command("dg", "utils", "refresh-defs-state", token=token)
    assert "loaded successfully" in command("dg", "check", "defs")
    assert "trial/clean/base" in command("dg", "list", "defs")
    command("dg", "launch", "--assets", "*", token=token)
    tables = tmp_path / "dagster_home/storage/redcap"
    assert (tables / "trial_clean/base.parquet").exists()
    assert len(list(tables.glob("trial_*/*.parquet"))) == 7
    said = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(token.encode() in content for content in said)
