"""The patterns of known messages: searched in any page, in time in proportion to its length."""

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from time import process_time
from typing import Any

import pytest

from redcap_dagster.api.http.known_messages import KNOWN_MESSAGES
from redcap_dagster.api.http.refusals import extract_message, known_refusal

PATTERNS = [known.pattern for known in KNOWN_MESSAGES]
MOST_REPEATS = 300


def count_unbounded(items: Any, *, last: bool) -> int:
    """Count the repetitions without a limit after which a pattern goes on.

    After each of them, a search may begin again at every place of what it has passed over.
    """
    found = 0
    for place, (kind, value) in enumerate(items):
        at_end = last and place == len(items) - 1
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            _, most, inner = value
            found += most > MOST_REPEATS and not at_end
            found += count_unbounded(inner, last=False)
        elif kind is _constants.SUBPATTERN:
            found += count_unbounded(value[-1], last=at_end)
        elif kind is _constants.BRANCH:
            found += sum(count_unbounded(branch, last=at_end) for branch in value[1])
    return found


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:40])
def test_the_work_of_a_search_grows_with_the_page_alone(pattern: re.Pattern[str]) -> None:
    parsed = _parser.parse(pattern.pattern, pattern.flags)

    assert count_unbounded(parsed, last=True) == 0
    # What goes on to the end of a page begins with a text, so that few searches get there.
    if any(word in pattern.pattern for word in ("*", "+")):
        assert parsed[0][0] is _constants.LITERAL


@pytest.mark.parametrize(
    "page",
    [
        "a" * (1 << 16),
        'The record "' * 5000,
        "values in the parameter a are not valid:" * 1500,
        "records provided cannot be deleted because " * 1500,
        "File Repository folder " * 2500,
        "<hash> " + " " * (1 << 16),
        '"a","b","c","d"\n' * 4000 + '"',
    ],
    ids=lambda page: page[:20],
)
def test_a_page_of_nothing_else_is_searched_at_once(page: str) -> None:
    began = process_time()
    extract_message(page)
    known_refusal(page, "record export", 500, {})
    assert process_time() - began < 5  # a hundred times what it takes
