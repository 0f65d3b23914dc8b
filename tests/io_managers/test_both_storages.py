"""DuckDB and Parquet give the same tables, byte by byte as Arrow, and those that were written."""

import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager, TableIOManager
from redcap_dagster.io_managers.duckdb_connection import ROW_GROUP_SIZE
from tests.io_managers.conftest import VISIT
from tests.io_managers.test_frames import tables, without_dictionaries

NOON = datetime.time(12)
DAYS = (datetime.date.min, datetime.date.max, datetime.date(1969, 12, 31))
MOMENTS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The first and the last microsecond of a datetime in Python."""

AWKWARD = pa.table(
    {
        "text": ["", " ", "NA", 'said "no",\n', "ﬁ😀", None],
        "code": ["007", "1e5", "-0", "1970-01-01", "true", None],
        "blank": pa.nulls(6, pa.string()),
        "integer": [0, -(2**63), 2**63 - 1, 1, None, -1],
        "number": [0.1, -0.0, 5e-324, 1.7976931348623157e308, None, -0.1],
        "boolean": [True, False, None, True, False, None],
        "date": [*DAYS, None, datetime.date(2024, 2, 29), datetime.date(1582, 10, 10)],
        "moment": pa.array([*MOMENTS, None] * 2, pa.timestamp("us")),
        "time": [datetime.time.min, datetime.time.max, None, NOON, NOON, None],
        "texts": [["a,b", "", None], [], None, ["x"], ["ü"], [None]],
        "numbers": [[1, None], [], None, [2**63 - 1], [0], [None]],
        "choice": pa.array(["No, never", "", None, "Ü", "Ü", ""]).dictionary_encode(),
        "unused": pa.DictionaryArray.from_arrays([1, 1, None, 2, 1, 1], ["none", "b", "", "last"]),
    }
)
LONG = pa.concat_tables([AWKWARD.select(["text", "date", "choice"])] * (ROW_GROUP_SIZE // 6 + 1))
SHAPES = {
    "whole": AWKWARD,
    "empty": AWKWARD.slice(0, 0),
    "pieces": pa.concat_tables([AWKWARD.slice(4), AWKWARD.slice(0, 0), AWKWARD.slice(1, 3)]),
    "one row of nulls": pa.table({f.name: pa.nulls(1, f.type) for f in AWKWARD.schema}),
    "two row groups": LONG,
    "two dictionaries": pa.concat_tables(
        [AWKWARD, AWKWARD.set_column(11, "choice", pa.array(["z"] * 6).dictionary_encode())]
    ),
}


def make_storages(base: Path) -> list[TableIOManager]:
    """Return both ways of storing tables."""
    return [
        DuckDBTableIOManager(database=str(base / "stored.duckdb")),
        ParquetTableIOManager(base_path=str(base)),
    ]


def write_bytes(table: pa.Table) -> bytes:
    """Return a table as a stream of Arrow, in one piece; what is under its nulls is zero."""
    columns = [pa.array(column.to_pylist(), column.type) for column in table.columns]
    # Both name the values of lists in their own way.
    named = pa.table(dict(zip(table.column_names, columns, strict=True)))
    named = named.cast(pa.schema([(f.name, _name_values(f.type)) for f in named.schema]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, named.schema) as stream:
        stream.write_table(named)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _name_values(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind.value_type) if pa.types.is_list(kind) else kind


@pytest.mark.parametrize("shape", SHAPES)
def test_awkward_values_come_back(tmp_path: Path, shape: str) -> None:
    table = SHAPES[shape]
    written = write_bytes(without_dictionaries(table))
    for storage in make_storages(tmp_path):
        storage.write_table(VISIT, table)
        assert write_bytes(without_dictionaries(storage.read_table(VISIT, None))) == written
        storage.write_partitions(VISIT, {"1-of-2": table, "2-of-2": table})
        part = storage.read_table(VISIT, ["2-of-2"])
        assert write_bytes(without_dictionaries(part)) == written


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_any_values_come_back(tmp_path: Path, table: pa.Table) -> None:
    written = write_bytes(without_dictionaries(table))
    for storage in make_storages(tmp_path):
        storage.write_table(VISIT, table)
        assert write_bytes(without_dictionaries(storage.read_table(VISIT, None))) == written
