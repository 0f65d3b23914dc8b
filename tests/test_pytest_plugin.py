"""The pytest plugin, as the tests of somebody else see it."""

from textwrap import dedent

import pytest

import pytest_redcap_sandbox

pytest_plugins = ["pytester"]

OWN = """
    import pytest

    TOKEN = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"
    METADATA = [{"field_name": "id", "form_name": "visit"}]
    seen = []

    @pytest.mark.parametrize("number", [1, 2])
    def test_a_token_is_new_each_time(redcap_sandbox, number):
        redcap_sandbox.add_project(exports={"metadata": METADATA}, token=TOKEN)
        seen.append(redcap_sandbox)
        assert len(seen) == number

    def test_those_of_others_are_gone():
        for sandbox in seen:
            with pytest.raises(RuntimeError, match="not running"):
                sandbox.url
"""

LIGHT = """
    import sys

    sys.modules["uvicorn"] = None

    def test_nothing_is_imported_until_it_is_asked_for(pytestconfig):
        assert pytestconfig.pluginmanager.hasplugin("redcap_sandbox")
        assert not {"redcap_dagster", "dagster", "pandas", "starlette"} & sys.modules.keys()

    def test_without_the_extra(redcap_sandbox):
        pass
"""


def test_each_test_has_a_sandbox_of_its_own(pytester: pytest.Pytester) -> None:
    assert pytest_redcap_sandbox.__doc__
    example = dedent(pytest_redcap_sandbox.__doc__.partition("::\n")[2])
    pytester.makepyfile(test_example=example, test_own=OWN)
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


DIALECT = """
    import pytest

    def test_that_of_the_option(redcap_sandbox, redcap_dialect):
        assert redcap_sandbox.dialect.name == redcap_dialect
        assert redcap_dialect.startswith("any-")

    @pytest.mark.parametrize("redcap_dialect", ["older", "newer"])
    def test_one_of_its_own(redcap_sandbox, redcap_dialect):
        assert redcap_sandbox.dialect.name == redcap_dialect
"""


def test_the_server_speaks_a_dialect(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DIALECT)
    result = pytester.runpytest_subprocess("--redcap-dialect=any")
    result.assert_outcomes(passed=3)
    result.stdout.re_match_lines([r"redcap dialect: any-\d+"])


def test_it_is_light_and_names_a_missing_extra(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LIGHT)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs 'uvicorn'*pip install 'redcap-dagster?sandbox?'*"])
