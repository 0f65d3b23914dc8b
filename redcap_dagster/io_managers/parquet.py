"""Tables as Parquet files, on this machine or in an object store."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import pyarrow as pa
from pydantic import Field, PrivateAttr
from upath import UPath

from redcap_dagster.io_managers.atomic_files import (
    is_local,
    prepare_file,
    remove_abandoned,
    write_file,
)
from redcap_dagster.io_managers.location import TablePlace, check_regular_file
from redcap_dagster.io_managers.parquet_files import (
    OWNER,
    check_written,
    read_file,
    read_mark,
    write_rows,
)
from redcap_dagster.io_managers.partition_folder import (
    MARKER,
    PARTITIONING,
    SUFFIX,
    check_partition_folder,
    get_file_partitioning,
    is_partition_folder,
    list_own_files,
    list_partition_files,
    lock_partitions,
    name_partition_file,
    read_partitioning,
    remove_partition_files,
    remove_partitions,
)
from redcap_dagster.io_managers.schema_evolution import concatenate
from redcap_dagster.io_managers.table_io_manager import (
    SOURCE,
    TableIOManager,
    add_partition_column,
)
from redcap_dagster.partitions import BUCKET, get_partitioning

logger = logging.getLogger("redcap_dagster")

_TEMPORARY_HOME = ".tmp_dagster_home_"
"""Begin of the folder that Dagster's commands make, and remove, without DAGSTER_HOME."""

_READ_ATTEMPTS = 3
"""How often files are looked for that another process may replace meanwhile."""


class ParquetTableIOManager(TableIOManager):
    """IO manager that stores each asset as a Parquet file, or as one file per partition.

    The file is ``BASE/SCHEMA/TABLE.parquet``, those of partitions are in ``BASE/SCHEMA/TABLE/``.
    Readers find a file complete or not at all, and never partitions together with what they
    replace: ``TABLE.parquet`` is valid while it exists, else the partitioning that the file
    ``TABLE/_partitioning`` names.

    Partitions of local files are protected by a lock file. An object store has no such lock: let
    one run at a time change there whether a table has partitions, and how many.

    Only files that this IO manager wrote are read, replaced or removed; their metadata name the
    asset. Another file or folder in the place of a table is refused, and so is a link that leads
    out of the base folder.

    Damage of a file is noticed: its pages, its columns and the number of its rows have checksums.
    What cannot be noticed: another complete file in its place, or damage of a file without
    checksums, which an earlier version wrote.

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
            storage = Path(context.instance.storage_directory())
            self._default_base = str(storage / "redcap")
            if context.instance.is_ephemeral or any(
                part.startswith(_TEMPORARY_HOME) for part in storage.parts
            ):
                (context.log or logger).warning(
                    "DAGSTER_HOME is not set, so that this Dagster instance is temporary: its "
                    "tables are deleted when the command ends. Set DAGSTER_HOME, or store the "
                    "tables elsewhere: with storage, or a base_path of ParquetTableIOManager."
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
        self._check_place(place)
        file, folder = self._file(place), self._folder(place)
        check_partition_folder(folder, place)
        check_written(file, place)
        content = write_rows(place, table)
        with _hide_values(place), prepare_file(file, content) as replace, lock_partitions(folder):
            replace()
        with lock_partitions(folder):
            # Nobody else replaced it by partitions meanwhile.
            if is_partition_folder(folder) and file.exists():
                remove_partitions(folder, place)
        if is_local(folder):
            remove_abandoned(Path(folder.path), ".")

    def write_partitions(self, place: TablePlace, parts: Mapping[str, pa.Table]) -> None:
        """Replace partitions: write their files, make them valid, remove what they replace."""
        file, folder = self._file(place), self._folder(place)
        (partitioning,) = {get_partitioning(key) for key in parts}
        self._check_place(place)
        check_partition_folder(folder, place)
        names = {key: name_partition_file(key) for key in parts}
        for path in (file, *(folder / name for name in names.values())):
            check_written(path, place)
        if not (folder / MARKER).exists():
            write_file(folder / MARKER, lambda file: file.write(place.owner.encode()))
        with _hide_values(place), ExitStack() as stack:
            replacements = [
                stack.enter_context(
                    prepare_file(
                        folder / names[key],
                        write_rows(place, add_partition_column(part, key)),
                    )
                )
                for key, part in parts.items()
            ]
            stack.enter_context(lock_partitions(folder))
            # What is in the folder was replaced by the file. Without a lock, it may be of a writer
            # at the same time.
            if is_local(folder) and file.exists():
                remove_partitions(folder, place)
            for replace in replacements:
                replace()
            if read_partitioning(folder) != partitioning:
                write_file(folder / PARTITIONING, lambda file: file.write(partitioning.encode()))
            file.unlink(missing_ok=True)
            files = list_partition_files(folder)
            others = [path for path in files if get_file_partitioning(path) != partitioning]
            remove_partition_files(others, place)

    def read_table(self, place: TablePlace, partition_keys: Sequence[str] | None) -> pa.Table:
        """Return the table, or some of its partitions."""
        self._check_place(place)
        for _ in range(_READ_ATTEMPTS):
            with suppress(FileNotFoundError), lock_partitions(self._folder(place)):
                files = self._find_files(place, partition_keys)
                tables = [read_file(path, place) for path in files]
                if files == [self._file(place)]:
                    return tables[0]
                return concatenate(table.drop_columns(BUCKET) for table in tables)
        raise place.missing_error()

    def read_sources(self, places: Sequence[TablePlace]) -> Sequence[Collection[str | None]]:
        """Return of which projects in REDCap each table or its partitions were made."""
        return [self._read_sources(place) for place in places]

    def _read_sources(self, place: TablePlace) -> Collection[str | None]:
        self._check_place(place)
        with suppress(FileNotFoundError), lock_partitions(self._folder(place)):
            return [read_mark(path, SOURCE) for path in self._find_files(place, None)]
        return []

    def _find_files(self, place: TablePlace, keys: Sequence[str] | None) -> list[UPath]:
        """Return the file of the table, or those of some or all of its partitions.

        Raises:
            FileNotFoundError: They are not stored, or not any more.
        """
        file, folder = self._file(place), self._folder(place)
        whole = file.exists()
        if whole and keys is None:
            return [file]
        present = None if whole else read_partitioning(folder)
        files = [] if present is None else list_partition_files(folder)
        valid = {path.name: path for path in files if get_file_partitioning(path) == present}
        names = valid if keys is None else [name_partition_file(key) for key in keys]
        if not valid or not valid.keys() >= set(names):
            raise FileNotFoundError
        return [valid[name] for name in names]

    def _check_place(self, place: TablePlace) -> None:
        """Raise an error if another asset, or something else than our files, has the place."""
        file, folder = self._file(place), self._folder(place)
        ours = [file, *(list_own_files(folder) if folder.is_dir() else [])]
        base = UPath(self.get_base(), **self.storage_options)
        if is_local(base):
            inside = Path(base.path).resolve()
            if not all(Path(one.path).resolve().is_relative_to(inside) for one in (folder, *ours)):
                raise ValueError(
                    f"A link leads from the place of table {place} out of the base folder of "
                    "ParquetTableIOManager. Remove the link, or give the IO manager another "
                    "base_path."
                )
            for one in ours:
                check_regular_file(Path(one.path))
        stored = [one for one in ours if one.name.endswith(SUFFIX) and one.exists()]
        if stored:
            place.check_owner(read_mark(stored[0], OWNER))

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
