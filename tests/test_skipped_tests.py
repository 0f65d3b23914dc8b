"""What CI makes of a test that is skipped."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
    import pytest

    @pytest.fixture
    def browser():
        pytest.skip("needs a browser")

    def test_in_a_browser(browser):
        pass

    @pytest.mark.skipif(True, reason="needs ../shared")
    def test_of_real_answers():
        pass

    @pytest.mark.parametrize("project", [])
    def test_of_each_real_project(project):
        pass

    @pytest.mark.xfail
    def test_of_a_known_fault():
        assert False
"""


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [("true", {"errors": 3, "xfailed": 1}), ("", {"skipped": 3, "xfailed": 1})],
)
def test_only_ci_takes_a_skip_for_a_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(TESTS)
    assert pytester.runpytest().parseoutcomes() == outcomes
