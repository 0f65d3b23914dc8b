"""A process that is killed while it writes leaves the old table or the new one."""

import subprocess
import sys
from pathlib import Path

import pytest

from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager, TableIOManager
from tests.io_managers.conftest import VISIT

ROWS = 50_000

WRITE_FOR_EVER = """
import itertools, os, sys
import dagster as dg
import pyarrow as pa
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager, TablePlace
os.umask(0o022)
kind, where, partitions = sys.argv[1:]
if kind == "duckdb":
    io_manager = DuckDBTableIOManager(database=where)
else:
    io_manager = ParquetTableIOManager(base_path=where)
place = TablePlace(dg.AssetKey(["trial", "clean", "visit"]))
turns = [turn.split() for turn in partitions.split(",")]
for version in itertools.count():
    text = pa.repeat(f"some text of version {version}", ROWS)
    table = pa.table({"version": pa.repeat(version, ROWS), "text": text})
    keys = turns[version % len(turns)]
    if keys:
        rows = ROWS // len(keys)
        parts = {key: table.slice(rows * n, rows) for n, key in enumerate(keys)}
        io_manager.write_partitions(place, parts)
    else:
        io_manager.write_table(place, table)
    print(version, flush=True)
"""


@pytest.mark.parametrize(
    "partitions",
    [
        pytest.param("", id="whole"),
        pytest.param("one", id="partition"),
        pytest.param(",1-of-2 2-of-2,1-of-4 2-of-4 3-of-4 4-of-4", id="repartitioned"),
    ],
)
@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_old_or_new(tmp_path: Path, kind: str, partitions: str) -> None:
    where = str(tmp_path / "stored.duckdb")
    program = WRITE_FOR_EVER.replace("ROWS", str(ROWS))
    process = subprocess.Popen(
        [sys.executable, "-c", program, kind, where, partitions],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        written = [int(process.stdout.readline()) for _ in range(4)]
        process.kill()  # in the middle of the next one, most likely
    private = [path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")]
    assert set(private) == {0}

    io_manager: TableIOManager = (
        DuckDBTableIOManager(database=where)
        if kind == "duckdb"
        else ParquetTableIOManager(base_path=where)
    )
    stored = io_manager.read_table(VISIT, None)
    (version,) = set(stored["version"].to_pylist())
    assert version >= written[-1]
    assert len(stored) == ROWS
    assert set(stored["text"].to_pylist()) == {f"some text of version {version}"}
    io_manager.write_partitions(VISIT, {"1-of-8": stored.slice(0, 1)})
    assert len(io_manager.read_table(VISIT, None)) == 1
