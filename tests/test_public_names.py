"""Public names are there when they are asked for, and Dagster is not imported before."""

import subprocess
import sys

import redcap_dagster
from redcap_dagster import api


def test_each_public_name_is_at_home_where_it_is_looked_for() -> None:
    assert set(redcap_dagster.__all__) == set(redcap_dagster._ROOMS)
    assert set(redcap_dagster.__all__) <= set(dir(redcap_dagster))
    for name in redcap_dagster.__all__:
        assert getattr(redcap_dagster, name) is not None


def test_the_client_does_without_dagster() -> None:
    code = "import sys, redcap_dagster.api; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "redcap_dagster.api.client" in modules
    assert "dagster" not in modules


def test_earlier_names_of_the_error_classes_are_the_same_classes() -> None:
    assert api.EmptyAnswerError is api.EmptyResponseError
    assert api.MalformedAnswerError is api.MalformedResponseError
    assert api.Complaint is api.RefusedValue
    assert {"Complaint", "EmptyAnswerError", "MalformedAnswerError"} <= set(api.__all__)
