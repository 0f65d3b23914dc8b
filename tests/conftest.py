"""What all tests share."""

import gc
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

from redcap_dagster.sandbox import Sandbox
from tests.fake_server import Server

# How long an example takes says nothing: machines are busy, and the first one loads libraries.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """A sandbox of REDCap 14.7.3; tests add projects of their own to it."""
    return running_sandbox


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
