"""The DuckDB file among other processes."""

import multiprocessing
import os
import re
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from redcap_dagster.io_managers import (
    DuckDBTableIOManager,
    TablePlace,
    duckdb_connection,
    duckdb_table,
)
from redcap_dagster.io_managers.duckdb_connection import ROW_GROUP_SIZE, _attach, connect
from redcap_dagster.io_managers.duckdb_table import find_tables
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
USE_BETWEEN_TWO_WRITES = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("create table own as select 1 as a")
"""
FORK_AND_WRITE = """
import os, sys
import dagster as dg
import pyarrow as pa
from redcap_dagster.io_managers import DuckDBTableIOManager, TablePlace
tables = DuckDBTableIOManager(database=sys.argv[1])
others = DuckDBTableIOManager(database=sys.argv[1] + "2")
places = [TablePlace(dg.AssetKey(["all", name])) for name in "abc"]
table = pa.table({"a": range(100_000)})
tables.write_table(places[0], table)
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
else:
    others.write_table(places[0], table)
    tables.write_table(places[1], table)
    os._exit(0)  # before 2, to end DuckDB's own connection would wait for ever
tables.write_table(places[2], table)
"""


def read_storage_version(database: Path) -> str:
    """Return the storage version of a file, as DuckDB reads it in its header."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{database}' as stored (read_only)")
        query = "select tags from duckdb_databases() where database_name = 'stored'"
        ((tags,),) = connection.sql(query).fetchall()
    version: str = tags["storage_version"]
    return version


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


def test_a_file_in_use_is_waited_for_and_its_user_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "warehouse.duckdb"
    io_manager = DuckDBTableIOManager(database=str(database))
    refused = threading.Event()
    original = duckdb_connection._attach

    def attempt(instance: duckdb.DuckDBPyConnection, path: Path) -> bool:
        try:
            return original(instance, path)
        except duckdb.IOException:
            refused.set()
            raise

    monkeypatch.setattr(duckdb_connection, "_attach", attempt)
    with hold(HOLD_DATABASE, database) as holder:
        writer = threading.Thread(target=io_manager.write_table, args=(VISIT, pa.table({"a": [1]})))
        writer.start()
        assert refused.wait(120)
        holder.communicate()
        writer.join()
    assert caplog.text.count(f"(process {holder.pid}), and DuckDB allows one process") == 1
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("options", "version"),
    [({}, "v1.4.0+"), ({"storage_version": "v1.2.0"}, "v1.2.0+")],
    ids=["default", "option"],
)
def test_a_new_file_has_the_storage_version_of_the_option(
    tmp_path: Path, options: dict[str, Any], version: str
) -> None:
    database = tmp_path / "warehouse.duckdb"
    io_manager = DuckDBTableIOManager(database=str(database), **options)
    io_manager.write_table(VISIT, pa.table({"a": range(ROW_GROUP_SIZE + 1)}))
    assert read_storage_version(database) == version
    with duckdb.connect(str(database), read_only=True) as connection:
        groups = connection.sql(
            "select distinct row_group_id from pragma_storage_info('trial_clean.visit')"
        )
        assert len(groups.fetchall()) == 2


def test_a_file_that_exists_keeps_its_storage_version(tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("create table own as select 1 as a")
    before = read_storage_version(database)
    io_manager = DuckDBTableIOManager(database=str(database))
    io_manager.write_table(VISIT, pa.table({"a": [1]}))
    io_manager.write_partitions(VISIT, {"one": pa.table({"a": [2]})})
    assert read_storage_version(database) == before
    assert io_manager.read_table(VISIT, ["one"])["a"].to_pylist() == [2]


def test_other_storage_versions_are_refused(tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb"
    for misspelt in ("1.4", "v1.4", "newest", "v1.3.0"):
        with pytest.raises(ValueError, match="storage_version"):
            DuckDBTableIOManager(database=str(database), storage_version=misspelt)
    io_manager = DuckDBTableIOManager(database=str(database), storage_version="v1.999.0")
    with pytest.raises(ValueError, match=r"storage_version: DuckDB .* 'v1\.999\.0'"):
        io_manager.write_table(VISIT, pa.table({"a": [1]}))
    assert not database.exists()


def test_a_connection_of_this_process_to_the_file_is_shared(tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb"
    io_manager = DuckDBTableIOManager(database=str(database))
    io_manager.write_table(VISIT, pa.table({"a": [1]}))
    with duckdb.connect(str(database)) as connection:
        io_manager.write_table(VISIT, pa.table({"a": [2]}))
        assert connection.sql("from trial_clean.visit").fetchall() == [(2,)]
        assert io_manager.read_table(VISIT, None)["a"].to_pylist() == [2]
    io_manager.write_table(VISIT, pa.table({"a": [3]}))
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == [3]


def test_between_two_tables_other_processes_can_use_the_file(tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb"
    io_manager = DuckDBTableIOManager(database=str(database))
    io_manager.write_table(VISIT, pa.table({"a": [1]}))
    subprocess.run([sys.executable, "-c", USE_BETWEEN_TWO_WRITES, str(database)], check=True)
    io_manager.write_table(VISIT, pa.table({"a": [2]}))
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.sql("from own, trial_clean.visit").fetchall() == [(1, 2)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_forked_process_writes_too(tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb"
    program = [sys.executable, "-c", FORK_AND_WRITE, str(database)]
    subprocess.run(program, check=True, timeout=120)
    with duckdb.connect(str(database), read_only=True) as connection:
        assert [connection.table(f'"all".{name}').shape[0] for name in "abc"] == [100_000] * 3


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


def describe(**labels: str | None) -> pa.Table:
    """Return a table of two rows, whose columns have descriptions."""
    fields = [
        pa.field(name, pa.string(), metadata=None if label is None else {"description": label})
        for name, label in labels.items()
    ]
    return pa.table([["1", None]] * len(labels), schema=pa.schema(fields))


class Statements:
    """A connection that remembers which statements change the table, and which list the catalog."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.changes: list[str] = []
        self.listed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, text: str, *parameters: Any) -> Any:
        if not text.startswith(("select", "create schema")):
            self.changes.append(text.split(" ", 1)[0])
        self.listed += re.findall(r"duckdb_(?:tables|columns)", text)
        return self._connection.execute(text, *parameters)


def test_a_table_of_the_same_columns_keeps_its_comments(tmp_path: Path) -> None:
    def replace(table: pa.Table) -> tuple[list[str], list[tuple[str, str | None]]]:
        with connect(tmp_path / "tables.duckdb", 10, purpose="test") as connection:
            statements: Any = Statements(connection)
            (stored,) = find_tables(statements, [SHARED])
            stored.replace(table)
            (after,) = find_tables(statements, [SHARED])
            assert after.read(None).equals(table)
            query = "select column_name, comment from duckdb_columns() where not internal"
            return statements.changes, connection.sql(query).fetchall()

    first = replace(describe(a="First", b="Second"))
    assert first == (["create", "comment", "comment"], [("a", "First"), ("b", "Second")])
    new_label = replace(describe(a="New", b="Second"))
    assert new_label == (["truncate", "insert", "comment"], [("a", "New"), ("b", "Second")])
    no_label = replace(describe(a="New", b=None))
    assert no_label == (["truncate", "insert", "comment"], [("a", "New"), ("b", None)])
    moved = replace(describe(b=None, a="New"))
    assert moved == (["create", "comment"], [("b", None), ("a", "New")])


def test_a_wide_table_has_only_the_comment_that_names_its_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each comment copies all columns: time and memory grow with their square."""
    monkeypatch.setattr(duckdb_table, "_MOST_COMMENTED", 2)
    table = describe(a="First", b="Second", c="Third")
    with connect(tmp_path / "tables.duckdb", 10, purpose="test") as connection:
        (stored,) = find_tables(connection, [SHARED])
        stored.replace(table)
        query = "select comment from duckdb_columns() where not internal and comment is not null"
        assert connection.sql(query).fetchall() == []
        stored.replace_partitions({"one": table})
        assert connection.sql(query).fetchall() == [('{"one": null}',)]


def test_a_write_lists_the_tables_and_the_columns_of_a_file_once(tmp_path: Path) -> None:
    def write() -> list[str]:
        with connect(tmp_path / "tables.duckdb", 10, purpose="test") as connection:
            statements: Any = Statements(connection)
            (stored,) = find_tables(statements, [SHARED])
            assert stored.read_owner() in (None, "all/table")
            stored.refuse_foreign()
            stored.replace(describe(a="First"))
            stored.write_owner()
            listed: list[str] = statements.listed
            return listed

    assert write() == ["duckdb_tables"]
    assert write() == ["duckdb_tables", "duckdb_columns"]


def test_the_sources_of_many_tables_are_read_by_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io_manager = DuckDBTableIOManager(database=str(tmp_path / "tables.duckdb"))
    places = [TablePlace(dg.AssetKey(["all", name])) for name in ("one", "two", "never", "split")]
    assert io_manager.read_sources(places) == [[], [], [], []]
    made = describe(a="First").replace_schema_metadata({"redcap_source": "of one project"})
    io_manager.write_table(places[0], made)
    io_manager.write_table(places[1], describe(a="First"))
    io_manager.write_partitions(places[3], {"x": made, "y": describe(a="First")})
    opened: list[Path] = []

    def attach(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
        opened.append(path)
        return _attach(connection, path)

    monkeypatch.setattr(duckdb_connection, "_attach", attach)
    sources = [sorted(map(str, each)) for each in io_manager.read_sources(places)]
    assert sources == [["of one project"], ["None"], [], ["None", "of one project"]]
    assert len(opened) == 1
    other = TablePlace(dg.AssetKey(["ALL", "one"]))  # DuckDB ignores the case
    with pytest.raises(ValueError, match="all/one"):
        io_manager.read_sources([places[1], other])


def test_a_table_is_written_into_the_file_at_once_and_not_into_its_log(tmp_path: Path) -> None:
    path = tmp_path / "tables.duckdb"
    with connect(path, 10, purpose="test") as connection:
        connection.execute("create table numbers as select hash(range) as one from range(10_000)")
        log = path.with_name("tables.duckdb.wal")
        assert not log.exists() or log.stat().st_size == 0
        assert path.stat().st_size > 80_000


def test_an_index_of_a_user_does_not_stop_a_table(tmp_path: Path) -> None:
    database = tmp_path / "tables.duckdb"
    io_manager = DuckDBTableIOManager(database=str(database))
    io_manager.write_table(SHARED, describe(a=None))
    with duckdb.connect(str(database)) as connection:
        connection.execute('create unique index own on "all"."table" (a)')
    twice = pa.concat_tables([describe(a=None)] * 2)
    io_manager.write_table(SHARED, twice)
    assert io_manager.read_table(SHARED, None).equals(twice)


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
