"""Tables as Parquet files, on this machine or in an object store."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, PrivateAttr
from upath import UPath

from redcap_dagster.io_managers.atomic_files import is_local, remove_abandoned, write_file
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.schema_evolution import concatenate
from redcap_dagster.io_managers.table_io_manager import (
    SOURCE,
    TableIOManager,
    add_partition_column,
    get_source,
)
from redcap_dagster.partitions import BUCKET, get_partitioning

logger = logging.getLogger("redcap_dagster")

SUFFIX = ".parquet"

OWNER = b"dagster_asset"
"""Key of the owner, the asset of the table, in the metadata of a file."""

MARKER = "_dagster_asset"
"""Name of the file that marks a folder as one of partitions that this IO manager made."""

PARTITIONING = "_partitioning"
"""Name of the file beside those of the partitions that says which partitioning is valid."""


class ParquetTableIOManager(TableIOManager):
    """IO manager that stores each asset as a Parquet file, or as one file per partition.

    The file is ``BASE/SCHEMA/TABLE.parquet``, those of partitions are in ``BASE/SCHEMA/TABLE/``.
    Readers find a file complete or not at all, and never partitions together with what they
    replace: ``TABLE.parquet`` is valid while it exists, else the partitioning that the file
    ``TABLE/_partitioning`` names.

    Only files that this IO manager wrote are replaced or removed. A folder ``TABLE`` that it did
    not make is refused, and so is a link that leads out of the base folder.

    Local files are for the user alone (0600). Give credentials of an object store by its own
    environment variables or configuration files: Dagster shows `storage_options`.

    Example:
        >>> tables = ParquetTableIOManager(base_path="s3://bucket/redcap")
        >>> tables.get_table_name(TablePlace(dg.AssetKey(["trial", "clean", "visit"])))
        's3://bucket/redcap/trial_clean/visit.parquet'
    """

    kind: ClassVar[str | None] = "parquet"
    base_path: str | None = Field(
        default=None,
        description="Folder, or URL that universal-pathlib supports. Defaults to the folder redcap "
        "in the storage directory of the Dagster instance.",
    )
    _default_base: str | None = PrivateAttr(default=None)
    storage_options: dict[str, Any] = Field(
        default={}, description="Options of the fsspec file system of base_path. Defaults to none."
    )

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Take the default folder from the Dagster instance."""
        if self.base_path is None and context.instance is not None:
            self._default_base = str(Path(context.instance.storage_directory()) / "redcap")
            if context.instance.is_ephemeral:
                logger.warning(
                    "This Dagster instance is temporary, and its tables are deleted with it. Set "
                    "DAGSTER_HOME, or give ParquetTableIOManager a base_path."
                )

    def get_base(self) -> str:
        """Return the folder or URL of all tables.

        Raises:
            ValueError: There is neither a base_path nor a Dagster instance.
        """
        base = self.base_path or self._default_base
        if base is None:
            raise ValueError(
                "ParquetTableIOManager does not have a base_path, and there is no Dagster instance "
                "to take it from. Give it a base_path."
            )
        return base

    def get_table_name(self, place: TablePlace) -> str:
        """Return the path or URL of the table's file."""
        return str(self._file(place))

    def write_table(self, place: TablePlace, table: pa.Table) -> None:
        """Replace the table: write its file, then remove the partitions that it replaces."""
        self._check_owner(place)
        folder = self._folder(place)
        _check_folder(folder, place)
        with _hide_values(place):
            _write_table_file(self._file(place), place, table)
        if folder.is_dir():
            (folder / PARTITIONING).unlink(missing_ok=True)
            _remove_files(_list_partition_files(folder), place)
            if is_local(folder):
                remove_abandoned(Path(folder.path), ".")

    def write_partitions(self, place: TablePlace, parts: Mapping[str, pa.Table]) -> None:
        """Replace partitions: write their files, make them valid, remove what they replace."""
        folder = self._folder(place)
        (partitioning,) = {get_partitioning(key) for key in parts}
        self._check_owner(place)
        _check_folder(folder, place)
        if not (folder / MARKER).exists():
            write_file(folder / MARKER, lambda file: file.write(place.owner.encode()))
        with _hide_values(place):
            for key, part in parts.items():
                _write_table_file(
                    folder / _name_partition_file(key), place, add_partition_column(part, key)
                )
        if _read_partitioning(folder) != partitioning:
            write_file(folder / PARTITIONING, lambda file: file.write(partitioning.encode()))
        self._file(place).unlink(missing_ok=True)
        files = _list_partition_files(folder)
        others = [path for path in files if _get_partitioning(path) != partitioning]
        _remove_files(others, place)

    def read_table(self, place: TablePlace, partition_keys: Sequence[str] | None) -> pa.Table:
        """Return the table, or some of its partitions."""
        file = self._file(place)
        if not file.exists():
            return self._read_partitions(place, partition_keys)
        if partition_keys is not None:
            raise place.missing_error()
        return _read_file(file, place)

    def _read_partitions(self, place: TablePlace, keys: Sequence[str] | None) -> pa.Table:
        folder = self._folder(place)
        present = _read_partitioning(folder)
        files = (
            _list_partition_files(folder)
            if keys is None and present is not None
            else [folder / _name_partition_file(key) for key in keys or ()]
        )
        valid = [path for path in files if _get_partitioning(path) == present]
        if not valid or len(valid) < len(keys or ()):
            raise place.missing_error()
        return concatenate(_read_file(path, place).drop_columns(BUCKET) for path in valid)

    def read_sources(self, place: TablePlace) -> Collection[str | None]:
        """Return of which projects in REDCap the table or its valid partitions were made."""
        self._check_owner(place)
        file, folder = self._file(place), self._folder(place)
        if file.exists():
            return [_read_mark(file, SOURCE)]
        present = _read_partitioning(folder)
        files = [] if present is None else _list_partition_files(folder)
        return [_read_mark(path, SOURCE) for path in files if _get_partitioning(path) == present]

    def _check_owner(self, place: TablePlace) -> None:
        """Raise an error if the files belong to another asset, or are not in the base folder."""
        file, folder = self._file(place), self._folder(place)
        base = UPath(self.get_base(), **self.storage_options)
        if is_local(base):
            inside = Path(base.path).resolve()
            if not all(Path(path.path).resolve().is_relative_to(inside) for path in (file, folder)):
                raise ValueError(
                    f"A link leads from the place of table {place} out of the base folder of "
                    "ParquetTableIOManager. Remove the link, or give the IO manager another "
                    "base_path."
                )
        stored = (
            [file] if file.exists() else _list_partition_files(folder) if folder.is_dir() else []
        )
        if stored:
            place.check_owner(_read_mark(stored[0], OWNER))

    def _folder(self, place: TablePlace) -> UPath:
        base: UPath = UPath(self.get_base(), **self.storage_options)
        return base / place.schema / place.table

    def _file(self, place: TablePlace) -> UPath:
        return self._folder(place).with_name(f"{place.table}{SUFFIX}")


@contextmanager
def _hide_values(place: TablePlace) -> Iterator[None]:
    """Raise Arrow's errors again without its message, which holds values."""
    try:
        yield
    except pa.ArrowException as error:
        raise RuntimeError(
            f"Table {place} could not be written as Parquet ({type(error).__name__}); the stored "
            "table is unchanged. Parquet probably cannot store the type of a column. Give each "
            "column one simple type, for instance with astype('string[pyarrow]')."
        ) from None


# -- partitions -----------------------------------------------------------------------------------


def _name_partition_file(key: str) -> str:
    """Return the name of a partition's file."""
    return f"{quote(key, safe='')}{SUFFIX}"


def _get_partition_key(path: UPath) -> str:
    """Return the key of the partition of a file."""
    return unquote(path.name.removesuffix(SUFFIX))


def _list_partition_files(folder: UPath) -> list[UPath]:
    return sorted(
        (path for path in folder.iterdir() if path.name.endswith(SUFFIX)),
        key=lambda path: path.name,
    )


def _read_partitioning(folder: UPath) -> str | None:
    """Return the partitioning that is valid in a folder; None without one."""
    try:
        text: str = (folder / PARTITIONING).read_text()
    except FileNotFoundError:
        return None
    return text


def _get_partitioning(path: UPath) -> str:
    """Return the partitioning of a file's partition."""
    return get_partitioning(_get_partition_key(path))


def _check_folder(folder: UPath, place: TablePlace) -> None:
    """Raise an error for a folder that this IO manager did not make, and that holds something.

    Raises:
        ValueError: The folder is not one of partitions.
    """
    if not folder.is_dir() or (folder / MARKER).exists() or (folder / PARTITIONING).exists():
        return
    if any(folder.iterdir()):
        raise ValueError(
            f"The folder of table {place} has files that ParquetTableIOManager did not write, and "
            "which it does not touch. Move the folder elsewhere, or give the IO manager a "
            "base_path of its own."
        )


def _remove_files(files: Iterable[UPath], place: TablePlace) -> None:
    """Remove files of partitions, but none that this IO manager did not write."""
    for path in files:
        if _read_mark(path, OWNER) == place.owner:
            path.unlink(missing_ok=True)


# -- files ----------------------------------------------------------------------------------------


def _read_file(path: UPath, place: TablePlace) -> pa.Table:
    # Not pq.read_table, which makes a column of a folder named "a=1".
    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
    except FileNotFoundError:
        raise place.missing_error() from None
    except pa.ArrowException as error:
        raise RuntimeError(
            f"A file of table {place} could not be read as Parquet ({type(error).__name__}). The "
            "file is probably damaged. Materialize the asset again."
        ) from None
    place.check_owner(_get_mark(table.schema, OWNER))
    return table.replace_schema_metadata(None)


def _read_mark(path: UPath, key: bytes) -> str | None:
    """Return what a file says of its owner or source; None if it does not, or cannot be read."""
    try:
        with path.open("rb") as file:
            return _get_mark(pq.read_schema(file), key)
    except (FileNotFoundError, pa.ArrowException):
        return None


def _get_mark(schema: pa.Schema, key: bytes) -> str | None:
    mark: bytes | None = (schema.metadata or {}).get(key)
    return None if mark is None else mark.decode()


def _write_table_file(path: UPath, place: TablePlace, table: pa.Table) -> None:
    source = get_source(table)
    marks = {OWNER: place.owner, **({} if source is None else {SOURCE: source})}
    signed = table.replace_schema_metadata(marks)
    write_file(path, lambda file: pq.write_table(signed, file))
