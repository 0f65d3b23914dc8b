"""A project in buckets: runs of one, of some and of all, and what they say together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain, product
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redcap_dagster import (
    CleaningRules,
    OpSettings,
    PartitionSettings,
    REDCapProject,
    ScheduleSettings,
)
from redcap_dagster.api import REDCapClient
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.partitions import assign_buckets, bucket_keys
from tests.dagster_runs import TOKEN_VARIABLE, Study, check_results, studying
from tests.dictionary import field

METADATA = [
    field("record_id"),
    field("age", validation="integer"),
    field("note"),
    field("dose", "drug", validation="number"),
]
PROJECT = REDCapProject.from_exports(metadata=METADATA)
RECORDS = [{"record_id": str(n), "age": str(20 + n), "dose": f"{n}.5"} for n in range(1, 41)]
TABLES = [
    "study/records/_census",
    *(f"study/{layer}/{form}" for layer in ("records", "clean") for form in ("visit", "drug")),
]


STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}


def definitions(study: Study, count: int | None = 4, **options: Any) -> dg.Definitions:
    partitions = None if count is None else PartitionSettings(count)
    return study.definitions(project=PROJECT, partitions=partitions, **options)


def run(
    study: Study,
    keys: Sequence[str],
    defs: dg.Definitions | None = None,
    select: Sequence[str] = TABLES,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize tables of one bucket, or of a range of buckets in a single run."""
    defs = defs or definitions(study)
    assets = [dg.AssetKey.from_user_string(key) for key in select]
    if len(keys) > 1:
        tags = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
            **(tags or {}),
        }
    job = dg.define_asset_job("buckets", selection=dg.AssetSelection.assets(*assets))
    whole = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
    return whole.resolve_job_def("buckets").execute_in_process(
        instance=study.instance,
        partition_key=keys[0] if len(keys) == 1 else None,
        tags=tags,
        raise_on_error=False,
    )


def client(study: Study) -> REDCapClient:
    return REDCapClient(study.sandbox.url, study.token)


def ids(study: Study, table: str = "study_clean.visit") -> list[str]:
    return sorted(study.table(table)["record_id"].to_pylist(), key=int)


def of_bucket(key: str, count: int = 4) -> list[str]:
    every = pa.chunked_array([[row["record_id"] for row in RECORDS]])
    found: list[str] = every.filter(pc.equal(assign_buckets(every, count), key)).to_pylist()
    return found


EVERY = [row["record_id"] for row in RECORDS]


def test_a_bucket_is_exported_and_stored_by_itself(study: Study) -> None:
    assert run(study, ["2-of-4"]).success
    assert ids(study) == of_bucket("2-of-4")
    assert ids(study, "study_records._census") == of_bucket("2-of-4")
    sent = [request for request in study.sandbox.requests if request.content == "record"]
    assert len(sent) <= 3  # a census, without the access groups too, and an export
    assert set(study.table("study_clean.visit")["_bucket"].to_pylist()) == {"2-of-4"}


@pytest.mark.slow
def test_buckets_together_are_the_project_and_renumbering_leaves_no_duplicates(
    study: Study,
) -> None:
    policy = dg.BackfillPolicy.single_run()
    whole = study.definitions(project=PROJECT, cleaning=CleaningRules(infer_types=False))
    assert study.run(whole, select=TABLES).success
    expected = {
        table: study.table(table).sort_by("record_id")
        for table in ("study_clean.visit", "study_clean.drug", "study_records.drug")
    }
    for count in (4, 8):
        for key in bucket_keys(count):
            assert run(study, [key], definitions(study, count)).success
        assert ids(study) == EVERY
    some = definitions(study, 4, op=OpSettings(backfill_policy=policy))
    assert run(study, bucket_keys(4), some).success
    for table, before in expected.items():
        now = study.table(table).drop_columns("_bucket").sort_by("record_id")
        assert now.equals(before)
    assert study.run(whole, select=TABLES).success
    assert ids(study) == EVERY


def test_a_single_run_of_some_buckets_tells_of_each(study: Study) -> None:
    policy = dg.BackfillPolicy.single_run()
    some = bucket_keys(4)[1:3]
    study.sandbox.edit(study.token, record=of_bucket(some[0])[0], field="age", value="?")
    study.sandbox.edit(study.token, record=of_bucket(some[1])[0], field="age", value="old")
    result = run(study, some, definitions(study, op=OpSettings(backfill_policy=policy)))
    assert result.success
    made = {
        event.partition: [
            event.materialization.metadata[name].value
            for name in (
                "dagster/row_count",
                "redcap/missing_values",
                "redcap/replaced_values",
                "redcap/invalid_values",
            )
        ]
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["study", "clean", "visit"])
    }
    rows = {key: len(of_bucket(key)) for key in some}  # each without a note and a status
    assert made == {
        some[0]: [rows[some[0]], 2 * rows[some[0]] + 1, 1, 0],
        some[1]: [rows[some[1]], 2 * rows[some[1]] + 1, 0, 1],
    }
    again = run(
        study,
        some,
        definitions(study, op=OpSettings(backfill_policy=policy)),
        ["study/clean/visit"],
    )
    assert again.success  # from storage
    assert ids(study) == sorted([*of_bucket(some[0]), *of_bucket(some[1])], key=int)


@pytest.mark.slow
def test_records_that_are_deleted_or_renamed_go(study: Study) -> None:
    gone, renamed, *_ = of_bucket("1-of-4")
    for key in bucket_keys(4):
        assert run(study, [key]).success
    client(study).records.delete([gone])
    client(study).records.rename(renamed, "1000")
    for key in bucket_keys(4):
        assert run(study, [key]).success
    expected = sorted({*EVERY, "1000"} - {gone, renamed}, key=int)
    assert ids(study) == expected


@pytest.mark.parametrize("version", ["14.7.3", "17.4.1"])
def test_a_bucket_without_records_has_its_tables(tmp_path: Path, version: str) -> None:
    with studying(
        tmp_path, exports={"metadata": METADATA}, records=RECORDS[:1], version=version
    ) as study:
        filled = assign_buckets(pa.chunked_array([["1"]]), 4)[0].as_py()
        (empty, *_) = [key for key in bucket_keys(4) if key != filled]
        assert run(study, [empty]).success
        table = study.table("study_clean.visit")
        assert table.num_rows == 0
        assert table.schema.field("age").type == pa.int64()
        assert run(study, [filled]).success
        assert ids(study) == ["1"]


def test_metadata_are_not_partitioned_and_what_is_downstream_sees_one_table(study: Study) -> None:
    @dg.asset(
        ins={"visit": dg.AssetIn(["study", "clean", "visit"])},
        io_manager_key="study__io_manager",
    )
    def report(visit: pa.Table) -> pa.Table:
        return pa.table({"rows": [len(visit)]})

    for key in bucket_keys(4):
        assert run(study, [key]).success
    defs = dg.Definitions.merge(definitions(study), dg.Definitions(assets=[report]))
    assert study.run(defs, select=["report", "study/metadata/fields"]).success
    assert study.table("main.report")["rows"].to_pylist() == [40]


CHECK = dg.AssetCheckKey(dg.AssetKey(["study", "clean", "visit"]), "values_fit_types")


def verdict(study: Study) -> dg.AssetCheckEvaluation:
    storage = study.instance.event_log_storage
    event = storage.get_latest_asset_check_execution_by_key([CHECK])[CHECK].event
    assert event is not None
    found = event.asset_check_evaluation
    assert found is not None
    return found


@pytest.mark.slow
def test_a_failure_in_one_bucket_is_not_hidden_by_another(study: Study) -> None:
    bad = of_bucket("3-of-4")[0]
    study.sandbox.edit(study.token, record=bad, field="age", value="old")
    for key in bucket_keys(4):
        assert run(study, [key]).success
    found = verdict(study)
    assert not found.passed
    assert found.metadata["redcap/failed_buckets"].value == ["3-of-4"]
    assert "3-of-4" in (found.description or "")
    study.sandbox.edit(study.token, record=bad, field="age", value="30")
    run(study, ["1-of-4"])
    assert not verdict(study).passed
    run(study, ["3-of-4"])
    assert verdict(study).passed
    assert "redcap/failed_buckets" not in verdict(study).metadata


def spoil(study: Study, bucket: str, value: str) -> None:
    record = of_bucket(bucket)[0]
    study.sandbox.edit(study.token, record=record, field="age", value=value)


@pytest.mark.slow
def test_checks_alone_judge_all_buckets(study: Study) -> None:
    defs = definitions(study)
    of_records = ("keys_unique", "rows_not_dropping", "export_complete", "nothing_hidden")
    checks = [
        *(("study/records/visit", name) for name in of_records),
        ("study/clean/visit", "values_fit_types"),
        ("study/metadata/fields", "dictionary_drift"),
    ]
    for key in bucket_keys(4)[:3]:
        assert run(study, [key]).success
    found = check_results(study.check(defs, checks))
    assert found.keys() == set(checks)
    text = "Not evaluated: its records (study/records/visit, bucket 4-of-4) could not be loaded"
    assert text in found["study/clean/visit", "values_fit_types"].description
    assert found["study/records/visit", "export_complete"].passed
    assert run(study, ["4-of-4"]).success
    assert run(study, ["4-of-4"]).success
    result = study.check(defs, checks)
    assert result.success
    assert all(one.passed for one in check_results(result).values())
    spoil(study, "2-of-4", "old")
    assert run(study, ["2-of-4"], select=["study/records/visit"]).success
    assert not check_results(study.check(defs, checks))["study/clean/visit", CHECK.name].passed
    spoil(study, "2-of-4", "30")
    assert run(study, ["2-of-4"]).success
    assert "(Judged together with 3 other buckets.)" in (verdict(study).description or "")
    assert check_results(study.check(defs, checks))["study/clean/visit", CHECK.name].passed


@pytest.mark.slow
def test_a_check_that_a_run_leaves_out_stays_failed_in_its_bucket(study: Study) -> None:
    spoil(study, "3-of-4", "old")
    for key in bucket_keys(4):
        assert run(study, [key]).success
    select = dg.AssetSelection.assets("study/records/visit", "study/clean/visit")
    other = dg.AssetSelection.checks(CHECK._replace(name="required_filled"))
    job = dg.define_asset_job("some", select.without_checks() | other)
    whole = dg.Definitions.merge(definitions(study), dg.Definitions(jobs=[job]))
    result = whole.resolve_job_def("some").execute_in_process(
        instance=study.instance, partition_key="3-of-4"
    )
    assert check_results(result).keys() == {("study/clean/visit", "required_filled")}
    # Anybody may observe a bucket, which says nothing of its checks.
    seen = dg.AssetObservation(CHECK.asset_key, partition="3-of-4", metadata={"seen": True})
    study.instance.report_runless_asset_event(seen)
    assert run(study, ["1-of-4"]).success
    assert not verdict(study).passed
    spoil(study, "3-of-4", "30")
    assert run(study, ["3-of-4"]).success
    assert verdict(study).passed


def test_what_another_run_notes_meanwhile_counts_where_a_form_fails_too(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = definitions(study)
    write = DuckDBTableIOManager.write_partitions
    failed = {"values_fit_types": ["WARN", "Invalid values: age (1)."]}

    def meanwhile(self: Any, place: TablePlace, parts: Any) -> None:
        write(self, place, parts)
        if place.table == "visit" and place.schema == "study_clean":
            study.instance.report_runless_asset_event(
                dg.AssetObservation(
                    CHECK.asset_key, partition="4-of-4", metadata={"redcap/failed_checks": failed}
                )
            )

    monkeypatch.setattr(DuckDBTableIOManager, "write_partitions", meanwhile)
    token = study.sandbox.add_project(
        exports={"metadata": METADATA[:3]},
        records=[{"record_id": row["record_id"], "age": row["age"]} for row in RECORDS],
    )
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    result = run(study, ["1-of-4"], defs)
    assert not result.success
    assert not verdict(study).passed
    assert "4-of-4" in (verdict(study).description or "")


def test_parquet_in_buckets(study: Study, tmp_path: Path) -> None:
    io_manager = ParquetTableIOManager(base_path=str(tmp_path / "tables"))
    for key in bucket_keys(4):
        assert run(study, [key], definitions(study, storage=io_manager)).success
    files = sorted(path.name for path in (tmp_path / "tables/study_clean/visit").glob("*.parquet"))
    assert files == [f"{key}.parquet" for key in bucket_keys(4)]


def requested(study: Study, defs: dg.Definitions) -> Sequence[dg.RunRequest]:
    """Evaluate a tick of the project's schedule."""
    schedule = defs.resolve_schedule_def("study__schedule")
    tick = dg.build_schedule_context(
        study.instance,
        datetime(2026, 7, 1, 3, tzinfo=UTC),
        repository_def=defs.get_repository_def(),
    )
    return schedule.evaluate_tick(tick).run_requests or []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "buckets_of_runs"),
    [
        (None, [1, 1, 1, 1]),
        (dg.BackfillPolicy.multi_run(3), [3, 1]),
        (dg.BackfillPolicy.single_run(), [4]),
    ],
)
def test_a_tick_of_the_schedule_makes_all_tables_in_all_buckets(
    study: Study, policy: dg.BackfillPolicy | None, buckets_of_runs: list[int]
) -> None:
    defs = definitions(
        study, schedule=ScheduleSettings("0 3 * * *"), op=OpSettings(backfill_policy=policy)
    )
    job = defs.resolve_job_def("study__all_tables")
    metadata, *runs = [
        [
            (event.materialization.asset_key.to_user_string(), event.partition)
            for event in job.execute_in_process(
                instance=study.instance,
                asset_selection=request.asset_selection,
                partition_key=request.partition_key,
                tags=dict(request.tags),
            ).get_asset_materialization_events()
        ]
        for request in requested(study, defs)
    ]
    every = {key.to_user_string() for key in defs.resolve_all_asset_keys()}
    assert sorted(metadata) == sorted((key, None) for key in every - {*TABLES})
    assert [len(run) for run in runs] == [count * len(TABLES) for count in buckets_of_runs]
    assert sorted(chain(*runs)) == sorted(product(TABLES, bucket_keys(4)))
    assert ids(study) == EVERY
