"""The folder of a table's partitions: one Parquet file for each, and which of them are valid."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import quote, unquote

from upath import UPath

from redcap_dagster.io_managers.atomic_files import LOCK, is_temporary, lock_folder
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.parquet_files import OWNER, read_mark
from redcap_dagster.partitions import get_partitioning

SUFFIX = ".parquet"

MARKER = "_dagster_asset"
"""Name of the file that marks a folder as one of partitions that this IO manager made."""

PARTITIONING = "_partitioning"
"""Name of the file beside those of the partitions that says which partitioning is valid."""


def name_partition_file(key: str) -> str:
    """Return the name of a partition's file."""
    return f"{quote(key, safe='')}{SUFFIX}"


def _get_partition_key(path: UPath) -> str:
    """Return the key of the partition of a file."""
    return unquote(path.name.removesuffix(SUFFIX))


def list_partition_files(folder: UPath) -> list[UPath]:
    """Return the Parquet files in a folder, by name."""
    return sorted(
        (path for path in folder.iterdir() if path.name.endswith(SUFFIX)),
        key=lambda path: path.name,
    )


def read_partitioning(folder: UPath) -> str | None:
    """Return the partitioning that is valid in a folder; None without one."""
    try:
        text: str = (folder / PARTITIONING).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return text


def get_file_partitioning(path: UPath) -> str:
    """Return the partitioning of a file's partition."""
    return get_partitioning(_get_partition_key(path))


def is_partition_folder(folder: UPath) -> bool:
    """Return whether this IO manager made a folder."""
    return (folder / MARKER).exists() or (folder / PARTITIONING).exists()


def lock_partitions(folder: UPath) -> AbstractContextManager[None]:
    """Return the lock of the partitions in a folder, if this IO manager made it."""
    return lock_folder(folder) if is_partition_folder(folder) else nullcontext()


def check_partition_folder(folder: UPath, place: TablePlace) -> None:
    """Raise an error for a folder that this IO manager did not make, and that holds something.

    Raises:
        ValueError: The folder is not one of partitions.
    """
    if not folder.is_dir() or is_partition_folder(folder):
        return
    holds_files = any(not is_temporary(path) for path in folder.iterdir())
    if holds_files and not is_partition_folder(folder):  # another writer may have begun meanwhile
        raise ValueError(
            f"The folder of table {place} has files that ParquetTableIOManager did not write, and "
            "which it does not touch. Move the folder elsewhere, or give the IO manager a "
            "base_path of its own."
        )


def list_own_files(folder: UPath) -> list[UPath]:
    """Return the files in a folder that have names as this IO manager gives them."""
    others = [folder / name for name in (MARKER, PARTITIONING, LOCK)]
    return [*list_partition_files(folder), *(path for path in others if path.exists())]


def remove_partitions(folder: UPath, place: TablePlace) -> None:
    """Remove all partitions in a folder."""
    (folder / PARTITIONING).unlink(missing_ok=True)
    remove_partition_files(list_partition_files(folder), place)


def remove_partition_files(files: Iterable[UPath], place: TablePlace) -> None:
    """Remove files of partitions, but none that this IO manager did not write."""
    for path in files:
        if read_mark(path, OWNER) == place.owner:
            path.unlink(missing_ok=True)
