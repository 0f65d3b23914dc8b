"""A REDCap and a Dagster on this machine, for as long as they are needed."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dotenv import dotenv_values

from example_project.studies import asthma, cervical
from redcap_dagster.api import REDCapClient, REDCapError
from redcap_dagster.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
DAGSTER_HOME = PROJECT / "dagster_home"
STRUCTURE = PROJECT / "src/example_project/defs/.local_defs_state"
TOKENS = {"cervical": "REDCAP_API_TOKEN", "asthma": "REDCAP_API_TOKEN_ASTHMA"}
"""Where each study's token is, as the defs.yaml of each says."""
PATIENCE = 20.0
"""Seconds that Dagster gets to stop by itself."""


@contextmanager
def redcap() -> Iterator[str]:
    """Give the URL of the REDCap that the environment names, else of a sandbox with two studies.

    The former is asked for its version first: what is wrong with a URL or a token shows there.
    A file .env in the project counts, and comes before the environment, as it does for Dagster.
    """
    os.environ.update({n: v for n, v in dotenv_values(PROJECT / ".env").items() if v is not None})
    given = [name for name in ("REDCAP_API_URL", "REDCAP_API_TOKEN") if os.environ.get(name)]
    if len(given) == 1:
        sys.exit(
            f"Only {given[0]} is set. Set REDCAP_API_URL and REDCAP_API_TOKEN to use your own "
            "project, or neither to use the made-up studies."
        )
    if given:
        url, token = os.environ["REDCAP_API_URL"], os.environ["REDCAP_API_TOKEN"]
        try:
            REDCapClient(url, token).export_version()
        except (REDCapError, ValueError) as error:
            sys.exit(str(error))
        yield url
        return
    with Sandbox() as sandbox:
        os.environ.update(made_up(sandbox))
        yield sandbox.url


def made_up(sandbox: Sandbox) -> dict[str, str]:
    """Put the made-up studies into a sandbox, and give the variables that name them."""
    tokens = {
        TOKENS[name]: sandbox.add_project(exports=study.exports(), records=study.records())
        for name, study in (("cervical", cervical), ("asthma", asthma))
    }
    return {"REDCAP_API_URL": sandbox.url, **tokens}


def fetch_structure() -> None:
    """Fetch the structure of each study whose token there is, and forget what was there before.

    Where another REDCap is named than the last time, so are other studies: one without a token
    has no assets then.
    """
    shutil.rmtree(STRUCTURE, ignore_errors=True)
    keys = [f"REDCapProjectComponent[{name}]" for name in TOKENS if os.environ.get(TOKENS[name])]
    options = [word for key in keys for word in ("--defs-state-key", key)]
    log = DAGSTER_HOME / "structure.log"
    with running("dg", "utils", "refresh-defs-state", *options, log=log) as process:
        if process.wait():
            sys.exit(f"{tail(log)}\n\nThe structure was not fetched; all that was said is in {log}")


@contextmanager
def running(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Dagster's in this project; neither it nor its children are left behind."""
    # In a background job of a shell interrupts are ignored, and Dagster would ignore them too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    program, *arguments = command
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [Path(sys.executable).with_name(program), *arguments],
            cwd=PROJECT,
            env={**os.environ, "DAGSTER_HOME": str(DAGSTER_HOME)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A group of its own: Ctrl-C comes here first, and all of it can be stopped at once.
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE)
            finally:
                with suppress(ProcessLookupError):  # Nothing was left.
                    os.killpg(process.pid, signal.SIGKILL)


def tail(log: Path, lines: int = 12) -> str:
    """Give what redcap-dagster complained of last, else the last lines of a log."""
    said = log.read_text(encoding="utf-8", errors="replace").splitlines()
    complaints = [line for line in said if re.match(r"redcap_dagster[\w.]*: ", line)]
    return "\n".join(complaints[-1:] or said[-lines:])
