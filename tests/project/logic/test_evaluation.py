"""REDCap's logic: conditions and their three values."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.project.logic import (
    UNKNOWN,
    Facts,
    LogicError,
    Reference,
    evaluate_condition,
    parse_logic,
)

VALUES = {
    Reference("age"): "41",
    Reference("name"): "Ana",
    Reference("blank"): "",
    Reference("code"): "UNK",
    Reference("day"): "2024-02-29",
    Reference("age", None, "e_arm_1", "2"): "7",
    Reference("race", "-99"): "1",
}
NOW = datetime(2024, 3, 30, 13, 30, tzinfo=UTC)
FACTS = Facts(VALUES.__getitem__, missing_codes=frozenset({"UNK"}), now=NOW)


@pytest.mark.parametrize(
    ("logic", "expected"),
    [
        # comparisons: as numbers if both are, else as texts; a blank has no order
        ("[age] = 41", True),
        ("[age] = '41.0'", True),
        ("[age] > '9'", True),
        ("[age]<>'41'", False),
        ("[age] != 40", True),
        ('[name] = "Ana"', True),
        ("[name] = 'ana'", False),
        ("[day] >= '2024-01-01'", True),
        ("[age] > 'x'", UNKNOWN),
        ("[blank] = ''", True),
        ('[blank] <> ""', False),
        ("[blank] < 3", UNKNOWN),
        ("[blank] = 0", False),
        ("[e_arm_1][age][2] = 7", True),
        ("[race(-99)] = '1'", True),
        # three values: an undecided condition matters only if the others do not decide
        ("[blank] < 3 or [age] = 41", True),
        ("[blank] < 3 and [age] = 1", False),
        ("[blank] < 3 and [age] = 41", UNKNOWN),
        ("[blank] < 3 or [age] = 1", UNKNOWN),
        ("not([blank] < 3)", UNKNOWN),
        ("!([age] = 41)", False),
        ("NOT [age] = 1 AND [age] = 41", True),
        ("1 = 2 and 1 = 1 or 1 = 1", True),
        ("1 = 1 || 1 = 1 && 1 = 2", True),
        ("(1 = 1 or 1 = 1) and 1 = 2", False),
        ("[name] = 'a and b' or 'x or y' = 'x or y'", True),
        ("[age]", True),
        ("0", False),
        # arithmetic
        ("1 + 2 * 3 - 4 / 2 = 5", True),
        ("2 ^ 3 ^ 2 = 512", True),
        ("-2 ^ 2 = -4", True),
        ("7 % 4 = 3 and (2)^(3) = 8", True),
        ("0.1 + 0.2 = 0.3", True),
        ("[age] + [blank] = ''", True),
        ("[age] + [name] = 1", UNKNOWN),
        ("1 / 0 = 1", UNKNOWN),
        # functions
        ("if([age] > 40, 'old', 'young') = 'old'", True),
        ("if([blank] > 40, 1, 1) = 1", UNKNOWN),
        ("sum([age], [blank], 1) = 42 and mean(1, [blank], 2) = 1.5", True),
        ("max(1, 10, 9) = 10 and min([blank]) = '' and median(1, 5, 2) = 2", True),
        ("stdev(1, 2, 3) = 1", True),
        ("round(2.345, 2) = 2.35 and roundup(2.1) = 3 and rounddown(2.9) = 2", True),
        ("sqrt(16) = 4 and abs(-2) = 2 and mod(7, 4) = 3 and log(8, 2) > 2.99", True),
        ("sqrt(-1) = 1", UNKNOWN),
        ("datediff('2024-02-28', '2024-03-01', 'd') = 2", True),
        ("datediff('2024-03-01', '2024-02-28', 'd', 'ymd', true) = -2", True),
        ("datediff('2024-03-01', '2024-02-28', 'd', FALSE) = 2", True),
        ("datediff([day], today, 'd') = 30 and datediff([day], now, 'h') = 733.5", True),
        ("age_at_date('2004-02-29', '2024-02-28') = 19 and age_at_date([day], today) = 0", True),
        ("age_at_date('2000-03-30', 'today') = 24 and age_at_date([blank], 'today') = ''", True),
        ("age_at_date('2024-03-01', [day]) = 0", UNKNOWN),
        ("dayoftheweek([day]) = 4", "error"),
        ("yesterday", "error"),
        ("datediff('2024-03-01', '2024-02-28', 'd', 'ymd', 'true') = -2", True),
        ("datediff([day], 'today', 'd') = 30 and datediff([day], 'now', 'h') = 733.5", True),
        ("round(datediff('2000-01-01', '2024-01-01', 'y'), 1) = 24", True),
        ("datediff([blank], 'today', 'd') = ''", True),
        ("year([day]) = 2024 and month([day]) = 2 and day([day]) = 29", True),
        ("isnumber([age]) and not(isnumber([name])) and isinteger('7')", True),
        ("isblankormissingcode([code]) and isblankormissingcode([blank])", True),
        ("ismissingcode([code]) and not(ismissingcode([age]))", True),
        ("isblanknotmissingcode([blank]) and hasmissingcode([code], 'NA,UNK')", True),
        ("contains([name], 'AN') and not_contain([name], 'x')", True),
        ("starts_with([name], 'a') and ends_with([name], 'NA') and find('n', [name]) = 2", True),
        ("left('abc', 2) = 'ab' and right('abc', 2) = 'bc' and mid('abcd', 2, 2) = 'bc'", True),
        ("length(trim('  a ')) = 1 and upper('a') = 'A' and lower('A') = 'a'", True),
        ("concat('a', 1) = 'a1' and concat_ws('-', 'a', '', 'b') = 'a-b'", True),
        ("replace_text('aXb', 'X', '-') = 'a-b'", True),
        # invalid logic, or unknown functions
        ("", "error"),
        ("[age", "error"),
        ("[age] = ", "error"),
        ("[age] = 1)", "error"),
        ("(1 = 1", "error"),
        ("1 = 1 2", "error"),
        ("'open", "error"),
        ("eval('1')", "error"),
        ("__import__('os')", "error"),
        ("round()", "error"),
        ("replace_text(replace_text('%s','a','%s'),'a','%s')='x'" % (("a" * 9999,) * 3), UNKNOWN),
    ],
)
def test_conditions(logic: str, expected: Any) -> None:
    if expected == "error":
        with pytest.raises(LogicError):
            evaluate_condition(parse_logic(logic), FACTS)
    else:
        assert evaluate_condition(parse_logic(logic), FACTS) is expected


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize("logic", ["(" * 50_000, "1" + "+1" * 20_000])
def test_logic_that_is_nested_too_deep(logic: str) -> None:
    with pytest.raises(LogicError, match="nested too deeply"):
        evaluate_condition(parse_logic(logic), FACTS)


@given(st.text(st.sampled_from(list("[]()'\"<>=!&|+-*/^%, 019.aA_and or not if sum")), max_size=60))
def test_any_text_is_logic_or_raises_a_logic_error(text: str) -> None:
    facts = Facts(lambda _: "")
    with suppress(LogicError):
        assert evaluate_condition(parse_logic(text), facts) in (True, False, UNKNOWN)
