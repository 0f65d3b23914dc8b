"""Rows that come twice: counted, and not stored unless that is allowed."""

import dagster as dg
import pytest

from redcap_dagster import (
    CheckRules,
    CheckSettings,
)
from tests.checks.conftest import ALL, failures, reasons
from tests.dagster_runs import (
    Study,
    check_results,
    materializations,
)

TWICE = "Duplicate rows: 5."


@pytest.mark.usefixtures("twice")
def test_rows_that_come_twice_are_counted_and_not_stored(study: Study) -> None:
    result = study.run()
    assert not result.success
    assert check_results(result).keys() == ALL
    assert failures(result)["study/records/base", "keys_unique"] == TWICE
    assert "set keys_unique to not blocking" in reasons(result)
    assert not any("/base" in key for key in materializations(result))


@pytest.mark.usefixtures("twice")
def test_rows_that_come_twice_are_not_stored_where_no_check_was_asked_for(study: Study) -> None:
    select = dg.AssetSelection.assets("study/records/base").without_checks()
    job = dg.define_asset_job("unchecked", select)
    whole = dg.Definitions.merge(study.definitions(), dg.Definitions(jobs=[job]))
    unchecked = whole.resolve_job_def("unchecked")
    result = unchecked.execute_in_process(instance=study.instance, raise_on_error=False)
    assert not result.success
    assert materializations(result) == {}


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize(
    "settings", [CheckSettings(blocking=False), CheckSettings(severity="warn")]
)
def test_rows_that_come_twice_are_stored_where_they_may_be(
    study: Study, settings: CheckSettings
) -> None:
    rules = CheckRules(settings={"keys_unique": settings})
    result = study.run(study.definitions(checks=rules))
    assert result.success
    assert failures(result)["study/records/base", "keys_unique"] == TWICE
    assert study.table("study_clean.base").num_rows == 10
