"""No asset gets or replaces the table of another, though their keys give one name."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from redcap_dagster.io_managers import DuckDBTableIOManager, TableIOManager, TablePlace

ONE, OTHER = (TablePlace(dg.AssetKey(path)) for path in (["a", "b", "x"], ["a_b", "x"]))
OLD, NEW = (pa.table({"a": [number]}) for number in (1, 2))
WRITES: list[Callable[[TableIOManager, TablePlace, pa.Table], None]] = [
    lambda io_manager, place, table: io_manager.write_table(place, table),
    lambda io_manager, place, table: io_manager.write_partitions(place, {"1-of-2": table}),
    lambda io_manager, place, table: io_manager.write_partitions(place, {"2-of-2": table}),
]


@pytest.mark.parametrize("replace", WRITES, ids=["whole", "bucket", "other bucket"])
@pytest.mark.parametrize("write", WRITES[:2], ids=["whole", "bucket"])
def test_a_table_belongs_to_one_asset(
    io_manager: TableIOManager,
    write: Callable[[TableIOManager, TablePlace, pa.Table], None],
    replace: Callable[[TableIOManager, TablePlace, pa.Table], None],
) -> None:
    assert str(ONE) == str(OTHER)
    write(io_manager, ONE, OLD)
    with pytest.raises(ValueError, match=r"a_b\.x already belongs to asset a/b/x; asset a_b/x"):
        replace(io_manager, OTHER, NEW)
    with pytest.raises(ValueError, match="another key"):
        io_manager.read_table(OTHER, None)
    stored = io_manager.read_table(ONE, None)
    assert stored.to_pylist() == [{"a": 1}]
    assert stored.schema.metadata is None
    replace(io_manager, ONE, NEW)
    write(io_manager, ONE, NEW)


def test_what_duckdb_takes_for_the_same_name_is(io_manager: TableIOManager) -> None:
    io_manager.write_table(ONE, OLD)
    upper = TablePlace(dg.AssetKey(["a", "B", "X"]))
    if isinstance(io_manager, DuckDBTableIOManager):
        with pytest.raises(ValueError, match="a/b/x"):
            io_manager.write_table(upper, NEW)
    else:
        io_manager.write_table(upper, NEW)
    assert io_manager.read_table(ONE, None).to_pylist() == [{"a": 1}]


@pytest.mark.parametrize(
    "foreign",
    [
        "create table a_b.x as select 'mine' as a",
        "create table A_B.X as select 'mine' as a",
        "create view a_b.x as select 'mine' as a",
    ],
)
def test_a_table_that_no_asset_made_is_not_replaced(foreign: str, tmp_path: Path) -> None:
    io_manager = DuckDBTableIOManager(database=str(tmp_path / "stored.duckdb"))
    with duckdb.connect(io_manager.database) as connection:
        connection.execute("create schema a_b")
        connection.execute(foreign)
    for write in WRITES:
        with pytest.raises(ValueError, match="no Dagster asset made"):
            write(io_manager, ONE, OLD)
    with duckdb.connect(io_manager.database) as connection:
        assert connection.sql("from a_b.x").fetchall() == [("mine",)]
