"""The REDCap that the examples in docstrings talk to, and what holds for all tests."""

import os
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import VISIT_THEN_DRUG, field

EXPORTS: dict[str, Any] = {
    "metadata": [
        field("record_id", label="Record ID"),
        field("age", label="Age", validation="integer"),
        field("treatment", type="radio", choices="1, Drug | 2, Placebo"),
        field("scan", type="file"),
        field("dose", "drug", label="Dose"),
    ],
    **VISIT_THEN_DRUG,
}
RECORDS: list[dict[str, object]] = [
    {
        "record_id": "1",
        "redcap_event_name": "first_arm_1",
        "redcap_data_access_group": "north",
        "visit_timestamp": "2024-01-31 10:20:30",
        "age": "40",
        "visit_complete": "2",
    },
    {"record_id": "2", "redcap_event_name": "first_arm_1", "age": "50", "visit_complete": "0"},
]


@pytest.fixture(scope="session")
def documented() -> Iterator[Sandbox]:
    """Start it once for all of them."""
    with Sandbox(version="15.5.0") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def names_in_examples(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give each example of the API a project of its own, so that none depends on another."""
    if not isinstance(request.node, pytest.DoctestItem) or ".api." not in request.node.name:
        return
    sandbox: Sandbox = request.getfixturevalue("documented")
    token = sandbox.add_project(exports=EXPORTS, records=RECORDS)
    folder: Path = request.getfixturevalue("tmp_path")
    doctest_namespace |= {
        "redcap": REDCapClient(sandbox.url, token, retries=0),
        "maker": REDCapClient(sandbox.url, sandbox.super_token, retries=0),
        "report": sandbox.add_report(token, ["record_id", "age"]),
        "randomization": sandbox.add_randomization(
            token, "treatment", [{"treatment": 2}], "first_arm_1"
        ),
        "folder": folder,
    }


SHARED = Path(__file__).parents[1] / "shared"
LEFT_OUT = not (SHARED / "fixtures").is_dir()
NEEDS_PANDAS_2 = find_spec("dagster_duckdb_pandas") is None
collect_ignore = [
    *["tests/fixture_projects"] * LEFT_OUT,
    *["tests/execution/test_database_io_managers.py"] * NEEDS_PANDAS_2,
]


def pytest_configure() -> None:
    """Refuse to leave tests out where what they need should be."""
    if LEFT_OUT and SHARED.is_dir():
        message = "tests/fixture_projects cannot run: ../shared is here, ../shared/fixtures is not"
        raise pytest.UsageError(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what is left out of a clone that stands alone."""
    if LEFT_OUT:
        terminalreporter.write_line(
            "Left out: tests/fixture_projects, which need responses of real servers "
            "in ../shared/fixtures."
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``make pictures`` say where the pictures of the UI go."""
    parser.addoption("--pictures", type=Path, help="folder for the pictures of the UI")


@pytest.fixture
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where pictures of the UI go: nowhere in particular, by default."""
    folder: Path | None = request.config.getoption("--pictures")
    return folder or tmp_path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a module in one process if they share a fixture; all others go anywhere.

    With another dialect than the default, tests that would do the same as without it are left out.
    """
    if config.option.redcap_dialect != "default":
        same = [item for item in items if not _speaks_dialect(item)]
        config.hook.pytest_deselected(items=same)
        items[:] = [item for item in items if _speaks_dialect(item)]
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        known = fixtures.name2fixturedefs.values() if fixtures else ()
        if {definitions[-1].scope for definitions in known} & {"class", "module", "package"}:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _speaks_dialect(item: pytest.Item) -> bool:
    """Return whether a test has a server of the dialect that the command line names."""
    names = getattr(item, "fixturenames", ())
    pinned = getattr(getattr(item, "callspec", None), "params", ())
    return "redcap_dialect" not in pinned and not {"redcap_dialect", "running_sandbox"}.isdisjoint(
        names
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail in CI what is skipped: there, everything that a test needs is to be there."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\nCI=true, and so a skipped test has failed."
    return report
