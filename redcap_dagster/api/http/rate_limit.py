"""The rate limit of requests to a host, shared by all processes of this user on this machine.

REDCap bans an IP address that sends too many requests until an administrator lifts the ban. Where
requests cannot be counted, they are sent at a slow pace instead.
"""

import logging
import os
import re
import sqlite3
import stat
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

logger = logging.getLogger("redcap_dagster.api")

_WINDOW: Final = 60.0
"""Seconds in which requests are counted."""

_LOCK_TIMEOUT: Final = 1.0
"""Seconds to wait for a process that counts. It may have been stopped while it did."""

_FEWER: Final = 4
"""The share of the rate limit at which one process sends requests that it cannot count."""

_TABLE: Final = "CREATE TABLE turn (at REAL NOT NULL)"

_DATABASE: Final = f"""
    PRAGMA journal_mode = memory;
    PRAGMA synchronous = off;
    {_TABLE.replace("TABLE", "TABLE IF NOT EXISTS")};
"""

_BESIDE: Final = ("", "-journal", "-wal", "-shm")
"""Ends of the names of the file, and of those that SQLite opens if they are beside it."""


class RateLimiter:
    """The requests of the last minute to a host, counted in a file that all processes share.

    The clock is that of the machine's uptime, which no process or administrator sets back.

    Args:
        path: The file. A damaged one is replaced.
        per_minute: The most requests in a minute.
        clock: Returns the seconds of a clock that all processes share.
    """

    def __init__(self, path: Path, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._per_minute = per_minute
        self._clock = clock
        self._lock = Lock()
        self._next_uncounted = -_WINDOW
        self._warned = False

    def take_turn(self) -> float:
        """Return 0 if a request may be sent now, which is counted; else the seconds to wait."""
        try:
            return self._count()
        except (OSError, sqlite3.Error) as error:
            self._warn(error)
        with self._lock:
            now = self._clock()
            wait = self._next_uncounted - now
            if wait > 0:
                return wait
            self._next_uncounted = now + _FEWER * _WINDOW / self._per_minute
            return 0.0

    def _count(self) -> float:
        self._prepare_file()
        try:
            return self._count_in_file()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
        self._path.unlink(missing_ok=True)
        self._prepare_file()
        return self._count_in_file()

    def _prepare_file(self) -> None:
        """Create the file, which only this user can read, unless it exists.

        Raises:
            OSError: It cannot be created, or something else than a file is there.
        """
        _check_folder(self._path.parent)
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        for end in _BESIDE:
            path = self._path.with_name(f"{self._path.name}{end}")
            # To open a pipe can take forever.
            if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
                raise FileExistsError(f"something else is in the place of {path.name}")

    def _count_in_file(self) -> float:
        with closing(sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT)) as connection:
            connection.executescript(_DATABASE)
            schema = "SELECT sql FROM sqlite_master WHERE tbl_name = 'turn'"
            if connection.execute(schema).fetchall() != [(_TABLE,)]:
                raise FileExistsError("it has a table of something else")
            connection.execute("BEGIN IMMEDIATE")
            now = self._clock()
            # A time to come is from before the machine was started again.
            connection.execute("DELETE FROM turn WHERE at <= ? OR at > ?", (now - _WINDOW, now))
            oldest = connection.execute(
                "SELECT at FROM turn ORDER BY at DESC LIMIT 1 OFFSET ?", (self._per_minute - 1,)
            ).fetchone()
            if oldest is None:
                connection.execute("INSERT INTO turn VALUES (?)", (now,))
            connection.commit()
        return 0.0 if oldest is None else max(float(oldest[0]) + _WINDOW - now, 0.001)

    def _warn(self, error: OSError | sqlite3.Error) -> None:
        """Log once that requests cannot be counted."""
        with self._lock:
            if self._warned:
                return
            self._warned = True
        logger.warning(
            "The requests to the server cannot be counted in %s (%s: %s), so this process sends at "
            "most %g a minute. Remove that file or folder, or set TMPDIR to a folder of your own "
            "with space on its disk.",
            self._path,
            type(error).__name__,
            error.strerror if isinstance(error, OSError) and error.strerror else error,
            self._per_minute / _FEWER,
        )


@cache
def get_rate_limiter(host: str, per_minute: int) -> RateLimiter:
    """Return the limiter of a host, one for all clients of this process.

    Args:
        host: The host name.
        per_minute: The most requests in a minute.
    """
    name = re.sub(r"[^a-z0-9.-]", "_", host.lower())
    return RateLimiter(_find_folder() / f"{name}.sqlite", per_minute)


def _find_folder() -> Path:
    """Return a folder of this user on this machine; a home folder may span machines."""
    own = f"-{os.getuid()}" if hasattr(os, "getuid") else ""  # Windows has one of each user's own
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:  # no folder can be written to now
        folder = os.path.join(os.sep, "tmp")  # noqa: PTH118
    return Path(folder) / f"redcap-dagster{own}"


def _check_folder(folder: Path) -> None:
    """Create the folder, unless it exists and is this user's alone.

    Raises:
        OSError: It cannot be created, or belongs to another user or is open to others.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        raise PermissionError("its folder belongs to another user or is open to others")
