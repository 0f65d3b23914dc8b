"""Files that readers find complete or not at all, on this machine or in an object store."""

import glob
import io
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from upath import UPath

from redcap_dagster.io_managers.location import make_private_folder

_TEMPORARY_SUFFIX = ".tmp"

_ABANDONED_AFTER = 3600.0
"""Seconds without a write after which a temporary file is that of a killed writer."""


def write_file(path: UPath, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file, so that readers find the old or the new one, and never a part of it.

    Args:
        path: Path of the file; its folder is made if it is missing.
        write: Function that writes the content to an open file.
    """
    if is_local(path):
        _write_local_file(Path(path.path), write)
    else:
        # From memory in one request: an object store shows an object only when it is complete.
        buffer = io.BytesIO()
        write(buffer)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())


def is_local(path: UPath) -> bool:
    """Return whether a path is on this machine."""
    return path.protocol in ("", "file", "local")


def _write_local_file(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a temporary file beside the old one, then rename it."""
    make_private_folder(path.parent)
    prefix = f".{path.name[:100]}."
    remove_abandoned(path.parent, prefix)
    # mkstemp makes files 0600, whatever the umask. Their suffix differs, so they are never read.
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=_TEMPORARY_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


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
    """Make a rename durable; Windows cannot open folders, and does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
