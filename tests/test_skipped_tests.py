"""What CI makes of a skipped test; which tests a lone clone and another dialect leave out."""

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

    @pytest.mark.skipif(True, reason="needs a fast machine")
    def test_of_speed():
        pass

    @pytest.mark.parametrize("project", [])
    def test_of_each_project(project):
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


def clone(pytester: pytest.Pytester) -> Path:
    """Make a clone with one test of its own and one that needs responses of real servers."""
    project = pytester.mkdir("project")
    (project / "conftest.py").write_text(CONFTEST.read_text())
    for folder in ("api", "fixture_projects"):
        (project / "tests" / folder).mkdir(parents=True)
        test = f"def test_of_{folder}(): pass"
        (project / "tests" / folder / f"test_{folder}.py").write_text(test)
    return project


LINE = "Left out: tests/fixture_projects, which need responses of real servers in *"


@pytest.mark.parametrize("ci", ["true", ""])
def test_a_clone_that_stands_alone_is_green(
    ci: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    result = pytester.runpytest(clone(pytester), "-q")
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 1})
    result.stdout.fnmatch_lines([LINE])


def test_beside_the_responses_nothing_is_left_out(pytester: pytest.Pytester) -> None:
    project = clone(pytester)
    (pytester.path / "shared" / "fixtures").mkdir(parents=True)
    result = pytester.runpytest(project)
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 2})
    result.stdout.no_fnmatch_line(LINE)


def test_a_workspace_that_lost_the_responses_is_red(pytester: pytest.Pytester) -> None:
    project = clone(pytester)
    pytester.mkdir("shared")
    result = pytester.runpytest(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tests/fixture_projects cannot run: *shared/fixtures is not"])


def test_another_dialect_repeats_no_test_that_has_no_server_of_it(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile("""
        import pytest

        def test_without_a_server():
            pass

        def test_of_a_server(redcap_dialect):
            assert redcap_dialect == "older"

        @pytest.mark.parametrize("redcap_dialect", ["default"])
        def test_of_one_dialect(redcap_dialect):
            pass
    """)
    pytester.runpytest().assert_outcomes(passed=2, failed=1)
    pytester.runpytest("--redcap-dialect=older").assert_outcomes(passed=1, deselected=2)
