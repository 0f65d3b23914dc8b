"""The keys of the rows of a record export: record, event, instrument and instance."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.errors import MalformedResponseError
from redcap_dagster.project.system_columns import (
    EVENT_NAME,
    REPEAT_COLUMNS,
)
from redcap_dagster.text_bytes import is_ascending

REQUEST = "record export"

_SHORTEST_HASH: Final = 32
"""Digits of the shortest hash in use: a shorter id is not hashed."""

_ROWS_AT_ONCE = 1 << 15
"""Rows whose keys are Python texts at a time."""

_MERGE_SHARE = 1 / 8
"""Newer digests are merged into the older ones when they exceed this share of them."""

_Digests = npt.NDArray[np.int64]
_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)


def check_row_keys(
    batches: Iterator[pa.RecordBatch], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    """Yield batches whose rows have different keys.

    As long as keys ascend, as record ids usually do, they are different, and only kept. Otherwise 8
    bytes are kept for each row: Python's hash of its key. Two rows of a million have the same hash
    by chance in less than one of ten million exports, which is then refused.

    Raises:
        MalformedResponseError: Rows have no record id, or are duplicate rows. Their batch is not
            yielded.

    Example:
        >>> def batch(*ids: str) -> pa.RecordBatch:
        ...     return pa.record_batch({"record_id": list(ids)})
        >>> batches = iter([batch("1", "2"), batch("3")])
        >>> [rows.num_rows for rows in check_row_keys(batches, "record_id")]
        [2, 1]
        >>> list(check_row_keys(iter([batch("1", "2"), batch("2")]), "record_id"))
        Traceback (most recent call last):
        redcap_dagster.api.errors.MalformedResponseError: record export: 0 rows have no record id, \
and 1 are duplicate rows of a record, event and instance. Ids that differ in capitals, accents or \
last blanks alone are one record for REDCap's database. Try again; if it lasts, look for such \
records in REDCap, or tell the server's administrator.
    """
    # Both are sorted. Most digests are among the older ones, which are rarely sorted again.
    older = newer = np.empty(0, np.int64)
    not_hashed, ascending = list[pa.StringArray](), True
    for batch in batches:
        keys = _join_keys(batch, record_id_field)
        last = [before[-1:] for before in not_hashed[-1:]]
        ascending = ascending and is_ascending(pa.chunked_array([*last, keys]))
        if len(keys):
            not_hashed.append(keys)
        if ascending and not batch[record_id_field].null_count:
            yield batch
            continue
        digests = np.concatenate([older[:0], *map(_hash_keys, not_hashed)])
        not_hashed.clear()
        known = _are_in(older, digests)
        newer = np.sort(np.concatenate([newer, digests[~known]]))
        again = np.count_nonzero(known) + np.count_nonzero(newer[1:] == newer[:-1])
        blank = batch[record_id_field].null_count
        if blank or again:
            raise key_error(blank, int(again))
        if len(newer) > len(older) * _MERGE_SHARE:
            older, newer = np.sort(np.concatenate([older, newer])), newer[:0]
        yield batch


def check_distinct_keys(rows: pa.Table, record_id_field: str) -> pa.Table:
    """Return rows of several responses, if they have different keys.

    Raises:
        MalformedResponseError: They are duplicate rows.
    """
    again = rows.num_rows - pc.count_distinct(_join_keys(rows, record_id_field)).as_py()
    if again:
        raise key_error(0, again)
    return rows


def check_record_ids(
    batches: Iterator[pa.RecordBatch], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    """Yield batches whose rows have record ids.

    For rows with labels nothing more can be checked: events or instruments may share a label.

    Raises:
        MalformedResponseError: Rows have no record id. Their batch is not yielded.
    """
    for batch in batches:
        if blank := batch[record_id_field].null_count:
            raise key_error(blank, 0)
        yield batch


def join_key_columns(rows: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Return some columns of each row as one text, the first column last.

    The first is the record id, the only one that may contain the separator.
    """
    texts = [pc.fill_null(rows[name], "") for name in (*names[1:], names[0])]
    return pc.binary_join_element_wise(*texts, "\x1f")


def add_repeat_columns(rows: _Rows) -> _Rows:
    """Return rows of a project with instances, with the two columns that say which rows they are.

    Some servers omit them from a response where no row is an instance.

    Example:
        >>> add_repeat_columns(pa.table({"record_id": ["1"], "age": ["40"]})).column_names
        ['record_id', 'redcap_repeat_instrument', 'redcap_repeat_instance', 'age']
    """
    names = rows.schema.names
    if not {*REPEAT_COLUMNS}.isdisjoint(names) or (not rows.num_rows and len(names) == 1):
        return rows
    position = names.index(EVENT_NAME) + 1 if EVENT_NAME in names else 1
    blank = pa.nulls(rows.num_rows, pa.string())
    for name in reversed(REPEAT_COLUMNS):
        rows = rows.add_column(position, pa.field(name, pa.string()), blank)
    return rows


def fold_record_ids(ids: Any) -> Any:
    """Return a column of record ids as REDCap's database compares them.

    Ids that differ in capitals, accents of Latin letters or last blanks alone are one record. Of
    other alphabets, marks often make another letter.

    Example:
        >>> fold_record_ids(pa.array(["É-1 ", "e-1", "й"])).to_pylist()
        ['e-1', 'e-1', 'й']
    """
    ids = pc.utf8_rtrim(ids, " ")
    if pc.all(pc.string_is_ascii(ids), min_count=0).as_py():  # the usual case
        return pc.utf8_lower(ids)
    letters = pc.utf8_normalize(ids, form="NFD")
    plain = pc.replace_substring_regex(letters, r"([A-Za-z])[\x{0300}-\x{036F}]+", r"\1")
    return pc.utf8_lower(pc.utf8_normalize(plain, form="NFC"))


def may_be_hashed(records: Sequence[str]) -> bool:
    """Return whether record ids may be hashes, which REDCap shows to some users instead of ids.

    Example:
        >>> may_be_hashed(["5"]), may_be_hashed(["0cc175b9c0f1b6a831c399e269772661"])
        (False, True)
    """
    return len(records) > 0 and len(records[0]) >= _SHORTEST_HASH


def _join_keys(rows: _Rows, record_id_field: str) -> Any:
    """Return the key of each row as one text."""
    # The record id is last, as only it may contain the separator.
    names = (EVENT_NAME, *REPEAT_COLUMNS)
    columns: list[Any] = [rows[name] for name in names if name in rows.schema.names]
    columns.append(fold_record_ids(rows[record_id_field]))
    return pc.binary_join_element_wise(
        *columns, "\x1f", null_handling="replace", null_replacement=""
    )


def _hash_keys(texts: pa.StringArray) -> _Digests:
    # A batch of record ids alone has too many rows for Python texts of all at once.
    slices = (texts.slice(start, _ROWS_AT_ONCE) for start in range(0, len(texts), _ROWS_AT_ONCE))
    hashes = chain.from_iterable(map(hash, one.to_pylist()) for one in slices)
    return np.fromiter(hashes, np.int64, len(texts))


def _are_in(ordered: _Digests, digests: _Digests) -> npt.NDArray[np.bool_]:
    """Return which digests are among others, which are sorted."""
    places = np.searchsorted(ordered, digests)
    found = np.zeros(len(digests), np.bool_)
    inside = places < len(ordered)
    found[inside] = ordered[places[inside]] == digests[inside]
    return found


def key_error(blank: int, again: int) -> MalformedResponseError:
    """Return the error for rows without a record id, and for duplicate rows."""
    return MalformedResponseError(
        f"{REQUEST}: {blank} rows have no record id, and {again} are duplicate rows of a record, "
        "event and instance. Ids that differ in capitals, accents or last blanks alone are one "
        "record for REDCap's database. Try again; if it lasts, look for such records in REDCap, or "
        "tell the server's administrator.",
        request=REQUEST,
    )


def select_records(rows: pa.Table, records: Sequence[str], record_id_field: str) -> pa.Table:
    """Return the rows of some records."""
    return rows.filter(pc.is_in(rows[record_id_field], pa.array(records, pa.string())))


def drop_records(rows: pa.Table, records: Iterable[str], record_id_field: str) -> pa.Table:
    """Return the rows of all but some records."""
    dropped = pc.is_in(rows[record_id_field], pa.array([*records], pa.string()))
    if not pc.any(dropped, min_count=0).as_py():  # to filter copies all columns
        return rows
    return rows.filter(pc.invert(dropped))
