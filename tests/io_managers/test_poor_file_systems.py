"""File systems of network drives lack modes, locks or durable renames, and disks are full."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.io_managers import (
    DuckDBTableIOManager,
    ParquetTableIOManager,
    duckdb_connection,
    location,
)
from tests.io_managers.conftest import VISIT

TABLE = pa.table({"a": [1]})


def _refuse(code: int) -> Any:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [errno.EPERM, errno.EACCES, errno.ENOTSUP])
def test_without_modes_tables_are_stored_with_a_warning(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    location._warn_of_modes.cache_clear()
    monkeypatch.setattr(Path, "chmod", _refuse(code))
    parquet = ParquetTableIOManager(base_path=str(tmp_path / "new"))
    parquet.write_table(VISIT, TABLE)
    parquet.write_partitions(VISIT, {"one": TABLE})
    assert parquet.read_table(VISIT, ["one"]) == TABLE
    duckdb = DuckDBTableIOManager(database=str(tmp_path / "folder" / "stored.duckdb"))
    duckdb.write_table(VISIT, TABLE)
    assert duckdb.read_table(VISIT, None) == TABLE
    (warning,) = caplog.messages
    assert "make its files private" in warning


def test_a_mode_that_cannot_be_set_for_another_reason_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "chmod", _refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        ParquetTableIOManager(base_path=str(tmp_path / "new")).write_table(VISIT, TABLE)


def test_a_folder_that_cannot_be_synchronized_has_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_to_sync_folders(monkeypatch, errno.EINVAL)
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    tables.write_table(VISIT, TABLE)
    assert tables.read_table(VISIT, None) == TABLE


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.EIO])
def test_without_locks_a_database_is_refused_and_files_are_stored(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", _refuse(code))
    parquet = ParquetTableIOManager(base_path=str(tmp_path))
    parquet.write_partitions(VISIT, {"one": TABLE})
    assert parquet.read_table(VISIT, ["one"]) == TABLE
    database = DuckDBTableIOManager(database=str(tmp_path / "stored.duckdb"))
    with pytest.raises(RuntimeError, match=r"cannot be locked \(.*Parquet files"):
        database.write_table(VISIT, TABLE)


def test_a_full_disk_is_named_and_leaves_the_old_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb")
    tables = DuckDBTableIOManager(database=str(tmp_path / "stored.duckdb"))
    tables.write_table(VISIT, TABLE)
    full = duckdb.IOException(f'Could not write file "x": {os.strerror(errno.ENOSPC)}')
    with monkeypatch.context() as patched:
        patched.setattr(duckdb_connection, "_set_storage_version", _raise(full))
        with pytest.raises(RuntimeError, match="The disk is full"):
            tables.write_table(VISIT, TABLE)
    assert tables.read_table(VISIT, None) == TABLE


def _raise(error: Exception) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail


def test_a_failing_disk_is_an_error_when_a_folder_is_synchronized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_to_sync_folders(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        ParquetTableIOManager(base_path=str(tmp_path)).write_table(VISIT, TABLE)


def _refuse_to_sync_folders(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    synchronize = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        synchronize(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
