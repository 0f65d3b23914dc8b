"""One Parquet file: its table with checksums, and what it says of its owner and source."""

import hashlib
import io
import json
import re
from collections.abc import Callable
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from redcap_dagster.frames import is_text
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.table_io_manager import SOURCE, get_source

OWNER = b"dagster_asset"
"""Key of the owner, the asset of the table, in the metadata of a file."""

DIGEST = b"dagster_digest"
"""Key of the digest of the columns and the number of rows, in the metadata of a file."""

CHOICES = b"dagster_choices"
"""Key of the entries of dictionary columns, which pages have, in the metadata of an empty file."""

_DICTIONARY_LIMIT = 128 * 1024
"""Bytes of different values from which on the values of a column are written as they are.

To look for equal values among more of them takes a fifth of the time, and does not save space. It
does not concern dictionary columns, whose entries are all written.
"""


def read_file(path: UPath, place: TablePlace) -> pa.Table:
    """Return the table of a file; pages and schema are compared with their checksums.

    Raises:
        FileNotFoundError: There is no such file any more.
        RuntimeError: The file is damaged.
        ValueError: It belongs to another asset, or is not of this IO manager.
    """
    try:
        # Not pq.read_table, which makes a column of a folder named "a=1".
        with path.open("rb") as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            table = parquet.read()
        table.validate(full=True)  # a damaged header gives codes without a value
        digest = _get_mark(table.schema, DIGEST)
        is_whole = digest in (None, _digest(table.schema, len(table)))
        damage = "" if is_whole else "not the columns and rows that were written"
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if not _is_damage(error):
            raise
        damage = type(error).__name__
    if damage:
        raise RuntimeError(
            f"A file of table {place} could not be read as Parquet ({damage}). The file is "
            "probably damaged. Materialize the asset again."
        )
    check_mark(table.schema, place)
    return _with_choices(table).replace_schema_metadata(None)


def _with_choices(table: pa.Table) -> pa.Table:
    """Return a table whose dictionary columns have their entries also if it has no rows."""
    for name, entries in json.loads(_get_mark(table.schema, CHOICES) or "{}").items():
        position = table.schema.get_field_index(name)
        field = table.schema.field(position)
        dictionary = pa.array(entries, field.type.value_type)
        column = pa.DictionaryArray.from_arrays(pa.array([], field.type.index_type), dictionary)
        table = table.set_column(position, field, column)
    return table


def _list_choices(table: pa.Table) -> dict[str, list[str]]:
    """Return the entries of each dictionary column of text."""
    columns = zip(table.column_names, table.columns, strict=True)
    return {
        name: column.chunk(0).dictionary.to_pylist()
        for name, column in columns
        if pa.types.is_dictionary(column.type) and is_text(column.type) and column.num_chunks
    }


def read_mark(path: UPath, key: bytes) -> str | None:
    """Return what a file says of its owner or source; None if it does not, or cannot be read."""
    schema = _read_schema(path)
    return None if schema is None else _get_mark(schema, key)


def check_written(path: UPath, place: TablePlace) -> None:
    """Raise an error for a file that this IO manager did not write for the asset.

    Args:
        path: The file; it need not exist.
        place: Place of the asset's table.

    Raises:
        ValueError: The file is of another asset, or of something other than this IO manager.
    """
    schema = _read_schema(path)
    if schema is not None:
        check_mark(schema, place)
    elif path.exists() and not _holds_mark(path.read_bytes(), place):
        raise _others_error(place)


def check_mark(schema: pa.Schema, place: TablePlace) -> None:
    """Raise an error if the owner in the metadata of a file is not the asset.

    Raises:
        ValueError: The owner is another asset, or there is none.
    """
    owner = _get_mark(schema, OWNER)
    if owner is None:
        raise _others_error(place)
    place.check_owner(owner)


def _others_error(place: TablePlace) -> ValueError:
    return ValueError(
        f"Table {place} has a file that ParquetTableIOManager did not write, or that is too "
        "damaged to tell, so that it is neither read nor replaced. If it is your own, move it "
        "elsewhere, or give the IO manager a base_path of its own; if it is a damaged table, "
        "remove it. Then materialize the asset."
    )


def _holds_mark(content: bytes, place: TablePlace) -> bool:
    """Return whether the bytes of a damaged file still have the owner in the metadata."""
    mark = re.escape(OWNER) + rb".{1,6}" + re.escape(place.owner.encode())
    return content.startswith(b"PAR1") and re.search(mark, content, re.DOTALL) is not None


def _read_schema(path: UPath) -> pa.Schema | None:
    """Return the schema and metadata of a file; None if it is missing or cannot be read."""
    try:
        with path.open("rb") as file:
            return pq.read_schema(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if not _is_damage(error):
            raise
        return None


def _is_damage(error: Exception) -> bool:
    """Whether an error says that a file is not Parquet; those of the system have a number."""
    return not isinstance(error, OSError) or error.errno is None


def _get_mark(schema: pa.Schema, key: bytes) -> str | None:
    mark: bytes | None = (schema.metadata or {}).get(key)
    return None if mark is None else mark.decode()


def write_rows(place: TablePlace, table: pa.Table) -> Callable[[IO[bytes]], None]:
    """Return a function that writes a table to a file, with checksums of its pages and schema."""

    def write(file: IO[bytes]) -> None:
        # Parquet does not have every type of Arrow: the digest is of those that come back.
        empty = io.BytesIO()
        pq.write_table(table.slice(0, 0), empty)
        schema = pq.ParquetFile(empty).schema_arrow
        source = get_source(table)
        marks = {
            OWNER: place.owner,
            DIGEST: _digest(schema, len(table)),
            **({} if source is None else {SOURCE: source}),
            **({} if len(table) else {CHOICES: json.dumps(_list_choices(table))}),
        }
        pq.write_table(
            table.replace_schema_metadata(marks),
            file,
            write_page_checksum=True,
            dictionary_pagesize_limit=_DICTIONARY_LIMIT,
            # Their limits take an eighth of the time, and help no query: rows are not sorted.
            write_statistics=[field.name for field in table.schema if not is_text(field.type)],
        )

    return write


def _digest(schema: pa.Schema, rows: int) -> str:
    """Return a digest of what pages do not have: the columns, and the number of rows."""
    columns = [(field.name, str(field.type), field.nullable) for field in schema]
    return hashlib.sha256(repr((columns, rows)).encode()).hexdigest()
