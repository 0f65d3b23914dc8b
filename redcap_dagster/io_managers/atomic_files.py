"""Files that readers find complete or not at all, on this machine or in an object store."""

import errno
import glob
import io
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from upath import UPath

from redcap_dagster.io_managers.location import make_private, make_private_folder

logger = logging.getLogger("redcap_dagster")

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EBADF)
"""Errors of file systems that cannot synchronize a folder; others are failures of the disk."""

_TEMPORARY_SUFFIX = ".tmp"

_ABANDONED_AFTER = 3600.0
"""Seconds without a write after which a temporary file is that of a killed writer."""


LOCK = "_lock"
"""Name of the file in a folder that one process at a time locks."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that replaces or reads the files of a folder."""


def write_file(path: UPath, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file, so that readers find the old or the new one, and never a part of it.

    Args:
        path: Path of the file; its folder is made if it is missing.
        write: Function that writes the content to an open file.
    """
    with prepare_file(path, write) as replace:
        replace()


@contextmanager
def prepare_file(path: UPath, write: Callable[[IO[bytes]], Any]) -> Iterator[Callable[[], object]]:
    """Write a file aside, and yield a function that replaces the old one by it, at once.

    Args:
        path: Path of the file; its folder is made if it is missing.
        write: Function that writes the content to an open file.
    """
    if is_local(path):
        with _prepare_local_file(Path(path.path), write) as replace:
            yield replace
        return
    # From memory in one request: an object store shows an object only when it is complete.
    buffer = io.BytesIO()
    write(buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    yield lambda: path.write_bytes(buffer.getvalue())


@contextmanager
def lock_folder(folder: UPath) -> Iterator[None]:
    """Let no other process or thread have the files of a folder; on this machine only.

    There is no lock for a folder that may not be written to, or that is in an object store.

    Args:
        folder: The folder.

    Raises:
        TimeoutError: Another process kept it for `LOCK_TIMEOUT`.
    """
    if not is_local(folder):
        yield
        return
    lock = FileLock(Path(folder.path) / LOCK, timeout=LOCK_TIMEOUT, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise TimeoutError(
            f"{folder.path} was in use for {LOCK_TIMEOUT:g} seconds by another process, which "
            "reads or replaces its files. Run again when that process has ended."
        ) from None
    except OSError:
        logger.debug("%s cannot be locked.", folder.path)
    try:
        yield
    finally:
        lock.release()


def is_local(path: UPath) -> bool:
    """Return whether a path is on this machine."""
    return path.protocol in ("", "file", "local")


@contextmanager
def _prepare_local_file(
    path: Path, write: Callable[[IO[bytes]], Any]
) -> Iterator[Callable[[], None]]:
    """Write a temporary file beside the old one, and yield a function that renames it."""

    def replace() -> None:
        temporary.replace(path)
        _sync_folder(path.parent)

    make_private_folder(path.parent)
    prefix = f".{path.name[:100]}."
    remove_abandoned(path.parent, prefix)
    # Their suffix differs, so they are never read.
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=_TEMPORARY_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            make_private(temporary, 0o600)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        yield replace
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(path: UPath) -> bool:
    """Return whether a file is not in its place yet: one of a writer, running or killed."""
    return path.name.startswith(".") and path.name.endswith(_TEMPORARY_SUFFIX)


def remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove temporary files of killed writers, which hold records; not those of running ones.

    Args:
        folder: A folder on this machine.
        prefix: What the names of the files begin with.
    """
    for path in folder.glob(f"{glob.escape(prefix)}*{_TEMPORARY_SUFFIX}"):
        with suppress(FileNotFoundError):  # another process removed it
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system can.

    Windows cannot open folders, and does so by itself. Some network drives have nothing to write.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)
