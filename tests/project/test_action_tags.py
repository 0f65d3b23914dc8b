"""The action tags of annotations, with the conditions that they stand under."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.project.action_tags import ActionTag, list_action_tags


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("", []),
        ("@HIDDEN", [("HIDDEN", "", ())]),
        ("@HIDDEN-SURVEY @HIDDEN_X", [("HIDDEN-SURVEY", "", ()), ("HIDDEN_X", "", ())]),
        ("write to me@HIDDEN.org, or @hidden", []),
        ("@DEFAULT='see @HIDDEN' x", [("DEFAULT", "see @HIDDEN", ())]),
        ("@MAXCHECKED=3 @READONLY", [("MAXCHECKED", "3", ()), ("READONLY", "", ())]),
        (
            "@CALCTEXT(if([a] = ')', '@HIDDEN', 1))",
            [("CALCTEXT", "if([a] = ')', '@HIDDEN', 1)", ())],
        ),
        (
            "@IF([a]='1', '@HIDDEN', @READONLY @SETVALUE='x, y')",
            [
                ("HIDDEN", "", (("[a]='1'", True),)),
                ("READONLY", "", (("[a]='1'", False),)),
                ("SETVALUE", "x, y", (("[a]='1'", False),)),
            ],
        ),
        (
            "@IF (([a(1)] = 1 or sum([b], 2) > 3), @IF([c]='(', '', '@HIDDEN'), '')",
            [("HIDDEN", "", (("([a(1)] = 1 or sum([b], 2) > 3)", True), ("[c]='('", False)))],
        ),
        ("@HIDDENx @HIDDEN- @Hidden", []),
        (
            "@READONLY, @HIDDEN\n@HIDDEN-PDF",
            [(name, "", ()) for name in ("READONLY", "HIDDEN", "HIDDEN-PDF")],
        ),
        (
            "@NONEOFTHEABOVE='98, 99' @MAXCHECKED = 3",
            [("NONEOFTHEABOVE", "98, 99", ()), ("MAXCHECKED", "3", ())],
        ),
        (
            "@CALCTEXT(if([f]='4', 'The user\\'s guide', 'else')) @HIDDEN",
            [("CALCTEXT", "if([f]='4', 'The user\\'s guide', 'else')", ()), ("HIDDEN", "", ())],
        ),
        (
            "@IF([x]='1', @HIDDEN, @READONLY, '')",
            [("HIDDEN", "", (("", True),)), ("READONLY", "", (("", True),))],
        ),
        (
            "@READONLY // not @HIDDEN any more\n# @HIDDEN\n/* @HIDDEN\n*/ @NOW",
            [
                ("READONLY", "", ()),
                *[("HIDDEN", "", (("", True),))] * 3,
                ("NOW", "", ()),
            ],
        ),
        (
            "@IF([a] = '1' // one\n, '@HIDDEN', '') see http://x.org @NOW",
            [("HIDDEN", "", (("[a] = '1' // one", True),)), ("NOW", "", ())],
        ),
        (
            '@INSTANCETABLE_FILTER=\'[a]<>"" AND [b(1)]<>"1"\'\n@HIDDEN',
            [("INSTANCETABLE_FILTER", '[a]<>"" AND [b(1)]<>"1"', ()), ("HIDDEN", "", ())],
        ),
        ("@IF([a]='1', @HIDDEN", [("HIDDEN", "", (("", True),))]),
        ("@IF([a]='1', @HIDDEN)", [("HIDDEN", "", (("", True),))]),
    ],
)
def test_action_tags_are_read(
    annotation: str, expected: list[tuple[str, str, tuple[tuple[str, bool], ...]]]
) -> None:
    assert list_action_tags(annotation) == tuple(ActionTag(*each) for each in expected)


@pytest.mark.parametrize("opening", ["@IF(1,", "@IF('", "@IF([a]=1,@HIDDEN,"])
def test_deeply_nested_conditions_are_read_in_part(opening: str) -> None:
    found = list_action_tags(opening * 1_000 + "@HIDDEN" + ")" * 1_000)
    assert all(tag.name == "HIDDEN" and tag.conditions[-1] == ("", True) for tag in found[-5:])
    assert found or "'" in opening


@given(st.text(alphabet="@IFHIDEN-(),'\"[]= \n1a", max_size=60))
def test_any_annotation_is_read(annotation: str) -> None:
    for tag in list_action_tags(annotation):
        assert f"@{tag.name}" in annotation
