"""A table in partitions stays one table while its columns change."""

import datetime

import pyarrow as pa
import pytest

from redcap_dagster.io_managers import DuckDBTableIOManager, TableIOManager
from redcap_dagster.io_managers.widening import concatenate, widen_type
from tests.io_managers.conftest import VISIT

DAY = datetime.date(2020, 1, 31)
MIDNIGHT = datetime.datetime(2020, 1, 31)  # noqa: DTZ001
SUMMER = datetime.datetime(2020, 7, 31, 12, tzinfo=datetime.UTC)
NOON = datetime.datetime(2020, 1, 31, 12)  # noqa: DTZ001


def test_a_partition_is_replaced_and_the_others_stay(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"a": [1, 2], "b": ["x", "y"]}), "it's one")
    io_manager.write_table(VISIT, pa.table({"a": [3], "b": ["z"]}), "../two")
    # Columns in another order: they go by name.
    io_manager.write_table(VISIT, pa.table({"b": ["q"], "a": [4]}), "it's one")
    assert io_manager.read_table(VISIT, ["../two", "it's one"]).to_pylist() == [
        {"a": 3, "b": "z"},
        {"a": 4, "b": "q"},
    ]
    assert io_manager.read_table(VISIT, ["../two"]).to_pylist() == [{"a": 3, "b": "z"}]
    assert sorted(io_manager.read_table(VISIT, None)["a"].to_pylist()) == [3, 4]


def test_a_partition_without_rows_was_written(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"a": pa.array([], pa.int64())}), "none")
    io_manager.write_table(VISIT, pa.table({"a": [1]}), "one")
    assert io_manager.read_table(VISIT, ["none"]).schema == pa.schema({"a": pa.int64()})
    assert io_manager.read_table(VISIT, ["none", "one"]).to_pylist() == [{"a": 1}]


def test_columns_come_and_go(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"a": [1], "gone": ["x"]}), "one")
    io_manager.write_table(VISIT, pa.table({"select": ["y"], "a": [2]}), "two")
    assert io_manager.read_table(VISIT, ["one", "two"]).to_pylist() == [
        {"a": 1, "gone": "x", "select": None},
        {"a": 2, "gone": None, "select": "y"},
    ]


def test_a_column_of_only_nulls_takes_the_type_of_the_others(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"a": [1]}), "one")
    io_manager.write_table(VISIT, pa.table({"a": pa.nulls(1)}), "two")
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
    io_manager.write_table(VISIT, pa.table({"keep": ["k"], "a": one}), "one")
    io_manager.write_table(VISIT, pa.table({"a": two, "new": [1]}), "two")
    stored = io_manager.read_table(VISIT, ["one", "two"])
    assert stored.schema == pa.schema({"keep": pa.string(), "a": kind, "new": pa.int64()})
    assert stored["a"].to_pylist() == values
    assert stored["keep"].to_pylist() == ["k", None]


def test_a_digit_is_never_lost(io_manager: TableIOManager) -> None:
    exact = 2**53 + 1  # the first integer that no double is equal to
    io_manager.write_table(VISIT, pa.table({"ok": [1], "count": [exact]}), "one")
    with pytest.raises(ValueError, match="'count'") as caught:  # noqa: PT012 - one of the two
        io_manager.write_table(VISIT, pa.table({"ok": [1], "count": [0.5]}), "two")
        io_manager.read_table(VISIT, ["one", "two"])
    assert str(exact) not in str(caught.value)
    assert caught.value.__suppress_context__
    assert io_manager.read_table(VISIT, ["one"])["count"].to_pylist() == [exact]


def test_a_column_new_by_case_only_is_refused_by_duckdb(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"age": [1]}), "one")
    if isinstance(io_manager, DuckDBTableIOManager):
        with pytest.raises(ValueError, match="AGE"):
            io_manager.write_table(VISIT, pa.table({"AGE": ["x"]}), "two")
        assert io_manager.read_table(VISIT, None).to_pylist() == [{"age": 1}]


def test_nothing_stale_is_left_when_partitions_come_and_go(io_manager: TableIOManager) -> None:
    io_manager.write_table(VISIT, pa.table({"a": ["stale"]}), None)
    io_manager.write_table(VISIT, pa.table({"a": ["one"]}), "one")
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == ["one"]
    io_manager.write_table(VISIT, pa.table({"a": ["whole"]}), None)
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == ["whole"]
    with pytest.raises(LookupError):
        io_manager.read_table(VISIT, ["one"])


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
    assert widen_type(one, other) == widen_type(other, one)
    empty = [pa.table({"a": pa.array([], kind)}) for kind in (one, other)]
    assert concatenate(empty).schema.field("a").type == widen_type(one, other)
