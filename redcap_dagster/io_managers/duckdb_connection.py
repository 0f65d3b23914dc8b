"""A DuckDB file that many processes use, one at a time."""

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

from redcap_dagster.io_managers.location import make_private_folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def connect(path: Path, timeout: float, *, purpose: str) -> "Iterator[DuckDBPyConnection]":
    """Have a database to ourselves for a moment; what is not committed is gone after it.

    Our own processes take turns by a lock file. Other programs know nothing of it, so DuckDB's own
    lock is tried again until the same deadline.

    Args:
        path: The database file, made when missing.
        timeout: Seconds to wait for others.
        purpose: What it is wanted for, for the error.

    Raises:
        TimeoutError: Another process kept the file; the text says which.
        RuntimeError: DuckDB refused. Its own text is left out, as it holds values.
        ImportError: The extra is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise ImportError(
            "DuckDBTableIOManager needs duckdb: pip install 'redcap-dagster[duckdb]'."
        ) from None
    deadline = time.monotonic() + timeout
    make_private_folder(path.parent)
    lock = path.with_name(f"{path.name}.lock")
    try:
        with FileLock(lock, timeout=timeout, mode=0o600), _private_files():
            connection = _open(path, deadline)
            try:
                # Moments with a time zone leave DuckDB in that of the session.
                connection.execute("set TimeZone = 'UTC'")
                yield connection
            finally:
                connection.close()
    except Timeout:
        raise _in_use(path, timeout, _ask_for_holder(path)) from None
    except (duckdb.Error, pa.ArrowException) as error:
        if holder := _find_holder(error):
            raise _in_use(path, timeout, holder) from None
        raise RuntimeError(
            f"DuckDB refused at {purpose} of {path} ({type(error).__name__}); nothing was changed. "
            "Is the file a database that this version of DuckDB reads, may you write there, is the "
            "disk full, has a view the table's name, is the file open in this process otherwise?"
        ) from None


def _open(path: Path, deadline: float) -> "DuckDBPyConnection":
    """Connect as soon as no other program has the file open, or raise DuckDB's error in the end."""
    import duckdb

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _find_holder(error) is not None),
        wait=tenacity.wait_random(0.05, 0.2),
        stop=tenacity.stop_after_delay(max(0, deadline - time.monotonic())),
        reraise=True,
    )
    return retrying(duckdb.connect, str(path))


def _find_holder(error: BaseException) -> str | None:
    """Say who has the file open, if that is what DuckDB's error is about."""
    text = str(error)
    if found := re.search(r"Conflicting lock is held in (.+?) \(PID (\d+)\)", text):
        return f"{found[1]} (process {found[2]})"
    if "Could not set lock on file" in text or "used by another process" in text:
        return "another program"
    return None


def _ask_for_holder(path: Path) -> str:
    """Learn from DuckDB which process has the file open while it holds our lock file."""
    import duckdb

    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        return _find_holder(error) or "another process"
    return "another process"


def _in_use(path: Path, timeout: float, holder: str) -> TimeoutError:
    return TimeoutError(
        f"{path} was in use for {timeout:g} seconds by {holder}. DuckDB lets one process at a time "
        "into its file: close it there, or raise lock_timeout."
    )


@contextmanager
def _private_files() -> Iterator[None]:
    """Make all files of DuckDB private: it has no setting for it, and makes some at any time.

    The umask is that of the whole process: it is changed by the first thread that needs it and
    put back by the last; other threads that make a file meanwhile make it private too.
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
    """Who of this process needs private files at the moment."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before = 0


_umask = _Umask()
