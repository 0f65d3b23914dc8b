"""The pytest fixture ``redcap_sandbox``, a REDCap on this machine for one test.

pytest finds it once redcap-dagster is installed with its extra ``sandbox``; tests that do not use
it pay nothing for it.

The option ``--redcap-dialect`` says how the server differs from others, for all tests; the fixture
``redcap_dialect`` says it for one, as in ``@pytest.mark.parametrize("redcap_dialect", ["older"])``.

A test of a pipeline::

    from redcap_dagster.api import REDCapClient


    def test_saved_visits_are_exported(redcap_sandbox):
        token = redcap_sandbox.add_project(
            exports={"metadata": [{"field_name": "id", "form_name": "visit"}]},
            records=[{"id": "1", "visit_complete": "2"}],
        )

        records = REDCapClient(redcap_sandbox.url, token).export_records()

        assert list(records["visit_complete"]) == ["2"]
"""

# pytest imports this at every start, so it is outside the package, which imports Dagster.

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redcap_dagster.sandbox import Sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the dialect."""
    parser.addoption(
        "--redcap-dialect",
        default="default",
        metavar="NAME",
        help="How the server of redcap_sandbox differs from others: the name of a dialect, "
        "any-SEED, or any, which draws the seed and prints it.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of any dialect, once for all processes."""
    if config.option.redcap_dialect == "any":
        config.option.redcap_dialect = f"any-{secrets.randbelow(10**6)}"


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Print the dialect, so that a run can be repeated."""
    name = config.option.redcap_dialect
    return [] if name == "default" else [f"redcap dialect: {name}"]


@pytest.fixture(scope="session")
def redcap_dialect(request: pytest.FixtureRequest) -> str:
    """Return the name of the dialect that `redcap_sandbox` speaks."""
    name: str = request.config.option.redcap_dialect
    return name


@pytest.fixture
def redcap_sandbox(redcap_dialect: str) -> Iterator[Sandbox]:
    """Yield a running `redcap_dagster.sandbox.Sandbox` without projects, for one test.

    `add_project` returns the token of a new project; `inject` adds a fault.
    """
    from redcap_dagster.sandbox import Sandbox

    with Sandbox(dialect=redcap_dialect) as sandbox:
        yield sandbox
