"""A refresh never destroys what is stored."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import CheckRules, OpSettings, PartitionSettings
from redcap_dagster.api import REDCapClient
from redcap_dagster.catalog.event_log import Metadata, last_metadata
from redcap_dagster.execution.guards import shrinking
from redcap_dagster.partitions import bucket_keys
from tests.dagster_runs import Study, check_results, materializations, studying
from tests.dictionary import in_events
from tests.execution.test_buckets import METADATA, definitions, run

RECORDS = [{"record_id": str(n), "age": str(20 + n), "dose": f"{n}.5"} for n in range(1, 11)]


@pytest.fixture
def study(tmp_path: Path, redcap_dialect: str) -> Iterator[Study]:
    project: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}
    with studying(tmp_path, dialect=redcap_dialect, **project) as study:
        client = REDCapClient(study.sandbox.url, study.token)
        groups = [{"data_access_group_name": name, "unique_group_name": ""} for name in "NS"]
        client.groups.import_(groups)
        names = [row["unique_group_name"] for row in client.groups.export()]
        rows = [
            {"record_id": str(n), "redcap_data_access_group": names[n > 5]} for n in range(1, 11)
        ]
        client.records.import_(rows)
        yield study


def rerun(study: Study, **tags: str) -> dg.ExecuteInProcessResult:
    job = study.definitions().resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=study.instance, tags=tags, raise_on_error=False)


def what_failed(result: dg.ExecuteInProcessResult) -> str:
    return str(result.failure_data_for_node("study__tables"))


def test_a_user_who_came_into_an_access_group_shrinks_no_table(study: Study) -> None:
    assert rerun(study).success
    study.sandbox.set_rights(study.token, {"data_access_group": "n"})
    result = rerun(study)
    assert not result.success
    assert "REDCap lists 5 records by event; the last materialization had 10" in what_failed(result)
    assert "redcap/allow_shrink" in what_failed(result)
    for table in ("study_records._census", "study_records.visit", "study_clean.drug"):
        assert study.table(table).num_rows == 10
    assert rerun(study, **{"redcap/allow_shrink": "true"}).success
    assert study.table("study_clean.drug").num_rows == 5
    assert rerun(study).success  # with what is stored now


def test_a_user_who_lost_export_rights_hides_no_column(study: Study) -> None:
    assert rerun(study).success
    study.sandbox.set_rights(study.token, {"forms_export": {"drug": 0}})
    result = rerun(study)
    assert not result.success
    assert "no longer sees columns: dose" in what_failed(result)
    assert study.table("study_clean.drug")["dose"].null_count == 0
    assert study.run(study.definitions(checks=CheckRules(allow_shrink=True))).success


def warnings(study: Study, result: dg.ExecuteInProcessResult) -> str:
    logs = study.instance.all_logs(result.run_id)
    return "\n".join(entry.user_message for entry in logs if entry.level == logging.WARNING)


def test_some_records_may_be_deleted_and_the_log_says_so(study: Study) -> None:
    assert "records by event" not in warnings(study, rerun(study))
    for record in ("1", "2"):
        study.sandbox.delete_record(study.token, record)
    result = rerun(study)
    assert result.success
    assert study.table("study_clean.visit").num_rows == 8
    told = "REDCap lists 8 records by event; the last materialization had 10."
    assert told in warnings(study, result)


def test_the_event_log_is_read_once_for_a_table(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[dg.AssetKey] = []

    def look_up(context: Any, key: dg.AssetKey, *what: Any) -> list[Metadata]:
        read.append(key)
        return last_metadata(context, key, *what)

    monkeypatch.setattr(shrinking, "last_metadata", look_up)
    assert rerun(study).success
    tables = ("records/_census", "records/drug", "records/visit")
    assert sorted(key.to_user_string() for key in read) == [f"study/{name}" for name in tables]


def test_a_bucket_may_lose_more_than_the_project(study: Study) -> None:
    assert run(study, ["1-of-4"]).success
    (gone, *_) = study.table("study_clean.visit")["record_id"].to_pylist()
    study.sandbox.delete_record(study.token, gone)
    assert run(study, ["1-of-4"]).success
    study.sandbox.set_rights(study.token, {"data_access_group": "s"})
    result = run(study, ["2-of-4"], definitions(study))
    assert not result.success
    assert "REDCap lists 5 records by event; the last materialization had 9" in what_failed(result)


LONGITUDINAL: dict[str, Any] = {
    "exports": in_events(METADATA, {"start_arm_1": ["visit", "drug"]}),
    "records": [{**row, "redcap_event_name": "start_arm_1"} for row in RECORDS],
}


@pytest.mark.parametrize("buckets", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_an_instrument_whose_rows_are_gone_is_not_replaced(
    tmp_path: Path, buckets: int | None, redcap_dialect: str
) -> None:
    """Its event was taken away, while its records are listed as before."""
    with studying(tmp_path, dialect=redcap_dialect, **LONGITUDINAL) as study:
        partitions = None if buckets is None else PartitionSettings(buckets)
        defs = study.definitions(partitions=partitions)

        def make(**tags: str) -> dg.ExecuteInProcessResult:
            keys = [] if buckets is None else ["1-of-2"]
            return run(study, keys, defs, tags=tags)

        assert make().success
        before = study.table("study_clean.drug")
        client = REDCapClient(study.sandbox.url, study.token)
        client.design.import_form_event_mapping(LONGITUDINAL["exports"]["formEventMapping"][:1])
        result = make()
        assert not materializations(result)
        assert f"drug (0 rows, {before.num_rows} before)" in what_failed(result)
        assert "visit (" not in what_failed(result)
        assert study.table("study_clean.drug") == before
        assert make(**{"redcap/allow_shrink": "true"}).success
        assert study.table("study_clean.drug").num_rows == 0


def test_one_row_of_a_few_may_be_deleted_but_not_the_last(tmp_path: Path) -> None:
    repeating = [{"form_name": "drug", "custom_form_label": ""}]
    events = [
        {**RECORDS[0], "redcap_repeat_instrument": "drug", "redcap_repeat_instance": str(n)}
        for n in (1, 2)
    ]
    exports = {"metadata": METADATA, "repeatingFormsEvents": repeating}
    with studying(tmp_path, exports=exports, records=[*RECORDS[1:], *events]) as study:
        assert rerun(study).success
        delete = REDCapClient(study.sandbox.url, study.token).records.delete
        delete(["1"], instrument="drug", repeat_instance=2)
        assert rerun(study).success
        assert study.table("study_clean.drug").num_rows == 1
        delete(["1"], instrument="drug", repeat_instance=1)
        assert "drug (0 rows, 1 before)" in what_failed(rerun(study))


@pytest.mark.parametrize("reported", [False, True])
def test_records_without_the_census_shrink_no_table_either(study: Study, reported: bool) -> None:
    """What tells of the table that is replaced counts, whatever is said of other tables."""
    forms = ["study/records/visit", "study/clean/visit"]
    assert study.run(select=forms).success
    for record in range(3, 11):
        study.sandbox.delete_record(study.token, str(record))
    assert study.run(select=["study/records/_census"]).success  # nothing stored could shrink
    if reported:
        for key in (*forms, "study/records/_census"):
            report(study, key)
    result = study.run(select=forms)
    assert not result.success
    assert "REDCap lists 2 records by event; the last materialization had 10" in what_failed(result)
    assert study.table("study_clean.visit").num_rows == 10


def report(study: Study, key: str, **metadata: Any) -> None:
    """Report a materialization, as a user does in Dagster's UI."""
    made = dg.AssetMaterialization(dg.AssetKey.from_user_string(key), metadata=metadata)
    study.instance.report_runless_asset_event(made)


@pytest.mark.slow
def test_what_a_user_reports_as_materialized_breaks_nothing(study: Study) -> None:
    assert rerun(study).success
    for key in ("records/_census", "records/visit", "clean/visit", "records/drug", "clean/drug"):
        for _ in range(3):
            report(study, f"study/{key}", note="restored")
    result = study.check(study.definitions(), [("study/records/visit", "rows_not_dropping")])
    assert result.success
    result = rerun(study)
    assert result.success
    dropping = check_results(result)["study/records/visit", "rows_not_dropping"]
    assert dropping.description == "10 rows, 10 at the last materialization."
    report(study, "study/records/drug")
    study.sandbox.set_rights(study.token, {"forms_export": {"drug": 0}})
    assert "no longer sees columns: dose" in what_failed(rerun(study))


def test_columns_that_any_bucket_has_are_not_lost(study: Study) -> None:
    defs = definitions(study, op=OpSettings(backfill_policy=dg.BackfillPolicy.single_run()))
    assert run(study, bucket_keys(4)).success
    study.sandbox.set_rights(study.token, {"forms_export": {"drug": 0}})
    allowed = {"redcap/allow_shrink": "true"}
    assert run(study, ["4-of-4"], tags=allowed).success
    result = run(study, bucket_keys(4), defs)
    assert not result.success
    assert "no longer sees columns: dose" in what_failed(result)
