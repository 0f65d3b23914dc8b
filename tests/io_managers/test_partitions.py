"""A table in partitions stays one table while its columns change."""

import datetime
import io

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from redcap_dagster.io_managers import DuckDBTableIOManager, TableIOManager
from redcap_dagster.io_managers.schema_evolution import concatenate, find_common_type
from redcap_dagster.partitions import bucket_keys
from tests.io_managers.conftest import VISIT

DAY = datetime.date(2020, 1, 31)
MIDNIGHT = datetime.datetime(2020, 1, 31)  # noqa: DTZ001
SUMMER = datetime.datetime(2020, 7, 31, 12, tzinfo=datetime.UTC)
NOON = datetime.datetime(2020, 1, 31, 12)  # noqa: DTZ001


def test_a_partition_is_replaced_and_the_others_stay(io_manager: TableIOManager) -> None:
    io_manager.write_partitions(VISIT, {"it's one": pa.table({"a": [1, 2], "b": ["x", "y"]})})
    io_manager.write_partitions(VISIT, {"../two": pa.table({"a": [3], "b": ["z"]})})
    # Columns in another order: they go by name.
    io_manager.write_partitions(VISIT, {"it's one": pa.table({"b": ["q"], "a": [4]})})
    assert io_manager.read_table(VISIT, ["../two", "it's one"]).to_pylist() == [
        {"a": 3, "b": "z"},
        {"a": 4, "b": "q"},
    ]
    assert io_manager.read_table(VISIT, ["../two"]).to_pylist() == [{"a": 3, "b": "z"}]
    assert sorted(io_manager.read_table(VISIT, None)["a"].to_pylist()) == [3, 4]


def test_a_partition_without_rows_was_written(io_manager: TableIOManager) -> None:
    io_manager.write_partitions(VISIT, {"none": pa.table({"a": pa.array([], pa.int64())})})
    io_manager.write_partitions(VISIT, {"one": pa.table({"a": [1]})})
    assert io_manager.read_table(VISIT, ["none"]).schema == pa.schema({"a": pa.int64()})
    assert io_manager.read_table(VISIT, ["none", "one"]).to_pylist() == [{"a": 1}]


def test_columns_come_and_go(io_manager: TableIOManager) -> None:
    io_manager.write_partitions(VISIT, {"one": pa.table({"a": [1], "gone": ["x"]})})
    io_manager.write_partitions(VISIT, {"two": pa.table({"select": ["y"], "a": [2]})})
    assert io_manager.read_table(VISIT, ["one", "two"]).to_pylist() == [
        {"a": 1, "gone": "x", "select": None},
        {"a": 2, "gone": None, "select": "y"},
    ]


def test_a_column_of_only_nulls_takes_the_type_of_the_others(io_manager: TableIOManager) -> None:
    io_manager.write_partitions(VISIT, {"one": pa.table({"a": [1]})})
    io_manager.write_partitions(VISIT, {"two": pa.table({"a": pa.nulls(1)})})
    stored = io_manager.read_table(VISIT, ["one", "two"])
    assert stored.schema == pa.schema({"a": pa.int64()})
    assert stored["a"].to_pylist() == [1, None]


@pytest.mark.parametrize(
    ("one", "two", "kind", "values"),
    [
        (pa.array([1]), pa.array([2.75]), pa.float64(), [1.0, 2.75]),
        (pa.array([2.75]), pa.array([1]), pa.float64(), [2.75, 1.0]),
        (pa.array([1]), pa.array(["x"]), pa.string(), ["1", "x"]),
        (pa.array([2.5]), pa.array(["x"]), pa.string(), ["2.5", "x"]),
        (pa.array([True]), pa.array([2]), pa.string(), ["true", "2"]),
        (
            pa.array([DAY]),
            pa.array([NOON]),
            pa.timestamp("us"),
            [MIDNIGHT, NOON],
        ),
        (pa.array([DAY]), pa.array(["soon"]), pa.string(), ["2020-01-31", "soon"]),
        (pa.array([1], pa.int32()), pa.array([2**40]), pa.int64(), [1, 2**40]),
        (
            pa.array([SUMMER], pa.timestamp("us", "Europe/London")),
            pa.array([SUMMER], pa.timestamp("us", "UTC")),
            pa.timestamp("us", "UTC"),
            [SUMMER, SUMMER],
        ),
        (pa.array(["x"]), pa.array(["y"], pa.large_string()), pa.string(), ["x", "y"]),
        (pa.array(["x"]), pa.array(["y"]).dictionary_encode(), pa.string(), ["x", "y"]),
    ],
)
def test_a_differing_type_widens_the_column(
    io_manager: TableIOManager,
    one: pa.Array,
    two: pa.Array,
    kind: pa.DataType,
    values: list[object],
) -> None:
    io_manager.write_partitions(VISIT, {"one": pa.table({"keep": ["k"], "a": one})})
    io_manager.write_partitions(VISIT, {"two": pa.table({"a": two, "new": [1]})})
    stored = io_manager.read_table(VISIT, ["one", "two"])
    assert stored.schema == pa.schema({"keep": pa.string(), "a": kind, "new": pa.int64()})
    assert stored["a"].to_pylist() == values
    assert stored["keep"].to_pylist() == ["k", None]


def test_a_digit_is_never_lost(io_manager: TableIOManager) -> None:
    exact = 2**53 + 1  # the first integer that no double is equal to
    io_manager.write_partitions(VISIT, {"one": pa.table({"ok": [1], "count": [exact]})})
    with pytest.raises(ValueError, match="'count'") as caught:  # noqa: PT012 - one of the two
        io_manager.write_partitions(VISIT, {"two": pa.table({"ok": [1], "count": [0.5]})})
        io_manager.read_table(VISIT, ["one", "two"])
    assert str(exact) not in str(caught.value)
    assert caught.value.__suppress_context__
    assert io_manager.read_table(VISIT, ["one"])["count"].to_pylist() == [exact]


def test_a_column_new_by_case_only_is_refused_by_duckdb(io_manager: TableIOManager) -> None:
    io_manager.write_partitions(VISIT, {"one": pa.table({"age": [1]})})
    if isinstance(io_manager, DuckDBTableIOManager):
        with pytest.raises(ValueError, match="AGE"):
            io_manager.write_partitions(VISIT, {"two": pa.table({"AGE": ["x"]})})
        assert io_manager.read_table(VISIT, None).to_pylist() == [{"age": 1}]


def test_nothing_stale_is_left_when_partitions_come_and_go(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"a": ["stale"]}))
    io_manager.write_partitions(VISIT, {"one": pa.table({"a": ["one"]})})
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == ["one"]
    io_manager.write_table(VISIT, pa.table({"a": ["whole"]}))
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == ["whole"]
    with pytest.raises(LookupError):
        io_manager.read_table(VISIT, ["one"])


def test_buckets_of_another_number_go(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"a": ["whole"]}))
    two = {key: pa.table({"a": [key]}) for key in bucket_keys(2)}
    four = {key: pa.table({"a": [key]}) for key in bucket_keys(4)}
    for parts in (two, four, two):
        for key, part in parts.items():  # one by one, as runs do
            io_manager.write_partitions(VISIT, {key: part})
        assert io_manager.read_table(VISIT, None)["a"].to_pylist() == list(parts)
    with pytest.raises(LookupError):
        io_manager.read_table(VISIT, ["1-of-4"])
    io_manager.write_partitions(VISIT, {"day": pa.table({"a": ["day"]})})
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == ["day"]
    io_manager.write_partitions(VISIT, four)
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == list(four)


def test_the_key_is_kept_beside_each_row(io_manager: TableIOManager) -> None:
    io_manager.write_partitions(VISIT, {"1-of-2": pa.table({"a": [1]})})
    io_manager.write_partitions(VISIT, {"2-of-2": pa.table({"a": [2, 3]})})
    if isinstance(io_manager, DuckDBTableIOManager):
        with duckdb.connect(io_manager.database) as connection:
            rows = connection.sql("from trial_clean.trial_clean.visit").fetchall()
    else:
        folder = UPath(io_manager.get_table_name(VISIT).removesuffix(".parquet"))
        files = sorted(folder.glob("*.parquet"), key=str)
        tables = [pq.read_table(io.BytesIO(file.read_bytes())) for file in files]
        rows = [tuple(row.values()) for table in tables for row in table.to_pylist()]
    assert rows == [(1, "1-of-2"), (2, "2-of-2"), (3, "2-of-2")]
    assert io_manager.read_table(VISIT, None).column_names == ["a"]


def test_partitions_that_are_all_written_at_once_drop_old_columns(
    io_manager: TableIOManager,
) -> None:
    io_manager.write_partitions(VISIT, {key: pa.table({"a": ["x"]}) for key in bucket_keys(2)})
    io_manager.write_partitions(VISIT, {key: pa.table({"b": [1]}) for key in bucket_keys(2)})
    assert io_manager.read_table(VISIT, None).to_pylist() == [{"b": 1}, {"b": 1}]


KINDS = [
    pa.null(),
    pa.bool_(),
    pa.int64(),
    pa.float64(),
    pa.string(),
    pa.date32(),
    pa.timestamp("us"),
    pa.timestamp("ns", "UTC"),
    pa.timestamp("us", "Europe/London"),
    pa.time64("us"),
    pa.dictionary(pa.int32(), pa.string()),
]


@pytest.mark.parametrize("one", KINDS, ids=str)
@pytest.mark.parametrize("other", KINDS, ids=str)
def test_widening_does_not_depend_on_which_came_first(one: pa.DataType, other: pa.DataType) -> None:
    assert find_common_type(one, other) == find_common_type(other, one)
    empty = [pa.table({"a": pa.array([], kind)}) for kind in (one, other)]
    assert concatenate(empty).schema.field("a").type == find_common_type(one, other)
