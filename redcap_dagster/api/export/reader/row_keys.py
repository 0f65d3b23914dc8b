"""The key of each row of a record export: record, event, form and instance, which no two share."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.errors import MalformedResponseError
from redcap_dagster.project.system_columns import (
    EVENT_NAME,
    REPEAT_COLUMNS,
)

REQUEST = "record export"

_AT_ONCE = 1 << 15
"""Rows."""

_SHARE = 1 / 8
"""How many digests are not yet among the earlier ones, at most, of these."""

_Digests = npt.NDArray[np.int64]


def check_row_keys(
    batches: Iterator[pa.RecordBatch], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    """Pass on rows, each of which has a key of its own.

    Of the rows that were passed on, 8 bytes each are kept: the hash that Python makes of texts,
    with a key of its own in each process. Two of a million rows have one hash by chance in less
    than one of ten million exports; then it is refused.

    Raises:
        MalformedResponseError: A row has no record id, or comes twice; its batch was not passed on.

    Example:
        >>> def batch(*ids: str) -> pa.RecordBatch:
        ...     return pa.record_batch({"record_id": list(ids)})
        >>> batches = iter([batch("1", "2"), batch("3")])
        >>> [rows.num_rows for rows in check_row_keys(batches, "record_id")]
        [2, 1]
        >>> list(check_row_keys(iter([batch("1", "2"), batch("2")]), "record_id"))
        Traceback (most recent call last):
        redcap_dagster.api.errors.MalformedResponseError: record export: 0 rows have no record id, \
and 1 are of a record, event and instance that came before. Try again; if it lasts, have a look at \
the export in REDCap, or tell the server's administrator.
    """
    # Both are sorted. Most are among the earlier ones, which are seldom sorted anew.
    earlier = latest = np.empty(0, np.int64)
    for batch in batches:
        digests = _digests(batch, record_id_field)
        known = _are_in(earlier, digests)
        latest = np.sort(np.concatenate([latest, digests[~known]]))
        again = np.count_nonzero(known) + np.count_nonzero(latest[1:] == latest[:-1])
        blank = batch[record_id_field].null_count
        if blank or again:
            raise _refused(blank, int(again))
        if len(latest) > len(earlier) * _SHARE:
            earlier, latest = np.sort(np.concatenate([earlier, latest])), latest[:0]
        yield batch


def check_record_ids(
    batches: Iterator[pa.RecordBatch], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    """Pass on rows, each of which has a record id.

    That is all that can be asked of rows with labels: events or forms may share one.

    Raises:
        MalformedResponseError: A row has no record id; its batch was not passed on.
    """
    for batch in batches:
        if blank := batch[record_id_field].null_count:
            raise _refused(blank, 0)
        yield batch


def key_texts(rows: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Write some columns of each row as one text, the first of them last.

    That is the record id, which alone may hold what stands between them.
    """
    texts = [pc.fill_null(rows[name], "") for name in (*names[1:], names[0])]
    return pc.binary_join_element_wise(*texts, "\x1f")


def _digests(batch: pa.RecordBatch, record_id_field: str) -> _Digests:
    # The record id comes last: of these it alone may hold what stands between them.
    names = (EVENT_NAME, *REPEAT_COLUMNS, record_id_field)
    parts: list[Any] = [batch[name] for name in names if name in batch.schema.names]
    texts = pc.binary_join_element_wise(
        *parts, "\x1f", null_handling="replace", null_replacement=""
    )
    # Of ids alone, a batch holds so many that all of them as texts of Python would be too much.
    some = (texts.slice(start, _AT_ONCE) for start in range(0, len(texts), _AT_ONCE))
    hashes = chain.from_iterable(map(hash, one.to_pylist()) for one in some)
    return np.fromiter(hashes, np.int64, len(texts))


def _are_in(ordered: _Digests, digests: _Digests) -> npt.NDArray[np.bool_]:
    """Tell which digests are among others, which are sorted."""
    places = np.searchsorted(ordered, digests)
    found = np.zeros(len(digests), np.bool_)
    inside = places < len(ordered)
    found[inside] = ordered[places[inside]] == digests[inside]
    return found


def _refused(blank: int, again: int) -> MalformedResponseError:
    return MalformedResponseError(
        f"{REQUEST}: {blank} rows have no record id, and {again} are of a record, event and "
        "instance that came before. Try again; if it lasts, have a look at the export in "
        "REDCap, or tell the server's administrator.",
        request=REQUEST,
    )


def select_records(rows: pa.Table, records: Sequence[str], record_id_field: str) -> pa.Table:
    """Give the rows of some records."""
    return rows.filter(pc.is_in(rows[record_id_field], pa.array(records, pa.string())))


def drop_records(rows: pa.Table, records: Iterable[str], record_id_field: str) -> pa.Table:
    """Leave out the rows of some records."""
    there = pc.is_in(rows[record_id_field], pa.array([*records], pa.string()))
    return rows.filter(pc.invert(there))
