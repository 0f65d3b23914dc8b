"""Responses that depend on the REDCap version."""

from collections.abc import Callable, Iterator

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS, Ask, asker, imported

VERSIONS = ("11.4.4", "12.0.0", "14.7.3", "15.8.2", "17.4.1")
SINCE_12 = (False, True, True, True, True)
SINCE_14 = (False, False, True, True, True)
SINCE_15 = (False, False, False, True, True)
SINCE_17 = (False, False, False, False, True)


@pytest.fixture(scope="module", params=range(len(VERSIONS)), ids=VERSIONS)
def version(request: pytest.FixtureRequest) -> Iterator[tuple[int, Ask, str]]:
    """A version, a function that posts requests to its sandbox, and a project."""
    with Sandbox(VERSIONS[request.param]) as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        rows = [{"data_access_group_name": "North", "unique_group_name": ""}]
        imported(ask, token, rows, content="dag")
        imported(ask, token, [{"id": "77", "note": "x"}])
        yield request.param, ask, token


def info(ask: Ask, token: str) -> str:
    return ask(token, content="project").text.splitlines()[0]


def user(ask: Ask, token: str) -> str:
    return ask(token, content="user").text


def log(ask: Ask, token: str) -> str:
    return ask(token, content="log", logtype="record").text


def groups(ask: Ask, token: str) -> str:
    return ask(token, content="dag").text


def record(ask: Ask, token: str) -> str:
    return ask(token, content="record", records="9").text


def nothing(ask: Ask, token: str) -> str:
    return ask(token, content="record", records="none").text


@pytest.mark.parametrize(
    ("answer", "part", "there"),
    [
        (info, "bypass_branching_erase_field_prompt", SINCE_12),
        (info, "project_pi_email", SINCE_15),
        (user, "api_modules", SINCE_14),
        (user, "email_logging", SINCE_14),
        (user, "data_access_group_label", SINCE_17),
        (user, "visit:130", SINCE_15),
        (log, "Create record (API) 77", SINCE_12),
        (log, "Created Record (API) 77", tuple(not since for since in SINCE_12)),
        (groups, "data_access_group_id", SINCE_14),
        (record, "a.pdf", SINCE_12),
        (record, "[document]", tuple(not since for since in SINCE_12)),
        (nothing, "id,", tuple(not since for since in SINCE_17)),
    ],
)
def test_what_changed(
    version: tuple[int, Ask, str],
    answer: Callable[[Ask, str], str],
    part: str,
    there: tuple[bool, ...],
) -> None:
    number, ask, token = version
    assert (part in answer(ask, token)) == there[number]
