"""Tables as Parquet files, on this machine or on an object store."""

import glob
import io
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar
from urllib.parse import quote, unquote

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, PrivateAttr
from upath import UPath

from redcap_dagster.io_managers.location import TablePlace, make_private_folder
from redcap_dagster.io_managers.schema_evolution import concatenate
from redcap_dagster.io_managers.table import TableIOManager, with_key
from redcap_dagster.partitions import BUCKET, get_partitioning

logger = logging.getLogger("redcap_dagster")

SUFFIX = ".parquet"

_UNFINISHED = ".tmp"

_FORSAKEN = 3600.0
"""Seconds without a write after which nobody is writing a file any more."""

OWNER = b"dagster_asset"
"""The key, in the metadata of a file, of the asset that it is of."""

PARTITIONING = "_partitioning"
"""The file beside those of partitions that says which of them count."""


class ParquetTableIOManager(TableIOManager):
    """Keeps each asset as ``BASE/SCHEMA/TABLE.parquet``, a partition in ``BASE/SCHEMA/TABLE/``.

    A file is there whole or not at all. Where the partitioning changes, one file decides from when
    on the new partitions count, so that a reader never sees them together with what they replace:
    ``TABLE.parquet`` as long as it is there, else ``TABLE/_partitioning``.

    On this machine files are made for the user alone (0600). What an object store needs to know
    comes from its own environment variables or configuration files; secrets do not belong in
    `storage_options`, which Dagster shows.

    Example:
        >>> tables = ParquetTableIOManager(base_path="s3://bucket/redcap")
        >>> tables.get_table_name(TablePlace(dg.AssetKey(["trial", "clean", "visit"])))
        's3://bucket/redcap/trial_clean/visit.parquet'
    """

    kind: ClassVar[str | None] = "parquet"
    base_path: str | None = Field(
        default=None,
        description="A folder, or a URL that universal-pathlib knows; by default the folder redcap "
        "in the storage directory of the Dagster instance.",
    )
    _default_base: str | None = PrivateAttr(default=None)
    storage_options: dict[str, Any] = Field(
        default={}, description="Options of the file system of base_path, as fsspec names them."
    )

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Find the default folder, which only the instance knows."""
        if self.base_path is None and context.instance is not None:
            self._default_base = str(Path(context.instance.storage_directory()) / "redcap")
            if context.instance.is_ephemeral:
                logger.warning(
                    "This Dagster instance is temporary, and the tables go with it. Set "
                    "DAGSTER_HOME, or give ParquetTableIOManager a base_path."
                )

    def get_base(self) -> str:
        """Say below which folder or URL the tables are.

        Raises:
            ValueError: No base_path was given, and there is no Dagster instance to tell one.
        """
        base = self.base_path or self._default_base
        if base is None:
            raise ValueError("Outside of Dagster, ParquetTableIOManager needs a base_path.")
        return base

    def get_table_name(self, place: TablePlace) -> str:
        """Say where a table is: its file."""
        return str(self._file(place))

    def write_table(self, place: TablePlace, table: pa.Table) -> None:
        """Write one file, then take away the partitions that it replaces, if there were any."""
        self._check_owner(place)
        with _named(place):
            _write(self._file(place), place, table)
            folder = self._folder(place)
            if folder.is_dir():
                _remove(folder)

    def write_partitions(self, place: TablePlace, parts: Mapping[str, pa.Table]) -> None:
        """Write a file for each partition, let them count, then take away what they replace."""
        folder = self._folder(place)
        (partitioning,) = {get_partitioning(key) for key in parts}
        self._check_owner(place)
        with _named(place):
            for key, part in parts.items():
                _write(folder / _partition_file(key), place, with_key(part, key))
        if _partitioning(folder) != partitioning:
            _put(folder / PARTITIONING, lambda file: file.write(partitioning.encode()))
        self._file(place).unlink(missing_ok=True)
        for path in _partition_files(folder):
            if get_partitioning(_partition_key(path)) != partitioning:
                path.unlink(missing_ok=True)

    def read_table(self, place: TablePlace, partition_keys: Sequence[str] | None) -> pa.Table:
        """Read the table's file, or those of its partitions."""
        file = self._file(place)
        if not file.exists():
            return self._read_partitions(place, partition_keys)
        if partition_keys is not None:
            raise place.never_written()
        return _read(file, place)

    def _read_partitions(self, place: TablePlace, keys: Sequence[str] | None) -> pa.Table:
        folder = self._folder(place)
        present = _partitioning(folder)
        files = (
            _partition_files(folder)
            if keys is None and present is not None
            else [folder / _partition_file(key) for key in keys or ()]
        )
        counting = [path for path in files if get_partitioning(_partition_key(path)) == present]
        if not counting or len(counting) < len(keys or ()):
            raise place.never_written()
        return concatenate(_read(path, place).drop_columns(BUCKET) for path in counting)

    def _check_owner(self, place: TablePlace) -> None:
        """Refuse to replace the files of another asset."""
        file, folder = self._file(place), self._folder(place)
        stored = [file] if file.exists() else _partition_files(folder) if folder.is_dir() else []
        if stored:
            place.check_owner(_owner(stored[0]))

    def _folder(self, place: TablePlace) -> UPath:
        base: UPath = UPath(self.get_base(), **self.storage_options)
        return base / place.schema / place.table

    def _file(self, place: TablePlace) -> UPath:
        return self._folder(place).with_name(f"{place.table}{SUFFIX}")


@contextmanager
def _named(place: TablePlace) -> Iterator[None]:
    """Say which table could not be written, without the values that Arrow's own text holds."""
    try:
        yield
    except pa.ArrowException as error:
        raise RuntimeError(
            f"Table {place} could not be written as Parquet ({type(error).__name__}); "
            "the one that was there is unchanged."
        ) from None


# -- partitions -----------------------------------------------------------------------------------


def _partition_file(key: str) -> str:
    """Name the file of a partition."""
    return f"{quote(key, safe='')}{SUFFIX}"


def _partition_key(path: UPath) -> str:
    """Give the key of the partition that a file is of."""
    return unquote(path.name.removesuffix(SUFFIX))


def _partition_files(folder: UPath) -> list[UPath]:
    return sorted(
        (path for path in folder.iterdir() if path.name.endswith(SUFFIX)),
        key=lambda path: path.name,
    )


def _partitioning(folder: UPath) -> str | None:
    """Say partitions of which partitioning count in a folder; None if none do."""
    try:
        text: str = (folder / PARTITIONING).read_text()
    except FileNotFoundError:
        return None
    return text


def _remove(folder: UPath) -> None:
    (folder / PARTITIONING).unlink(missing_ok=True)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
    if _is_local(folder):
        folder.rmdir()


# -- files ----------------------------------------------------------------------------------------


def _read(path: UPath, place: TablePlace) -> pa.Table:
    # Not pq.read_table, which takes a folder called "a=1" for a column.
    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
    except FileNotFoundError:
        raise place.never_written() from None
    except pa.ArrowException as error:
        raise RuntimeError(
            f"A file of table {place} could not be read as Parquet ({type(error).__name__}). "
            "Materialize the asset anew."
        ) from None
    place.check_owner(_owner_in(table.schema))
    return table.replace_schema_metadata(None)


def _owner(path: UPath) -> str | None:
    """Give the asset that a file says it is of; None where it says nothing, or cannot be read."""
    try:
        with path.open("rb") as file:
            return _owner_in(pq.read_schema(file))
    except (FileNotFoundError, pa.ArrowException):
        return None


def _owner_in(schema: pa.Schema) -> str | None:
    owner: bytes | None = (schema.metadata or {}).get(OWNER)
    return None if owner is None else owner.decode()


def _write(path: UPath, place: TablePlace, table: pa.Table) -> None:
    signed = table.replace_schema_metadata({OWNER: place.owner})
    _put(path, lambda file: pq.write_table(signed, file))


def _put(path: UPath, write: Callable[[IO[bytes]], Any]) -> None:
    """Make a file whole or not at all."""
    if _is_local(path):
        _put_local(Path(path.path), write)
    else:
        # From memory, as one put: a store shows an object only when all of it has arrived.
        buffer = io.BytesIO()
        write(buffer)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())


def _is_local(path: UPath) -> bool:
    return path.protocol in ("", "file", "local")


def _put_local(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside the file, then rename: whoever reads or is killed finds the old or the new."""
    make_private_folder(path.parent)
    prefix = f".{path.name[:100]}."
    _sweep(path.parent, prefix)
    # mkstemp makes files 0600, whatever the umask. The name has not our suffix: it is never read.
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=_UNFINISHED, dir=path.parent)
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


def _sweep(folder: Path, prefix: str) -> None:
    """Take away what writers that were killed have left: it holds records.

    Not what another process may be writing at this moment.
    """
    for path in folder.glob(f"{glob.escape(prefix)}*{_UNFINISHED}"):
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - path.stat().st_mtime > _FORSAKEN:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a renaming last; where folders cannot be opened (Windows), the system sees to it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
