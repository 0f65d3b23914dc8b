"""An op that Dagster retries, and what its checks say."""

from dataclasses import replace
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from redcap_dagster import (
    OpSettings,
    REDCapResource,
)
from redcap_dagster.api import RecordExport, REDCapClient
from redcap_dagster.sandbox.faults import Status
from tests.checks.conftest import ALL, failures
from tests.dagster_runs import (
    TOKEN_VARIABLE,
    Study,
    check_results,
)

# -- retries --------------------------------------------------------------------------------------


def retrying(study: Study) -> dg.Definitions:
    """Definitions whose ops are tried twice, while the client tries each request once."""
    redcap = REDCapResource(url=study.sandbox.url, token=dg.EnvVar(TOKEN_VARIABLE), retries=0)
    return study.definitions(
        redcap=redcap, op=OpSettings(retry_policy=dg.RetryPolicy(max_retries=1))
    )


def test_an_op_is_tried_again_when_the_server_fails(study: Study) -> None:
    definitions = retrying(study)
    study.sandbox.inject(Status(429), content="record", after=1, times=1)
    result = study.run(definitions)
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == [
        "study__tables"
    ]
    assert failures(result) == {}
    assert check_results(result).keys() == ALL


def test_an_op_that_fails_for_good_leaves_no_check_open(study: Study) -> None:
    definitions = retrying(study)
    study.sandbox.inject(Status(503), content="record", after=1)
    result = study.run(definitions)
    assert not result.success
    assert any(event.is_step_up_for_retry for event in result.all_events)
    assert failures(result).keys() == ALL - {("study/metadata/fields", "dictionary_drift")}


def test_an_op_is_tried_again_when_the_project_was_changed_meanwhile(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, left = REDCapClient.export_snapshot, [None]

    def of_another_structure(*given: Any, **selection: Any) -> RecordExport:
        export = honest(*given, **selection)
        if not left:
            return export
        left.pop()
        events = pa.array(["now_arm_1"] * export.table.num_rows)
        return replace(export, table=export.table.append_column("redcap_event_name", events))

    monkeypatch.setattr(REDCapClient, "export_snapshot", of_another_structure)
    result = study.run(retrying(study))
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == [
        "study__tables"
    ]
    assert failures(result) == {}


def test_what_stays_wrong_is_not_tried_again(study: Study) -> None:
    definitions = retrying(study)
    study.sandbox.set_rights(study.token, {"api_export": 0})
    result = study.run(definitions, select=["study/records/base", "study/clean/base"])
    assert not result.success
    assert not any(event.is_step_up_for_retry for event in result.all_events)
