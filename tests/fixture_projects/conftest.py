"""Projects and responses of real servers, kept beside a checkout, and a way to ask a sandbox."""

from pathlib import Path

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import Ask, asker

SHARED = Path(__file__).parents[3] / "shared" / "fixtures"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return SHARED


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    return asker(sandbox)
