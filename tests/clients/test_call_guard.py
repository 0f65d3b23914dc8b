"""The guard over the published clients is not taken in by what only looks like a call."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
MODULE = """
import pytest
from tests.clients.call_guard import RAN, every_method_is_called, public_methods

SENT = []

class Client:
    def ask(self):
        SENT.append("ask")

    def ask_twice(self):
        self.ask()
        SENT.append("again")

    def refuse(self, value=None):
        if value is None:
            raise ValueError("none")
        SENT.append(value)

@pytest.fixture(scope="module", autouse=True)
def guard(request):
    methods = public_methods(Client)
    yield from every_method_is_called(request, Client, methods, lambda: len(SENT))

@pytest.fixture(autouse=True)
def note(request):
    request.node.getparent(pytest.Module).stash.setdefault(RAN, set()).add(request.node.name)

def test_twice():
    Client().ask_twice()

def test_another():
    {body}
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    pytester.syspathinsert(ROOT)

    def run(body: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(MODULE.replace("{body}", body))
        return pytester.runpytest(*options)

    return run


NAMED = "Client.ask, Client().refuse  # named, and not called"


@pytest.mark.parametrize(
    ("body", "left_over"),
    [
        (NAMED, "ask, refuse"),
        ("Client().refuse(1)  # ask is called by ask_twice alone", "ask"),
        ("Client().ask()\n    with pytest.raises(ValueError): Client().refuse()", "refuse"),
    ],
)
def test_what_is_not_called_is_left_over(
    body: str, left_over: str, run: Callable[..., pytest.RunResult]
) -> None:
    result = run(body)

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([f"*No test of this module calls {left_over}.*"])


def test_a_module_that_calls_all_passes(run: Callable[..., pytest.RunResult]) -> None:
    run("Client().ask(); Client().refuse(1)").assert_outcomes(passed=2)


def test_some_tests_of_a_module_are_not_judged(run: Callable[..., pytest.RunResult]) -> None:
    run(NAMED, "-k", "twice").assert_outcomes(passed=1, deselected=1)


@pytest.mark.slow
def test_a_process_of_its_own_for_each_module_judges_it(
    run: Callable[..., pytest.RunResult],
) -> None:
    run(NAMED, "-n2", "--dist=loadscope").assert_outcomes(passed=2, errors=1)
    run("Client().ask(); Client().refuse(1)", "-n2", "--dist=loadscope").assert_outcomes(passed=2)
