"""Start a REDCap and Dagster on this machine, and stop them again."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from example_project.studies import asthma, cervical
from redcap_dagster.api import REDCapClient, REDCapError
from redcap_dagster.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
DAGSTER_HOME = PROJECT / "dagster_home"
STRUCTURE = PROJECT / "src/example_project/defs/.local_defs_state"
TOKENS = {"cervical": "REDCAP_API_TOKEN_CERVICAL", "asthma": "REDCAP_API_TOKEN_ASTHMA"}
"""The variable of each made-up study's token, as in its ``defs.yaml``."""
OWN_TOKEN = "REDCAP_API_TOKEN"  # noqa: S105 the name of a variable
OWN_NAME = "REDCAP_STUDY"
"""The variables of a project that is not made up, as in the ``defs.yaml`` of ``own_study``."""
AUTOMATION = "EXAMPLE_AUTOMATION"
"""The variable that switches schedules and sensors on, as in ``defs``: only for a sandbox."""
PORT = 8470
"""Port of the sandbox: tables say at which URL they were made, and the next run is there, too."""
PLAYGROUND_PORT = 8471
"""Port of the playground, which may run beside the other sandbox."""
PATIENCE = 20.0
"""Seconds to wait until Dagster stops by itself."""


@dataclass(frozen=True)
class REDCap:
    """A REDCap.

    Attributes:
        url: URL of its API.
        pages: URL of its pages, with the key; None if it is not a sandbox.
    """

    url: str
    pages: str | None = field(default=None, repr=False)


@contextmanager
def redcap(xml: Path | None = None) -> Iterator[REDCap]:
    """Yield the REDCap in the environment, or a sandbox with two studies.

    The version of a REDCap in the environment is exported first, so that a wrong URL or token is
    noticed here. Variables in the project's file ``.env`` come before the environment, as in
    Dagster.

    Args:
        xml: Project XML that the sandbox gets instead of the two studies. Defaults to None.
    """
    os.environ.update({n: v for n, v in dotenv_values(PROJECT / ".env").items() if v is not None})
    given = [name for name in ("REDCAP_API_URL", OWN_TOKEN) if os.environ.get(name)]
    if given and xml is not None:
        sys.exit(
            f"XML names a project, and {' and '.join(given)} another one. Unset the latter to use "
            "the file, or leave XML out."
        )
    if len(given) == 1:
        sys.exit(
            f"Only {given[0]} is set. Set REDCAP_API_URL and REDCAP_API_TOKEN to use your own "
            "project, or neither to use the made-up studies."
        )
    if given:
        url, token = os.environ["REDCAP_API_URL"], os.environ[OWN_TOKEN]
        for name in (*TOKENS.values(), AUTOMATION):  # what only a sandbox has
            os.environ.pop(name, None)
        try:
            REDCapClient(url, token).export_version()
        except (REDCapError, ValueError) as error:
            sys.exit(str(error))
        yield REDCap(url)
        return
    with start_sandbox(PORT) as sandbox:
        os.environ.update(add_studies(sandbox) if xml is None else add_own_study(sandbox, xml))
        os.environ[AUTOMATION] = "RUNNING"
        yield REDCap(sandbox.url, sandbox.pages_url)


def is_own_study() -> bool:
    """Return whether the environment names a project, so that there are no made-up studies."""
    return bool(os.environ.get(OWN_TOKEN))


def name_own_study() -> str:
    """Return the name of that project, as its ``defs.yaml`` has it."""
    return os.environ.get(OWN_NAME, "own_study")


@contextmanager
def start_sandbox(port: int) -> Iterator[Sandbox]:
    """Yield an empty sandbox, at the same URL as the last one if nothing else is there."""
    with ExitStack() as stack:
        try:
            sandbox = stack.enter_context(Sandbox(port=port))
        except OSError:
            print(
                f"Port {port} is in use, probably by another make demo, ui or playground, so the "
                "studies have another URL this time. Tables that are stored already are not "
                "replaced: stop the other program first.",
                flush=True,
            )
            sandbox = stack.enter_context(Sandbox())
        yield sandbox


def add_studies(sandbox: Sandbox) -> dict[str, str]:
    """Add the made-up studies to a sandbox; return the variables with its URL and their tokens."""
    tokens = {
        TOKENS[name]: sandbox.add_project(exports=study.exports(), records=study.records())
        for name, study in (("cervical", cervical), ("asthma", asthma))
    }
    return {"REDCAP_API_URL": sandbox.url, **tokens}


def add_own_study(sandbox: Sandbox, xml: Path) -> dict[str, str]:
    """Add the project of an XML file to a sandbox; return the variables that name it.

    Its name is made of the file's, so that each file has a database of its own.
    """
    try:
        token = sandbox.add_project(xml.expanduser())
    except OSError:
        sys.exit(f"XML: {xml} is not a file that can be read.")
    except ValueError as error:
        sys.exit(f"XML: {error}")
    stem = xml.name.removesuffix(".xml").removesuffix(".REDCap")
    name = re.sub("[^a-z0-9]+", "_", f"xml {stem}".lower()).strip("_")
    return {"REDCAP_API_URL": sandbox.url, OWN_TOKEN: token, OWN_NAME: name}


def fetch_structure() -> None:
    """Fetch the structure of each study that has a token, and remove the structures from before.

    The environment may name another REDCap than last time. A study without a token has no assets.
    """
    shutil.rmtree(STRUCTURE, ignore_errors=True)
    tokens = {**TOKENS, name_own_study(): OWN_TOKEN}
    keys = [f"REDCapProjectComponent[{name}]" for name in tokens if os.environ.get(tokens[name])]
    options = [word for key in keys for word in ("--defs-state-key", key)]
    log = DAGSTER_HOME / "structure.log"
    with running("dg", "utils", "refresh-defs-state", *options, log=log) as process:
        if process.wait():
            sys.exit(f"{tail(log)}\n\nThe structure was not fetched; all that was said is in {log}")


@contextmanager
def running(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Dagster in this project; stop it and its children at the end."""
    exit_on_signals()
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
            # In a session of its own: Ctrl-C comes here first, and all of it is stopped at once.
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
                with suppress(ProcessLookupError):  # Nothing is left.
                    os.killpg(process.pid, signal.SIGKILL)


def exit_on_signals() -> None:
    """Have this process end by an exception where a signal ends it, so that nothing is left."""
    # A background job of a shell ignores interrupts, and so would Dagster.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))


def tail(log: Path, lines: int = 12) -> str:
    """Return the last warning of redcap-dagster in a log, or the log's last lines."""
    said = log.read_text(encoding="utf-8", errors="replace").splitlines()
    warnings = [line for line in said if re.match(r"redcap_dagster[\w.]*: ", line)]
    return "\n".join(warnings[-1:] or said[-lines:])
