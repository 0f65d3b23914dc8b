"""A way to ask the sandbox for what a real server was asked for."""

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import Ask, asker


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    return asker(sandbox)
