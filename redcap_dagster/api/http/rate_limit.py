"""The rate limit of requests to a host, shared by all processes of this user on this machine.

REDCap bans an IP address that sends too many requests until an administrator lifts the ban.
"""

import os
import re
import tempfile
from functools import cache
from pathlib import Path

from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket


@cache
def get_shared_limiter(host: str, per_minute: int) -> Limiter:
    """Return the limiter of a host. It counts in a file that all processes share.

    Args:
        host: The host name.
        per_minute: The most requests in a minute.

    Raises:
        PermissionError: The folder of that file belongs to another user or is open to others.
    """
    name = re.sub(r"[^a-z0-9.-]", "_", host.lower())
    path = _private_folder() / f"{name}.sqlite"
    path.touch(mode=0o600)
    bucket = SQLiteBucket.init_from_file(
        [Rate(per_minute, Duration.MINUTE)], db_path=str(path), use_file_lock=True
    )
    return Limiter(bucket)


def _private_folder() -> Path:
    """Return a folder of this user on this machine; a home folder may span machines."""
    if not hasattr(os, "getuid"):  # Windows has a folder of each user's own
        folder = Path(tempfile.gettempdir()) / "redcap-dagster"
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir()) / f"redcap-dagster-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(
            f"{folder} belongs to another user or is open to others, so the rate limit cannot be "
            "kept there. Remove it, set TMPDIR to a folder of your own, or switch the limit off "
            "with rate_limit=None."
        )
    return folder
