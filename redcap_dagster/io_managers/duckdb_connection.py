"""Connections to a DuckDB file that several processes use, one at a time."""

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import tenacity
from filelock import FileLock, Timeout

from redcap_dagster.io_managers.location import check_regular_file, make_private_folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def connect(path: Path, timeout: float, *, purpose: str) -> "Iterator[DuckDBPyConnection]":
    """Yield an exclusive connection to a database; what is not committed is rolled back.

    Processes of this package take turns by a lock file. Other programs do not know it: DuckDB's own
    lock is tried again until the same deadline.

    Args:
        path: Database file; it is made if it is missing.
        timeout: Seconds to wait for other processes.
        purpose: Subject of error messages, for example ``table a.b``.

    Raises:
        TimeoutError: Another process kept the file; the message says which.
        ValueError: The path is that of a folder, a pipe or a device.
        RuntimeError: DuckDB failed; its own message is left out, as it holds values.
        ImportError: duckdb is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise ImportError(
            "DuckDBTableIOManager needs duckdb, which is not installed. Run "
            "pip install 'redcap-dagster[duckdb]'."
        ) from None
    deadline = time.monotonic() + timeout
    make_private_folder(path.parent)
    lock = path.with_name(f"{path.name}.lock")
    for file in (path, path.with_name(f"{path.name}.wal"), lock):
        check_regular_file(file)
    try:
        with FileLock(lock, timeout=timeout, mode=0o600), _private_files():
            connection = _connect(path, deadline)
            try:
                # DuckDB returns timestamps in the time zone of the session.
                connection.execute("set TimeZone = 'UTC'")
                yield connection
            finally:
                connection.close()
    except Timeout:
        raise _build_timeout_error(path, timeout, _query_holder(path)) from None
    except (duckdb.Error, pa.ArrowException) as error:
        if holder := _find_holder(error):
            raise _build_timeout_error(path, timeout, holder) from None
        raise RuntimeError(
            f"DuckDB could not read or write {purpose} in {path} ({type(error).__name__}); nothing "
            "was changed. Possible causes: the file is not a database or has an incompatible "
            "version, missing write permission, a full disk, a view with the table's name, a "
            "connection of this process to the file. Correct the cause, then run again."
        ) from None


def _connect(path: Path, deadline: float) -> "DuckDBPyConnection":
    """Return a connection as soon as no other program has the file open.

    Raises:
        duckdb.Error: DuckDB failed, or the deadline passed.
    """
    import duckdb

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _find_holder(error) is not None),
        wait=tenacity.wait_random(0.05, 0.2),
        stop=tenacity.stop_after_delay(max(0, deadline - time.monotonic())),
        reraise=True,
    )
    return retrying(duckdb.connect, str(path))


def _find_holder(error: BaseException) -> str | None:
    """Return who has the file open, if that is the cause of an error; else None."""
    text = str(error)
    if found := re.search(r"Conflicting lock is held in (.+?) \(PID (\d+)\)", text):
        return f"{found[1]} (process {found[2]})"
    if "Could not set lock on file" in text or "used by another process" in text:
        return "another program"
    return None


def _query_holder(path: Path) -> str:
    """Return the process that has the file open, as it also holds the lock file."""
    import duckdb

    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        return _find_holder(error) or "another process"
    return "another process"


def _build_timeout_error(path: Path, timeout: float, holder: str) -> TimeoutError:
    return TimeoutError(
        f"{path} was in use for {timeout:g} seconds by {holder}. DuckDB allows one process at a "
        "time. Close the file there, or increase lock_timeout."
    )


@contextmanager
def _private_files() -> Iterator[None]:
    """Make all files private that DuckDB makes, for which it does not have a setting.

    The umask belongs to the whole process: the first thread that needs it changes it, and the last
    one restores it. Files that other threads make meanwhile are private too.
    """
    with _umask.lock:
        if not _umask.users:
            _umask.before = os.umask(0o077)
        _umask.users += 1
    try:
        yield
    finally:
        with _umask.lock:
            _umask.users -= 1
            if not _umask.users:
                os.umask(_umask.before)


class _Umask:
    """The umask before the first user, and how many threads need private files now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before = 0


_umask = _Umask()
