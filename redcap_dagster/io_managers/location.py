"""The schema and name of an asset's table, and the error if another asset owns the table."""

import errno
import logging
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import dagster as dg

logger = logging.getLogger("redcap_dagster")

_HAS_NO_MODES: Final = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS)
"""Errors of file systems without modes when the owner of a file sets its mode."""


@dataclass(frozen=True, slots=True)
class TablePlace:
    """The place of an asset's table: its schema (in Parquet, its folder) and its name.

    The last part of the key is the table's name. All other parts are the schema, joined by ``_``,
    which keeps ``a/clean/visit`` and ``b/clean/visit`` apart. Keys that still have the same place,
    such as ``a/b/x`` and ``a_b/x``, are told apart by the owner stored with the table; see
    `check_owner`.

    Attributes:
        asset: Key of the asset.

    Raises:
        ValueError: A name would lead out of its folder.

    Example:
        >>> place = TablePlace(dg.AssetKey(["trial", "clean", "visit"]))
        >>> place.schema, place.table, str(place)
        ('trial_clean', 'visit', 'trial_clean.visit')
        >>> str(TablePlace(dg.AssetKey("summary")))
        'main.summary'
    """

    asset: dg.AssetKey

    def __post_init__(self) -> None:
        for name in (self.schema, self.table):
            if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
                raise ValueError(
                    f"{name!r} cannot be the name of a table or schema: it would lead out of its "
                    "folder. Give the asset a key whose parts are not dots and do not have slashes."
                )

    @property
    def schema(self) -> str:
        """Name of the schema, in Parquet of the folder."""
        return "_".join(self.asset.path[:-1]) or "main"

    @property
    def table(self) -> str:
        """Name of the table."""
        return self.asset.path[-1]

    @property
    def owner(self) -> str:
        """Asset key as text, which is stored with the table."""
        return self.asset.to_user_string()

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"

    def check_owner(self, stored: str | None) -> None:
        """Raise an error if the stored table belongs to another asset.

        Args:
            stored: Owner of the stored table; None without a table, or without an owner.

        Raises:
            ValueError: The owner is another asset.
        """
        if stored not in (None, self.owner):
            raise ValueError(
                f"Table {self} already belongs to asset {stored}; asset {self.owner} cannot use "
                "it. Both keys lead to this table, whose schema is all parts except the last, "
                "joined by _. Give one asset another key; or drop the table, if its asset does not "
                "exist any more."
            )

    def missing_error(self) -> LookupError:
        """Return the error for a table or partition that is not stored."""
        return LookupError(
            f"Table {self}, or a requested partition of it, is not stored here. Its asset was "
            "probably never materialized with this IO manager. Materialize it first."
        )


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing parents, for this user alone (0700).

    Args:
        folder: Folder to make; one that exists keeps its mode. The umask does not matter.

    Raises:
        ValueError: A file, or a link that leads nowhere, is in the place of a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as base:
        ...     make_private_folder(Path(base) / "a" / "b")
        ...     oct((Path(base) / "a").stat().st_mode)
        '0o40700'
    """
    missing = []
    for path in (folder, *folder.parents):
        if path.is_dir():
            break
        if path.exists() or path.is_symlink():
            raise ValueError(
                f"{path} is not a folder, so that no table can be stored in it. Move it elsewhere, "
                "or store the tables elsewhere."
            )
        missing.append(path)
    for path in reversed(missing):
        with suppress(FileExistsError):  # another process made it
            path.mkdir(mode=0o700)
            make_private(path, 0o700)


def make_private(path: Path, mode: int) -> None:
    """Let this user alone have a file or folder that was just made, whatever the umask.

    Some file systems, as of network drives, do not take modes: a warning says so once.

    Args:
        path: The file or folder.
        mode: Its mode.
    """
    try:
        path.chmod(mode)
    except OSError as error:
        if error.errno not in _HAS_NO_MODES:
            raise
        _warn_of_modes()


@cache
def _warn_of_modes() -> None:
    logger.warning(
        "The file system of the tables has no modes, so this process cannot make its files "
        "private: all who may read the drive may read the tables. Check the options with which it "
        "is mounted, or store the tables elsewhere."
    )


def check_regular_file(path: Path) -> None:
    """Raise an error for anything but a file: to open a pipe can take for ever.

    Args:
        path: Path on this machine; nothing has to be there.

    Raises:
        ValueError: It is a folder, a pipe, a socket or a device.

    Example:
        >>> check_regular_file(Path("/nowhere/visit.parquet"))
        >>> check_regular_file(Path("/dev/null"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: /dev/null is not a regular file, but a folder, a pipe or a device, ...
    """
    try:
        mode = path.stat().st_mode  # read once: another process may replace or remove the file
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"{path} is not a regular file, but a folder, a pipe or a device, so that no table can "
            "be stored there. Remove it, or store the tables elsewhere."
        )
