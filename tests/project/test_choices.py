"""The forms in which choice lists have been met."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.project import Choice, parse_choices
from redcap_dagster.project.choices import checkbox_column, format_choices


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0, No | 1, Yes", [("0", "No"), ("1", "Yes")]),
        ("1, one|2, two", [("1", "one"), ("2", "two")]),
        ("1,one | 2,two", [("1", "one"), ("2", "two")]),
        ("2, has, comma | 4, has, ,comma", [("2", "has, comma"), ("4", "has, ,comma")]),
        ("-99, Unknown | A1, Other", [("-99", "Unknown"), ("A1", "Other")]),
        ("|206, x| | 207, y", [("206", "x"), ("207", "y")]),
        ("Mr. | Mrs.", [("Mr.", "Mr."), ("Mrs.", "Mrs.")]),
        ("1, one |or| two | 3, b", [("1", "one |or| two"), ("3", "b")]),
        ("1, one | 2 | 3, b", [("1", "one"), ("2", "2"), ("3", "b")]),
        ("1 | 2 | 3", [("1", "1"), ("2", "2"), ("3", "3")]),
        ("1, | 2, b", [("1", ""), ("2", "b")]),
        ("1, a | 1, b", [("1", "a")]),
        ("1, <5 years | 2, >2 & <b>more</b>", [("1", "<5 years"), ("2", ">2 & <b>more</b>")]),
        ("", []),
    ],
)
def test_forms_that_have_been_met(text: str, expected: list[tuple[str, str]]) -> None:
    assert parse_choices(text) == tuple(Choice(code, label) for code, label in expected)


_words = st.text(st.characters(exclude_characters="|,", exclude_categories=["C", "Z"]), min_size=1)


@given(st.dictionaries(_words, _words))
def test_what_is_written_is_read(labels: dict[str, str]) -> None:
    choices = tuple(Choice(code, label) for code, label in labels.items())
    assert parse_choices(format_choices(choices)) == choices


@pytest.mark.parametrize(
    ("code", "column"), [("-99", "f____99"), ("AA", "f___aa"), ("k>=9", "f___k__9")]
)
def test_columns_as_recorded(code: str, column: str) -> None:
    assert checkbox_column("f", code) == column
