"""Public names are there when they are asked for, and Dagster is not imported before."""

import subprocess
import sys

import redcap_dagster
from redcap_dagster import api, partitions, project, tables


def test_each_public_name_is_at_home_where_it_is_looked_for() -> None:
    assert set(redcap_dagster.__all__) == set(redcap_dagster._MODULES)
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


def test_earlier_names_of_functions_are_the_same_functions() -> None:
    assert tables.duplicate_keys is tables.count_duplicate_rows
    assert tables.in_ranges is tables.check_ranges
    assert tables.leftovers is tables.count_unplaced_cells
    assert tables.rejected is tables.list_invalid_values
    assert tables.type_of is tables.get_column_type
    assert tables.unfilled is tables.count_blank_required
    assert project.changes is project.compare_projects
    assert project.page is project.build_page_url
    assert partitions.bucket_of is partitions.assign_buckets
