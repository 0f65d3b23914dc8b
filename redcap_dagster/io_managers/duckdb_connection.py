"""Connections to a DuckDB file that several processes use, one at a time."""

import errno
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import tenacity
from filelock import FileLock, Timeout

from redcap_dagster.io_managers.location import check_regular_file, make_private_folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

logger = logging.getLogger("redcap_dagster")

STORAGE_VERSION = "v1.4.0"
"""Storage version of new files: that of the oldest DuckDB that is declared, which reads them."""

ROW_GROUP_SIZE = 32_768
"""Rows that are compressed together, by one thread; DuckDB's own size leaves most threads idle."""


_DISK_FULL = "The disk is full."

_CAUSES = (
    "Possible causes: the file is not a database or has an incompatible version, missing write "
    "permission, a full disk, a view with the table's name, a connection of this process to the "
    "file."
)


@contextmanager
def connect(
    path: Path, timeout: float, *, purpose: str, storage_version: str = STORAGE_VERSION
) -> "Iterator[DuckDBPyConnection]":
    """Yield an exclusive connection to a database; what is not committed is rolled back.

    Processes of this package take turns by a lock file. Other programs do not know it: DuckDB's own
    lock is tried again until the same deadline.

    Args:
        path: Database file; it is made if it is missing.
        timeout: Seconds to wait for other processes.
        purpose: Subject of error messages, for example ``table a.b``.
        storage_version: Storage version of a new file. Defaults to ``v1.4.0``. A file that exists
            keeps its version.

    Raises:
        TimeoutError: Another process kept the file; the message says which.
        ValueError: The path is that of a folder, a pipe or a device, or DuckDB does not have the
            storage version.
        RuntimeError: DuckDB failed; its own message is left out, as it holds values. Or the file
            system does not have locks.
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
        with (
            _lock(lock, timeout),
            _private_files(),
            _open(path, storage_version, deadline) as connection,
        ):
            # DuckDB returns timestamps in the time zone of the session.
            connection.execute("set TimeZone = 'UTC'")
            yield connection
    except Timeout:
        raise _build_timeout_error(path, timeout, _query_holder(path)) from None
    except (duckdb.Error, pa.ArrowException) as error:
        if holder := _find_holder(error):
            raise _build_timeout_error(path, timeout, holder) from None
        is_full = os.strerror(errno.ENOSPC) in str(error)
        raise RuntimeError(
            f"DuckDB could not read or write {purpose} in {path} ({type(error).__name__}); nothing "
            f"was changed. {_DISK_FULL if is_full else _CAUSES} Correct the cause, then run again."
        ) from None


@contextmanager
def _lock(path: Path, timeout: float) -> Iterator[None]:
    """Hold a lock file.

    Raises:
        Timeout: Another process kept it.
        RuntimeError: The file system does not have locks.
    """
    lock = FileLock(path, timeout=timeout, mode=0o600)
    try:
        lock.acquire()
    except OSError as error:
        if isinstance(error, Timeout):
            raise
        raise RuntimeError(
            f"{path} cannot be locked ({error.strerror}), so DuckDB cannot use the database beside "
            "it. The file system probably does not have locks, as those of some network drives: "
            "store the database on a disk of this machine, or the tables in Parquet files."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _open(path: Path, storage_version: str, deadline: float) -> "Iterator[DuckDBPyConnection]":
    """Yield a connection to a file, as soon as no other program has it open.

    Raises:
        duckdb.Error: DuckDB failed, or the deadline passed.
        ValueError: DuckDB does not have the storage version.
    """
    import duckdb

    def say_who(state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome and (error := state.outcome.exception()):
            logger.warning(
                "%s is in use by %s, and DuckDB allows one process at a time. Waiting for at most "
                "%.0f seconds; close the file there.",
                path,
                _find_holder(error),
                deadline - time.monotonic(),
            )

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _find_holder(error) is not None),
        wait=tenacity.wait_random(0.05, 0.2),
        stop=tenacity.stop_after_delay(max(0, deadline - time.monotonic())),
        before_sleep=say_who,
        reraise=True,
    )
    instance = _idle.pop(path, None) or _make_instance(path)
    reusable = False
    try:
        _set_storage_version(instance, storage_version)
        attached = retrying(_attach, instance, path)
        if attached:
            yield instance
            with suppress(duckdb.Error):  # what it could not write is in the file's log
                instance.execute(f"use memory; detach {_name_database(path)}")
                reusable = True
    finally:
        if reusable:
            _idle.clear()
            _idle[path] = instance
        else:
            instance.close()
    if not attached:
        # A connection that the process has already has its own settings.
        settings = {} if path.exists() else {"storage_compatibility_version": storage_version}
        with retrying(duckdb.connect, str(path), config=settings) as connection:
            yield connection


_idle: "dict[Path, DuckDBPyConnection]" = {}
"""The instance of DuckDB that had the last file, which it does not have open any more.

To make another one for each table takes longer than to write a small table.
"""

if hasattr(os, "register_at_fork"):
    # The threads of an instance do not survive a fork: to end it would wait for them for ever.
    os.register_at_fork(before=_idle.clear)


def _make_instance(path: Path) -> "DuckDBPyConnection":
    """Return an instance of DuckDB without a file, which spills rows beside the file.

    It writes what is committed into the file at once, not into the file's log before: each table is
    one commit, after which the file is closed, so that DuckDB would copy the log into it anyway.
    """
    import duckdb

    return duckdb.connect(config={"temp_directory": f"{path}.tmp", "checkpoint_threshold": "1KB"})


def _set_storage_version(instance: "DuckDBPyConnection", storage_version: str) -> None:
    """Set the storage version of the file that an instance makes.

    Raises:
        ValueError: DuckDB does not have this version.
    """
    import duckdb

    try:
        instance.execute(f"set storage_compatibility_version = '{storage_version}'")
    except duckdb.Error:
        raise ValueError(
            f"storage_version: DuckDB {duckdb.__version__} does not have the storage version "
            f"{storage_version!r}. Give a version of DuckDB that is not newer, such as "
            f"{STORAGE_VERSION!r}."
        ) from None


def _attach(instance: "DuckDBPyConnection", path: Path) -> bool:
    """Attach a file to an instance; return False if only a plain connection can open it.

    Raises:
        duckdb.IOException: The file cannot be opened.
    """
    import duckdb

    name, escaped = _name_database(path), str(path).replace("'", "''")
    try:
        instance.execute(f"attach '{escaped}' as {name} (row_group_size {ROW_GROUP_SIZE})")
        instance.execute(f"use {name}")
    except duckdb.IOException:
        raise
    except duckdb.Error:
        # The process has the file open by another connection, or the file's name is reserved.
        return False
    return True


def _name_database(path: Path) -> str:
    """Return the quoted name that DuckDB gives the database of a file."""
    escaped = path.name.partition(".")[0].replace('"', '""')
    return f'"{escaped}"'


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
