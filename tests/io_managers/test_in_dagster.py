"""The IO managers in runs of Dagster."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redcap_dagster.io_managers import (
    DuckDBTableIOManager,
    ParquetTableIOManager,
    TableIOManager,
    TablePlace,
)

VISIT = dg.AssetKey(["trial", "clean", "visit"])
BLOOD = dg.AssetKey(["trial", "clean", "blood"])
SCHEMA = dg.TableSchema(
    [dg.TableColumn("age", "int", "Age at 'visit'"), dg.TableColumn("x", "int")]
)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(VISIT).with_io_manager_key("trial__io_manager"),
        dg.AssetSpec(BLOOD, metadata={"dagster/column_schema": SCHEMA}).with_io_manager_key(
            "trial__io_manager"
        ),
    ],
    can_subset=True,
)
def tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[pd.DataFrame]]:
    frame = pd.DataFrame({"age": [40, None], "x": [1, 2]}).astype("int64[pyarrow]")
    for key in context.selected_asset_keys:
        metadata = {"dagster/column_schema": SCHEMA} if key == VISIT else {}
        yield dg.MaterializeResult(asset_key=key, value=frame, metadata=metadata)


@dg.asset(io_manager_key="trial__io_manager", ins={"visit": dg.AssetIn(VISIT)})
def mean(visit: pd.DataFrame) -> pd.DataFrame:
    assert str(visit.dtypes["age"]) == "Int64"
    return pd.DataFrame({"mean": [visit["age"].mean()]})


@dg.asset(io_manager_key="trial__io_manager", ins={"visit": dg.AssetIn(VISIT)})
def count(context: dg.AssetExecutionContext, visit: pa.Table) -> pa.Table:
    frame = context.load_asset_value(VISIT)  # as an op does for what was not selected
    return pa.table({"rows": [len(visit)], "again": [len(frame)]})


def run(
    io_manager: TableIOManager,
    *assets: dg.AssetsDefinition,
    select: list[dg.AssetsDefinition] | None = None,
    partition: str | None = None,
    instance: dg.DagsterInstance | None = None,
    succeeds: bool = True,
) -> dg.ExecuteInProcessResult:
    result = dg.materialize(
        assets,
        selection=select,
        resources={"trial__io_manager": io_manager, "io_manager": io_manager},
        partition_key=partition,
        instance=instance,
        raise_on_error=succeeds,
    )
    assert result.success == succeeds
    return result


def test_tables_go_from_asset_to_asset(io_manager: TableIOManager) -> None:
    run(io_manager, tables, mean, count)
    assert io_manager.read_table(TablePlace(dg.AssetKey("mean")), None).to_pylist() == [
        {"mean": 40.0}
    ]
    # And from storage, when only what is downstream is selected.
    run(io_manager, tables, mean, count, select=[count])
    stored = io_manager.read_table(TablePlace(dg.AssetKey("count")), None)
    assert stored.to_pylist() == [{"rows": 2, "again": 2}]


def test_the_name_of_the_table_is_in_the_metadata(io_manager: TableIOManager) -> None:
    @dg.asset(io_manager_key="trial__io_manager", metadata={"dagster/table_name": "spec"})
    def by_spec() -> pd.DataFrame:
        return pd.DataFrame({"a": [1]})

    @dg.asset(io_manager_key="trial__io_manager")
    def by_result() -> dg.MaterializeResult[pd.DataFrame]:
        return dg.MaterializeResult(
            value=pd.DataFrame({"a": [1]}), metadata={"dagster/table_name": "result"}
        )

    result = run(io_manager, tables, by_spec, by_result)
    names = {
        event.asset_key: event.materialization.metadata.get("dagster/table_name")
        for event in result.get_asset_materialization_events()
    }
    place = TablePlace(VISIT)
    assert names[VISIT] == dg.TextMetadataValue(io_manager.get_table_name(place))
    assert names[dg.AssetKey("by_result")] == dg.TextMetadataValue("result")
    assert names[dg.AssetKey("by_spec")] is None


@pytest.mark.parametrize("name", ["visit", "blood"])
def test_descriptions_of_columns_are_kept(io_manager: TableIOManager, name: str) -> None:
    run(io_manager, tables)
    if isinstance(io_manager, DuckDBTableIOManager):
        with duckdb.connect(io_manager.database) as connection:
            comments = dict(
                connection.execute(
                    "select column_name, comment from duckdb_columns() where table_name = ?", [name]
                ).fetchall()
            )
    elif "://" not in (
        path := io_manager.get_table_name(TablePlace(dg.AssetKey(["trial", "clean", name])))
    ):
        fields = pq.read_schema(path)
        comments = {
            field.name: (field.metadata or {}).get(b"description", b"").decode() or None
            for field in fields
        }
    else:
        return
    assert comments == {"age": "Age at 'visit'", "x": None}


days = dg.StaticPartitionsDefinition(["mon", "tue"])


@dg.asset(partitions_def=days, io_manager_key="trial__io_manager")
def daily(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"day": [context.partition_key]})


@dg.asset(partitions_def=days, io_manager_key="trial__io_manager")
def same_day(daily: pd.DataFrame) -> pd.DataFrame:
    return daily.assign(seen=True)


@dg.asset(io_manager_key="trial__io_manager")
def week(daily: pd.DataFrame) -> pd.DataFrame:
    return daily


def test_partitions_are_one_table(io_manager: TableIOManager) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for day in ("tue", "mon", "tue"):
            run(io_manager, daily, same_day, partition=day, instance=instance)
        run(io_manager, daily, week, select=[week], instance=instance)
    assert io_manager.read_table(TablePlace(dg.AssetKey("week")), None).to_pylist() == [
        {"day": "mon"},
        {"day": "tue"},
    ]
    seen = io_manager.read_table(TablePlace(dg.AssetKey("same_day")), ["tue"])
    assert seen.to_pylist() == [{"day": "tue", "seen": True}]


def test_a_partition_that_is_missing_fails_the_run(io_manager: TableIOManager) -> None:
    run(io_manager, daily, partition="mon")
    result = run(io_manager, daily, week, select=[week], succeeds=False)
    told = str(result.failure_data_for_node("week"))
    assert "main.daily" in told
    assert "Materialize" in told


def test_an_asset_that_depends_on_its_own_past_can_begin(io_manager: TableIOManager) -> None:
    partitions = dg.DailyPartitionsDefinition("2020-01-01")
    past = dg.AssetIn(
        "total", partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    )

    @dg.asset(partitions_def=partitions, ins={"past": past}, io_manager_key="trial__io_manager")
    def total(past: object) -> pd.DataFrame:
        return pd.DataFrame({"sum": [1 if past is None else past["sum"].sum() + 1]})  # type: ignore[index]

    for day in ("2020-01-01", "2020-01-02"):
        run(io_manager, total, partition=day)
    assert (
        io_manager.read_table(TablePlace(dg.AssetKey("total")), ["2020-01-02"])["sum"][0].as_py()
        == 2
    )


def test_an_asset_that_stores_nothing_says_so(io_manager: TableIOManager) -> None:
    @dg.asset
    def annotated() -> None: ...

    @dg.asset
    def without_value() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    run(io_manager, annotated, without_value)

    @dg.asset
    def silent():  # type: ignore[no-untyped-def]
        return None

    result = run(io_manager, silent, succeeds=False)
    assert "-> None" in str(result.failure_data_for_node("silent"))


@pytest.mark.parametrize(("home", "warnings"), [(".tmp_dagster_home_x", 1), ("home", 0)])
def test_a_temporary_instance_that_holds_the_tables_is_said_to_be(
    tmp_path: Path, home: str, warnings: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / home).mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / home)) as instance:
        run(ParquetTableIOManager(), tables, instance=instance)
    assert capsys.readouterr().err.count("tables are deleted when the command ends") == warnings


def test_no_value_is_in_the_event_log(io_manager: TableIOManager) -> None:
    @dg.asset(io_manager_key="trial__io_manager")
    def mixed() -> pd.DataFrame:
        return pd.DataFrame({"weight": ["canary-4711", 7]}, dtype=object)

    with dg.DagsterInstance.ephemeral() as instance:
        result = run(io_manager, mixed, instance=instance, succeeds=False)
        log = "".join(map(dg.serialize_value, instance.all_logs(result.run_id)))
    assert "weight" in log
    assert "canary-4711" not in log


def run_both_days(io_manager: TableIOManager, frame: pd.DataFrame) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [
            dg.asset(
                name="daily",
                partitions_def=days,
                backfill_policy=dg.BackfillPolicy.single_run(),
                io_manager_key="trial__io_manager",
            )(lambda: frame)
        ],
        resources={"trial__io_manager": io_manager},
        tags={
            "dagster/asset_partition_range_start": "mon",
            "dagster/asset_partition_range_end": "tue",
        },
        raise_on_error=False,
    )


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_one_frame_for_several_partitions_is_cut_by_its_column(io_manager: TableIOManager) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "_bucket": ["tue", "mon", "tue"]})
    assert run_both_days(io_manager, frame).success
    place = TablePlace(dg.AssetKey("daily"))
    assert io_manager.read_table(place, ["mon"]).to_pylist() == [{"a": 2}]
    assert io_manager.read_table(place, ["tue"]).to_pylist() == [{"a": 1}, {"a": 3}]


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pd.DataFrame({"a": [1]}), "2 partitions.*_bucket"),
        (pd.DataFrame({"a": [1, 2], "_bucket": ["mon", "canary-4711"]}), "1 of 2 rows"),
        (pd.DataFrame({"a": [1, 2], "_bucket": ["mon", None]}), "1 of 2 rows"),
    ],
)
def test_one_frame_for_several_partitions_that_cannot_be_cut_is_refused(
    io_manager: TableIOManager, frame: pd.DataFrame, says: str
) -> None:
    told = str(run_both_days(io_manager, frame).failure_data_for_node("daily"))
    assert re.search(says, told)
    assert "canary-4711" not in told


def test_secrets_of_the_environment_reach_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLES", "memory://from-the-environment")

    @dg.asset
    def stored() -> pd.DataFrame:
        return pd.DataFrame({"a": [1]})

    io_manager = ParquetTableIOManager(base_path=dg.EnvVar("TABLES"))
    assert run(io_manager, stored).success
