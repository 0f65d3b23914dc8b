"""What all tests share."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from redcap_dagster import fetched_structure
from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.dagster_runs import Study, studying
from tests.fake_server import Server

# How long an example takes says nothing: machines are busy, and the first one loads libraries.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def forget_fetched_structures() -> None:
    """Forget what this process fetched: another test's sandbox may have had the same port."""
    fetched_structure._fetched.clear()
    fetched_structure._failures.clear()


@pytest.fixture(scope="session")
def running_sandbox(pytestconfig: pytest.Config) -> Iterator[Sandbox]:
    with Sandbox(dialect=pytestconfig.option.redcap_dialect) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox, redcap_dialect: str) -> Iterator[Sandbox]:
    """A sandbox; tests add projects of their own to it."""
    if redcap_dialect != running_sandbox.dialect.name:  # that of one test
        with Sandbox(dialect=redcap_dialect) as own:
            yield own
        return
    yield running_sandbox
    running_sandbox.clear_faults()


@pytest.fixture
def token(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    """The token of the project that the test's module calls ``STUDY``."""
    token: str = sandbox.add_project(**request.module.STUDY)
    return token


@pytest.fixture
def redcap(sandbox: Sandbox, token: str) -> REDCapClient:
    """A client of that project, which requests nothing twice."""
    return REDCapClient(sandbox.url, token, retries=0)


@pytest.fixture
def study(request: pytest.FixtureRequest, tmp_path: Path, redcap_dialect: str) -> Iterator[Study]:
    """That project in a sandbox of its own, for runs of Dagster."""
    with studying(tmp_path, dialect=redcap_dialect, **request.module.STUDY) as study:
        yield study


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """For a test that runs out of stack: what other tests left, finalized there, would fail it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
