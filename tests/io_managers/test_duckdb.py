"""The DuckDB file among other processes."""

import multiprocessing
import os
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from redcap_dagster.io_managers import DuckDBTableIOManager, TablePlace
from redcap_dagster.io_managers.duckdb_connection import connect
from tests.io_managers.conftest import VISIT

ROUNDS = 3
SHARED = TablePlace(dg.AssetKey(["all", "table"]))

HOLD_DATABASE = """
import duckdb, sys
with duckdb.connect(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
HOLD_LOCK = """
import sys
from pathlib import Path
from redcap_dagster.io_managers.duckdb_connection import connect
with connect(Path(sys.argv[1]), 10, purpose="test"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(program: str, database: Path) -> "subprocess.Popen[str]":
    """Start a process that keeps the database until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def take_part(database: str, number: int) -> None:
    """Be one of several processes that write and read the same file."""
    io_manager = DuckDBTableIOManager(database=database)
    own, shared = TablePlace(dg.AssetKey(["own", f"table_{number}"])), SHARED
    for turn in range(ROUNDS):
        table = pa.table({"turn": [turn] * 100, "number": [number] * 100})
        io_manager.write_table(own, table)
        io_manager.write_partitions(shared, {str(number): table})
        assert io_manager.read_table(own, None).equals(table)
        assert io_manager.read_table(shared, [str(number)]).equals(table)


@pytest.mark.slow
def test_eight_processes_at_once(tmp_path: Path) -> None:
    database = str(tmp_path / "warehouse.duckdb")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    processes = [context.Process(target=take_part, args=(database, n)) for n in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    stored = DuckDBTableIOManager(database=database).read_table(SHARED, None)
    assert sorted(stored["number"].to_pylist()) == sorted([*range(8)] * 100)
    assert set(stored["turn"].to_pylist()) == {ROUNDS - 1}


@pytest.mark.parametrize("program", [HOLD_DATABASE, HOLD_LOCK], ids=["another program", "ours"])
def test_who_holds_the_file_is_named(tmp_path: Path, program: str) -> None:
    database = tmp_path / "warehouse.duckdb"
    io_manager = DuckDBTableIOManager(database=str(database), lock_timeout=0.2)
    with hold(program, database) as holder:
        with pytest.raises(TimeoutError, match=rf"process {holder.pid}\b.*lock_timeout"):
            io_manager.write_table(VISIT, pa.table({"a": [1]}))
        holder.communicate()
    io_manager.write_table(VISIT, pa.table({"a": [1]}))


def test_a_file_in_use_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "warehouse.duckdb"
    io_manager = DuckDBTableIOManager(database=str(database))
    refused = threading.Event()
    original = duckdb.connect

    def attempt(path: str) -> duckdb.DuckDBPyConnection:
        try:
            return original(path)
        except duckdb.IOException:
            refused.set()
            raise

    monkeypatch.setattr(duckdb, "connect", attempt)
    with hold(HOLD_DATABASE, database) as holder:
        writer = threading.Thread(target=io_manager.write_table, args=(VISIT, pa.table({"a": [1]})))
        writer.start()
        assert refused.wait(120)
        holder.communicate()
        writer.join()
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == [1]


def test_files_are_private_under_any_umask(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    before = os.umask(0o022)
    try:
        with connect(folder / "warehouse.duckdb", 10, purpose="test") as connection:
            connection.execute("create table secret as select 1 as a")
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert {"warehouse.duckdb", "warehouse.duckdb.lock", "warehouse.duckdb.wal"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def test_errors_of_duckdb_leave_without_values(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"table x\.y.*ConversionException") as caught,
        connect(tmp_path / "warehouse.duckdb", 10, purpose="table x.y") as connection,
    ):
        connection.sql("select 'canary-4711'::integer").fetchall()
    told = "".join(traceback.format_exception(caught.value))
    assert "Could not convert" not in told


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb"
    database.write_text("not a database " * 1000)
    with pytest.raises(RuntimeError, match=r"warehouse\.duckdb.*incompatible version"):
        DuckDBTableIOManager(database=str(database)).read_table(VISIT, None)


def test_a_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    io_manager = DuckDBTableIOManager(database=str(tmp_path / "warehouse.duckdb"))
    io_manager.write_partitions(VISIT, {"one": pa.table({"a": ["text"]})})
    io_manager.write_partitions(VISIT, {"two": pa.table({"a": ["kept"]})})
    broken = pa.table({"new": ["x"], "a": pa.array([b"\xff"])})
    with pytest.raises(ValueError, match="'a'"):
        io_manager.write_partitions(VISIT, {"one": broken})
    assert io_manager.read_table(VISIT, ["one"]).to_pylist() == [{"a": "text"}]


def test_importing_and_defining_work_without_duckdb(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["duckdb"] = None
import dagster as dg
import pyarrow as pa
from redcap_dagster.io_managers import DuckDBTableIOManager, TablePlace
io_manager = DuckDBTableIOManager(database=sys.argv[1])
try:
    io_manager.write_table(TablePlace(dg.AssetKey(["a", "b"])), pa.table({"a": [1]}))
except ImportError as error:
    print(error)
"""
    told = subprocess.check_output(
        [sys.executable, "-c", program, str(tmp_path / "warehouse.duckdb")], text=True
    )
    assert "pip install 'redcap-dagster[duckdb]'" in told
