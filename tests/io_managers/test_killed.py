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
import pyarrow as pa
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager, TablePlace
os.umask(0o022)
kind, where, partition = sys.argv[1:]
if kind == "duckdb":
    io_manager = DuckDBTableIOManager(database=where)
else:
    io_manager = ParquetTableIOManager(base_path=where)
for version in itertools.count():
    text = pa.repeat(f"some text of version {version}", ROWS)
    table = pa.table({"version": pa.repeat(version, ROWS), "text": text})
    io_manager.write_table(TablePlace("trial_clean", "visit"), table, partition or None)
    print(version, flush=True)
"""


@pytest.mark.parametrize("partition", [None, "one"])
@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_old_or_new(tmp_path: Path, kind: str, partition: str | None) -> None:
    where = str(tmp_path / "stored.duckdb")
    program = WRITE_FOR_EVER.replace("ROWS", str(ROWS))
    process = subprocess.Popen(
        [sys.executable, "-c", program, kind, where, partition or ""],
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
    stored = io_manager.read_table(VISIT, [partition] if partition else None)
    (version,) = set(stored["version"].to_pylist())
    assert version >= written[-1]
    assert len(stored) == ROWS
    assert set(stored["text"].to_pylist()) == {f"some text of version {version}"}
    io_manager.write_table(VISIT, stored.slice(0, 1), partition)
