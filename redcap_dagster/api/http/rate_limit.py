"""The limit of requests to a host, shared by all processes of this user on this machine.

REDCap bans an address that goes over its limit, until an administrator lifts the ban; so this is
kept before each request, not found out after.
"""

import os
import re
import tempfile
from functools import cache
from pathlib import Path

from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket


@cache
def shared_limiter(host: str, per_minute: int) -> Limiter:
    """Give the limiter of a host. What it counts is a file that each process adds to.

    Raises:
        PermissionError: Somebody else holds the folder of that file.
    """
    name = re.sub(r"[^a-z0-9.-]", "_", host.lower())
    path = _private_folder() / f"{name}.sqlite"
    path.touch(mode=0o600)
    bucket = SQLiteBucket.init_from_file(
        [Rate(per_minute, Duration.MINUTE)], db_path=str(path), use_file_lock=True
    )
    return Limiter(bucket)


def _private_folder() -> Path:
    """Make sure of a folder of this user on this machine; a home folder may span machines."""
    if not hasattr(os, "getuid"):  # Windows has a folder of each user's own
        folder = Path(tempfile.gettempdir()) / "redcap-dagster"
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir()) / f"redcap-dagster-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(
            f"{folder} belongs to somebody else or is open to others. Remove it, or set TMPDIR to "
            "a folder of your own; rate_limit=None does without."
        )
    return folder
