"""Digests depend on values alone, not on how Arrow holds them in memory."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from unittest import mock

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.catalog.versions import data_version
from redcap_dagster.tables import digests, read_contents
from redcap_dagster.tables.digests import digest_column

TEXTS = st.sampled_from(["", "a", "b", "ab", "é\n", "0", "\0"])
MOMENTS = ("1969-12-31 23:59:59", "2020-02-29 00:00:00", "2020-02-29 00:00:00.000001")
KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): TEXTS,
    pa.int64(): st.integers(-2, 2),
    pa.float64(): st.sampled_from([0.0, 0.5, -1.0, 1e300]),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(date(2020, 1, 1), date(2020, 1, 4)),
    pa.timestamp("us"): st.sampled_from(list(map(datetime.fromisoformat, MOMENTS))),
    pa.time64("us"): st.sampled_from([time(0), time(0, 1), time(23, 59)]),
    pa.list_(pa.string()): st.lists(st.none() | TEXTS, max_size=3),
    pa.dictionary(pa.int32(), pa.string()): TEXTS,
}


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_ROWS", 8)


@st.composite
def held(draw: st.DrawFn, kind: pa.DataType, values: Sequence[Any]) -> pa.ChunkedArray:
    """Return values as Arrow may hold them: in chunks, in the middle of others, with any bytes."""
    ends = sorted(draw(st.lists(st.integers(0, len(values)), max_size=2)))
    bounds = zip([0, *ends], [*ends, len(values)], strict=True)
    chunks = [draw(held_chunk(kind, values[first:last])) for first, last in bounds]
    return pa.chunked_array(chunks, kind)


@st.composite
def held_chunk(draw: st.DrawFn, kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    before, after = draw(st.lists(KINDS[kind], max_size=9)), draw(st.lists(KINDS[kind], max_size=2))
    under = [draw(KINDS[kind]) if value is None else value for value in values]
    there = [
        *(True for _ in before),
        *(value is not None for value in values),
        *(True for _ in after),
    ]
    given_validity = draw(st.booleans()) or not all(there)
    validity = pa.array(there, pa.bool_()).buffers()[1] if given_validity else None
    if pa.types.is_dictionary(kind):
        texts = [*draw(st.permutations(["", "a", "b", "ab", "é\n", "0", "\0"])), "a", None, ""]
        every = [*before, *under, *after]
        places = [
            draw(st.sampled_from([place for place, text in enumerate(texts) if text == value]))
            for value in every
        ]
        null = texts.index(None)
        if draw(st.booleans()):  # null by a null of the dictionary
            validity = None
            places = [place if ok else null for place, ok in zip(places, there, strict=True)]
        full = pa.array(places, pa.int32())
        indices = pa.Array.from_buffers(pa.int32(), len(full), [validity, full.buffers()[1]])
        array = pa.DictionaryArray.from_arrays(indices, pa.array(texts))
    else:
        full = pa.array([*before, *under, *after], kind)
        _, *buffers = full.buffers()[: full.type.num_buffers]
        children = [full.values] if pa.types.is_list(kind) else []
        array = pa.Array.from_buffers(kind, len(full), [validity, *buffers], children=children)
    return array.slice(len(before), len(values))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=60)
@given(data=st.data())
def test_equal_values_have_equal_digests_and_others_do_not(
    kind: pa.DataType, data: st.DataObject
) -> None:
    columns = st.lists(KINDS[kind], max_size=9) | st.lists(st.none() | KINDS[kind], max_size=20)
    one = data.draw(columns)
    other = data.draw(st.just(one) | columns)
    first, second = data.draw(held(kind, one)), data.draw(held(kind, other))
    assert first.to_pylist() == one
    assert (digest_column(first) == digest_column(second)) == (one == other)


def test_digests_stay_what_they_are() -> None:
    columns = [
        pa.array(["é", None, "", "ab"]),
        pa.array([7, None, -1]),
        pa.array([True, None, False]),
        pa.array([date(2020, 2, 29), None]),
        pa.array(["b", None, "a"]).dictionary_encode(),
        pa.array([["a"], None, []], pa.list_(pa.string())),
        pa.array([None], pa.string()),
    ]
    digests_of = b"".join(digest_column(pa.chunked_array([column])) for column in columns)
    assert hashlib.sha256(digests_of).hexdigest()[:16] == "aae01d0dd71b9f33"


def make_version(table: pa.Table, key: bytes = b"key") -> dg.DataVersion:
    return data_version(read_contents(table), key)


def test_names_types_order_and_key_are_part_of_the_version() -> None:
    table = pa.table({"a": ["1", None], "b": ["", "x"]})
    tables = [
        table,
        table.rename_columns(["a", "c"]),
        table.rename_columns(["b", "a"]),
        table.select(["b", "a"]),
        table.select(["a"]),
        table.slice(0, 1),
        table.slice(0, 0),
        table.set_column(0, "a", pa.array([1, None])),
        table.set_column(1, "b", table["b"].dictionary_encode()),
        table.set_column(1, "b", pa.array([None, "x"])),
    ]
    assert len({make_version(one).value for one in tables}) == len(tables)
    assert make_version(table, b"other") != make_version(table)


def test_what_two_tables_share_is_read_once() -> None:
    texts = [str(number) for number in range(12)]
    records = pa.table({"id": texts, "same": texts, "age": texts, "marked": texts})
    clean = pa.table(
        {"id": texts, "same": texts, "age": range(12), "marked": [*texts[1:], None], "new": texts}
    )
    known = read_contents(records, ["id", "age", "marked"])
    expected = read_contents(clean, clean.column_names)
    with mock.patch("redcap_dagster.tables.contents.digest_column", wraps=digest_column) as hashing:
        assert read_contents(clean, clean.column_names, known) == expected
    assert hashing.call_count == 4  # all but "id": "same" was not counted before
