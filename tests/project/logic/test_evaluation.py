"""REDCap's logic: what holds of all of it. Single expressions are in ``expressions.csv``."""

import pickle
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.logic import (
    UNKNOWN,
    Facts,
    LogicError,
    Node,
    Reference,
    SmartVariable,
    Unknown,
    evaluate,
    evaluate_calculated_field,
    evaluate_condition,
    list_references,
    list_smart_variables,
    parse_logic,
)
from redcap_dagster.project.logic.events import find_event
from redcap_dagster.project.logic.parser import MAX_DEPTH
from redcap_dagster.project.logic.tokens import MAX_LENGTH

BLANKS = Facts(lambda _: "")


# -- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logic", "node"),
    [
        ("[A]", Reference("a")),
        ("[race( -99 )]", Reference("race", "-99")),
        ("[race(UNK)][2]", Reference("race", "UNK", "", "2")),
        ("[e_arm_1][a]", Reference("a", None, "e_arm_1")),
        ("[Previous-Event-Name][a(b)][Last-Instance]", Reference(
            "a", "b", "previous-event-name", "last-instance")),
        ("[current-instance]", SmartVariable("current-instance")),
        ("[survey-date-completed:Intake:value][1]", SmartVariable(
            "survey-date-completed", ("Intake", "value"), "", "1")),
        ("[next-event-name][form-url:intake]", SmartVariable(
            "form-url", ("intake",), "next-event-name")),
        ("[aggregate-mean:weight,height:event-name]", SmartVariable(
            "aggregate-mean", ("weight,height", "event-name"))),
    ],
)  # fmt: skip
def test_references(logic: str, node: Node) -> None:
    assert parse_logic(logic) == node


def test_references_are_listed_once_in_their_order() -> None:
    node = parse_logic(
        "if([b] = 1 or [a(1)], [user-name], datediff([b], [e][c], 'd')) > [user-name]"
    )
    assert list_references(node) == (
        Reference("b"), Reference("a", "1"), Reference("c", None, "e")
    )  # fmt: skip
    assert list_smart_variables(node) == (SmartVariable("user-name"),)


@pytest.mark.parametrize(
    ("logic", "message"),
    [
        ("[a] = 1 and [b] =", "it cannot be read at character 18"),
        ("[a] = // § comment\n ]", "it cannot be read at character 21"),
        ("[a] = 'SECRET", "it cannot be read at character 7"),
        ("[a] = “1”", r"it cannot be read at character 7 \(left double quotation mark\)"),
        ("[a] = SECRET", "the word at character 7 is not known, or lacks quotes"),
        ("1 + foo(2)", "the function foo at character 5 is not known"),
        ("round(1, 2, 3)", "the function round at character 1 has 3 arguments, but takes 1 to 2"),
        ("concat_ws('-')", "the function concat_ws at character 1 has 1 arguments, .* at least 2"),
        ("[a][b][c]", "the reference at character 1 has too many parts"),
        ("1 = [a b]", "the reference at character 5 does not name a field"),
        (" # nothing", "it is blank"),
    ],
)
def test_errors_say_where_without_values(logic: str, message: str) -> None:
    with pytest.raises(LogicError, match=f"^{message}$"):
        parse_logic(logic)


# -- what cannot be broken ------------------------------------------------------------------------

_PIECES = [*"[]()'\"<>=!&|+-*/^%, 019.aA_#\n\\", "and", " or ", "not", "if(", "sum(", "//", "/*"]


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_any_text_is_logic_or_raises_a_logic_error(text: str) -> None:
    with suppress(LogicError):
        assert evaluate_condition(parse_logic(text), BLANKS) in (True, False, UNKNOWN)


_LONG = MAX_LENGTH - 10


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize(
    "logic",
    [
        "(" * _LONG, "1" + "+1" * (_LONG // 2), "not " * (_LONG // 4) + "1", "-" * _LONG + "1",
        "2^" * (_LONG // 2) + "2", "if(1," * (_LONG // 5), "1 " + "or 1 " * (_LONG // 5),
        "'" * (_LONG + 1), "'" + "\\'" * (_LONG // 2), "/*" * (_LONG // 2), "#\n" * (_LONG // 2),
        "// " * (_LONG // 3) + "\n]", "[a" * (_LONG // 2), " " * _LONG + "1", "9" * _LONG,
        "replace_text(replace_text('%s','a','%s'),'a','%s')" % (("a" * 9999,) * 3),
        "(9)^(999999)*(9)^(999999) + 1", "9*(10)^(999999) = -9*(10)^(999999)",
        "9.99999999999999999*(10)^(999999)", "concat((9)^(99999))", "round(1, 999999999)",
        "1" * 2000,
        "left('abc', 1" + "0" * 5000 + ")", "mod(1" + "0" * 5000 + ", 7)",
        "x" * (MAX_LENGTH + 1), "[" + "a" * _LONG + "!]", "[a" + "(" * _LONG + "]",
    ],
)  # fmt: skip
def test_hostile_logic_is_evaluated_or_refused(logic: str) -> None:
    with suppress(LogicError):
        evaluate_calculated_field(parse_logic(logic), BLANKS)


def nest(levels: int) -> str:
    return "if(1, 2, " * levels + "3" + ")" * levels


@pytest.mark.parametrize("make_logic", [nest, lambda levels: "1" + "+(1" * levels + ")" * levels])
def test_the_deepest_tree_is_as_good_as_any(make_logic: object) -> None:
    assert callable(make_logic)
    node = parse_logic(make_logic(MAX_DEPTH // 2 - 1))
    assert node == pickle.loads(pickle.dumps(node))  # noqa: S301
    assert hash(node) == hash(parse_logic(make_logic(MAX_DEPTH // 2 - 1)))
    assert evaluate(node, BLANKS) is not UNKNOWN
    with pytest.raises(LogicError, match="nested too deeply"):
        parse_logic("1" + "/1" * MAX_DEPTH)
    for levels in (MAX_DEPTH, 10 * MAX_DEPTH):
        with pytest.raises(LogicError, match="nested too deeply"):
            parse_logic(make_logic(levels))


@pytest.mark.parametrize(("sign", "result"), [("+", "5001"), ("-", "-4999"), ("*", "1")])
def test_long_sums_are_not_nested(sign: str, result: str) -> None:
    node = parse_logic("1" + f" {sign} 1" * 5_000)
    assert node == pickle.loads(pickle.dumps(node))  # noqa: S301
    assert evaluate_calculated_field(node, BLANKS) == result


# -- what cannot be said --------------------------------------------------------------------------


_VALUES = ["", "0", "1", "2.5", "-3", "UNK", "text", "2024-02-29", "2024-02-29 10:00", "6:23", "é"]
_LEAVES = st.sampled_from(["[a]", "[b]", "[c]", "1", "'text'", "''", "'2024-01-01'", "'10:15'"])
_SHAPES = [
    *(f"({{0}}) {sign} ({{1}})" for sign in ("=", "<>", "<", ">=", "and", "or", *"+-*/^%")),
    *(f"{name}({{0}})" for name in ("not", "-", "round", "year", "isblankormissingcode")),
    *(f"{name}({{0}}, {{1}})" for name in ("sum", "max", "contains", "concat", "left")),
    "if({0}, {1}, {2})",
    "datediff({0}, {1}, 'd')",
]


def _combine(logic: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(str.format, st.sampled_from(_SHAPES), logic, logic, logic)


@given(
    st.recursive(_LEAVES, _combine, max_leaves=8),
    st.tuples(*[st.sampled_from(_VALUES)] * 3),
    st.sets(st.sampled_from("abc"), min_size=1),
)
@example("if([a]=1,1,[b]) = 1 or [c] = 2", ("1", "", "2"), {"a", "b"})
@example("isblankormissingcode([a])", ("", "", ""), {"a"})
def test_what_is_known_without_a_value_is_so_with_any(
    logic: str, values: tuple[str, ...], hidden: set[str]
) -> None:
    node = parse_logic(logic)
    known: dict[str, str | Unknown] = dict(zip("abc", values, strict=True))
    unknown = {**known, **dict.fromkeys(hidden, UNKNOWN)}
    codes = frozenset({"UNK"})

    said = evaluate(node, Facts(lambda reference: unknown[reference.field], missing_codes=codes))
    value = evaluate(node, Facts(lambda reference: known[reference.field], missing_codes=codes))

    assert said is UNKNOWN or (said == value and type(said) is type(value))


@pytest.mark.parametrize(
    "logic", ["datediff([a], 'today', 'd')", "year(now)", "[user-name]", "[aggregate-max:age]"]
)
def test_without_a_clock_and_a_server_it_cannot_be_said(logic: str) -> None:
    assert evaluate(parse_logic(logic), Facts(lambda _: "2024-01-01")) is UNKNOWN


def test_options_of_checkboxes_are_never_missing_data_codes() -> None:
    facts = Facts(lambda _: "1", missing_codes=frozenset({"1"}))
    assert evaluate(parse_logic("[a(1)] + 1 = 2"), facts) is True
    assert evaluate(parse_logic("[a] + 1 = 2"), facts) is UNKNOWN


def test_unknown_is_never_taken_for_false() -> None:
    with pytest.raises(TypeError, match="is UNKNOWN"):
        bool(UNKNOWN)


@pytest.mark.parametrize(
    ("logic", "result"), [("1 + 1", "2"), ("'text'", ""), ("1 / 0", UNKNOWN), ("1 = 1", UNKNOWN)]
)
def test_calculated_fields_hold_numbers(logic: str, result: object) -> None:
    assert evaluate_calculated_field(parse_logic(logic), BLANKS) == result


# -- events ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row_event", "of_visit", "of_any"),
    [
        ("", "b", "b", "b"),
        ("event-name", "b", "b", "b"),
        ("c", "b", "c", "c"),
        ("x", "b", None, None),
        ("previous-event-name", "d", "b", "c"),
        ("previous-event-name", "b", None, "a"),
        ("next-event-name", "b", "d", "c"),
        ("next-event-name", "d", None, None),
        ("first-event-name", "d", "b", "a"),
        ("last-event-name", "a", "d", "d"),
        ("previous-event-name", "z", None, None),
        ("other-event-name", "b", None, None),
        ("previous-event-name", "", None, None),
    ],
)
def test_events_of_references(
    name: str, row_event: str, of_visit: str | None, of_any: str | None
) -> None:
    events = [
        {"event_name": event, "unique_event_name": event, "arm_num": 2 if event == "z" else 1}
        for event in "abcdz"
    ]
    project = REDCapProject.from_exports(
        metadata=[{"field_name": "id", "form_name": "visit"}],
        events=events,
        form_event_mapping=[
            {"arm_num": 2 if event == "z" else 1, "unique_event_name": event, "form": "visit"}
            for event in "bdz"
        ],
    )
    assert find_event(project, name, row_event, "visit") == of_visit
    assert find_event(project, name, row_event, None) == of_any
