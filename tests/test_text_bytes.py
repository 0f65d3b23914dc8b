"""Tests of text by its bytes: against Arrow's own functions, and casts against the grammars."""

from unittest import mock

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redcap_dagster import text_bytes
from redcap_dagster.tables.cleaning.column_types import (
    BOOLEAN,
    DATE,
    DATETIME,
    DOUBLE,
    DOUBLE_COMMA,
    INTEGER,
    ColumnType,
    cast_array,
    cast_by_grammar,
)
from redcap_dagster.text_bytes import (
    find_texts,
    has_blank,
    index_texts,
    is_ascending,
    view_bytes,
)

KINDS = (INTEGER, DOUBLE, DOUBLE_COMMA, BOOLEAN, DATE, DATETIME)
IDS = ("integer", "double", "double_comma", "boolean", "date", "datetime")
ODD = (
    *("2024-02-29", "2023-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "2024-13-01"),
    *("2024-02-29 10:00", "2024-02-29T10:00:59", "2024-02-29 24:00", "2024-02-29 9:30"),
    *("0000-02-29 10:00", "2024-02-29 10:00+05", "2024-02-29 10:00:60", "2024-02-29 10:00.5"),
    *("2024-02-29 10", "2024-02-29 10-05", "2024-02-29 10:00:00.5", "20240229 10:00:00"),
    *("7", "07", "-0", "+5", "5.", ".5", "-.5", ".", "-", "1.2.3", "1e5", "9" * 18, "9" * 19),
    *("1" * 400, "2,5", "1,2.5", "0x10", "NaN", "nan", "inf", "?", "", "true", "00"),
)
VALUES = st.sampled_from(["", "1", "0", "?", "-9", "12", "é", "UNK", "n/a", "\0", "1 "])


@st.composite
def chunks(draw: st.DrawFn, values: st.SearchStrategy[str]) -> pa.Array:
    """A part of an array of text, in which some nulls have bytes beneath."""
    texts = pa.array(draw(st.lists(values | st.none(), min_size=1, max_size=20)), pa.string())
    hidden = draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    shown = pa.array([text is not None and not hide
                      for text, hide in zip(texts.to_pylist(), hidden, strict=True)])  # fmt: skip
    over_bytes = pa.Array.from_buffers(
        pa.string(), len(texts), [shown.buffers()[1], *texts.buffers()[1:]]
    )
    start = draw(st.integers(0, len(texts)))
    return over_bytes.slice(start, draw(st.integers(0, len(texts) - start)))


def _sort_in_chunks(texts: list[str]) -> list[pa.Array]:
    """Arrays of different texts from short to long, in two parts."""
    ordered = sorted(texts, key=lambda text: (len(text.encode()), text.encode()))
    return [pa.array(part, pa.string()) for part in (ordered[:3], ordered[3:])]


def _fill_plain_form(kind: ColumnType) -> st.SearchStrategy[str]:
    """Texts with the characters and lengths of a type's plain form; most are not values of it."""
    assert kind.plain
    lowest, highest = map(ord, kind.plain.characters)
    characters = st.characters(min_codepoint=lowest, max_codepoint=highest)
    lengths = kind.plain.lengths
    return st.text(characters, min_size=lengths.start, max_size=min(lengths.stop, 20))


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@given(data=st.data())
def test_a_column_is_cast_as_by_the_grammar(kind: ColumnType, data: st.DataObject) -> None:
    text = data.draw(chunks(st.sampled_from(ODD) | _fill_plain_form(kind)))
    assert cast_array(text, kind).equals(cast_by_grammar(text, kind))


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("value", ODD)
def test_a_value_is_cast_as_by_the_grammar(value: str, kind: ColumnType) -> None:
    text = pa.array([value])
    assert cast_array(text, kind).equals(cast_by_grammar(text, kind))


@given(chunks(VALUES), st.lists(VALUES, max_size=5))
@example(pa.array(["1"]), ["1", "1"])
def test_positions_are_those_of_arrow(text: pa.Array, known: list[str]) -> None:
    expected = pc.fill_null(pc.index_in(text, pa.array(known, pa.string()), skip_nulls=True), -1)
    assert index_texts(text, known).tolist() == expected.to_pylist()
    is_known = [position >= 0 for position in expected.to_pylist()]
    assert find_texts(pa.chunked_array([text]), known).to_pylist() == is_known


@given(chunks(st.sampled_from("01?")), st.lists(st.sampled_from(["1", "0", "?", "12"]), max_size=3))
@example(pa.array(["1", "0", "1"]), ["0", "1"])
@example(pa.array(["0", "1", "0"])[1:], ["1"])
@example(pa.array(["12", ""]), ["1", "2"])
def test_ticks_are_told_by_their_bytes(text: pa.Array, known: list[str]) -> None:
    expected = pc.fill_null(pc.index_in(text, pa.array(known, pa.string()), skip_nulls=True), -1)
    assert index_texts(text, known).tolist() == expected.to_pylist()
    firsts = [(value or "\0").encode()[0] for value in text.to_pylist()]
    assert view_bytes(text).first.tolist() == firsts


@given(chunks(st.sampled_from(["1", "?", "", "a?", "??", "é"])))
@example(pa.array(["", "?", "", "a?", None]))
def test_a_rare_marker_is_found_among_many_values(text: pa.Array) -> None:
    many = pa.concat_arrays([text, pa.array(["12"] * 2000)])
    expected = [value == "?" for value in many.to_pylist()]
    assert find_texts(pa.chunked_array([many]), ["?"]).to_pylist() == expected


@given(chunks(VALUES))
def test_a_blank_is_found(text: pa.Array) -> None:
    assert has_blank(pa.chunked_array([text])) == ("" in text.to_pylist())


@example([pa.array(["1", "2"]), pa.array(["2", "3"])])  # equal where a block ends
@given(st.lists(chunks(VALUES), max_size=3) | st.lists(VALUES, unique=True).map(_sort_in_chunks))
def test_values_in_ascending_order_are_known_to_differ(parts: list[pa.Array]) -> None:
    texts = [text for part in parts for text in part.to_pylist()]
    encoded = [(len(text.encode()), text.encode()) for text in texts if text is not None]
    expected = None not in texts and encoded == sorted(set(encoded))
    with mock.patch.object(text_bytes, "_ROWS", 2):
        assert is_ascending(pa.chunked_array(parts, pa.string())) == expected
