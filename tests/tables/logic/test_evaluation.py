"""Logic over columns has the results of logic row by row."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.logic import (
    UNKNOWN,
    Facts,
    evaluate_calculation,
    evaluate_condition,
    list_references,
    list_smart_variables,
    parse_logic,
)
from redcap_dagster.tables.logic import (
    StudyRows,
    evaluate_calculations,
    evaluate_conditions,
    resolve,
    resolve_smart_variable,
)
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id"),
        *(field(name) for name in "abcd"),
        field("when", validation="date_dmy"),
        field("at", validation="datetime_seconds_mdy"),
        field("clock", validation="time"),
        field("weight", validation="number_comma_decimal"),
        field("tick", type="checkbox", choices="1, Yes | 2, No"),
        field("gone", "other"),
    ],
    info={"missing_data_codes": "-99, Refused | UNK, Unknown"},
)
COLUMNS = ("a", "b", "c", "d", "when", "at", "clock", "weight", "tick___1", "tick___2")
_REFERENCES = ("a", "b", "c", "d", "when", "at", "clock", "weight", "tick(1)", "gone", "nowhere")

numbers = st.one_of(
    st.decimals(-1000, 1000, places=2).map(str),
    st.integers(-3, 12).map(str),
    st.sampled_from(
        [
            "02",
            "2",
            "2.0",
            "-0",
            ".5",
            "5.",
            "+1",
            "1e2",
            "1e-400",
            "0e5",
            "123456789012345678",
            "-99",
            "inf",
            "nan",
        ]
    ),
)
moments = st.one_of(
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M")),
    st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S")),
    st.sampled_from(["2020-02-30", "6:23", "06:23", "10:15", "2020-01-01T10:00", "24:00"]),
)
texts = st.one_of(st.none(), numbers, moments, st.sampled_from(["x", "X", "UNK", " 2 ", "٣", "é"]))
columns = st.integers(1, 12).flatmap(
    lambda count: st.fixed_dictionaries(
        {name: st.lists(texts, min_size=count, max_size=count) for name in COLUMNS}
    )
)

values = st.one_of(
    st.sampled_from(_REFERENCES).map(lambda name: f"[{name}]"),
    st.sampled_from(["''", "'2'", "2", "'x'", "0.5", "'2020-01-01'", "'10:15'", "'UNK'"]),
    st.sampled_from(["'01/02/2020'", "'today'"]),
    st.sampled_from(["[record-name]", "[user-name]"]),
)
comparisons = st.builds(
    "{} {} {}".format, values, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), values
)
calculations = st.one_of(
    st.builds("{} + {}".format, values, values),
    st.builds("sum({}, {}, 1)".format, values, values),
    st.builds("datediff({}, {}, 'd')".format, values, values),
    st.builds("if({}, {}, 'other')".format, comparisons, values),
    st.builds("left({}, 4)".format, values),
)
conditions = st.recursive(
    st.one_of(
        comparisons,
        values,
        st.builds("isblankormissingcode({})".format, values),
        st.builds("{} > {}".format, calculations, values),
    ),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {} or {})".format, inner, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)


def _make_study(cells: dict[str, list[str | None]]) -> StudyRows:
    ids = [str(number) for number in range(len(cells["a"]))]
    table = pa.table({"id": ids, **{name: pa.array(cells[name], pa.string()) for name in cells}})
    return StudyRows(PROJECT, {"visit": table})


def _evaluate_rows(
    study: StudyRows, text: str, evaluate: Callable[[Any, Facts], Any]
) -> list[object]:
    node = parse_logic(text)
    by_variable: dict[Any, list[Any]] = {
        reference: resolve(study, reference, "visit").to_pylist()
        for reference in list_references(node)
    }
    for variable in list_smart_variables(node):
        by_variable[variable] = resolve_smart_variable(study, variable, "visit").to_pylist()
    results: list[object] = []
    for row in range(study.count_rows("visit")):

        def read(variable: Any, row: int = row) -> Any:
            text = by_variable[variable][row]
            return UNKNOWN if text is None else text

        facts = Facts(read, read, frozenset({"-99", "UNK"}), other_dates={"when", "at"})
        result = evaluate(node, facts)
        results.append(None if result is UNKNOWN else result)
    return results


_many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_many
@given(columns, conditions)
@example({name: [None, "-99", "7", "12", "1e-400", "0"] for name in COLUMNS}, "[a] >= '0'")
@example({name: ["7", "12", "1e-400", "0", "-5"] for name in COLUMNS}, "[a] > '0'")
@example(
    {"a": ["-99", "7", "8"], **{name: ["-99.0", "7.0", "9"] for name in COLUMNS[1:]}}, "[a] = [b]"
)
@example({name: ["2020-01-01", "2020-01-01 00:00", "x"] for name in COLUMNS}, "[a] = [b]")
def test_a_condition_is_evaluated_as_row_by_row(
    cells: dict[str, list[str | None]], text: str
) -> None:
    study = _make_study(cells)
    found = evaluate_conditions(study, "visit", parse_logic(text)).to_pylist()
    assert found == _evaluate_rows(study, text, evaluate_condition)


@_many
@given(columns, calculations)
def test_a_calculation_is_evaluated_as_row_by_row(
    cells: dict[str, list[str | None]], text: str
) -> None:
    study = _make_study(cells)
    found = evaluate_calculations(study, "visit", parse_logic(text)).to_pylist()
    assert found == _evaluate_rows(study, text, evaluate_calculation)


def test_what_cannot_be_said_is_apart_from_blank() -> None:
    study = _make_study({name: [None, "1"] for name in COLUMNS})
    for text, expected in {
        "[a] = ''": [True, False],
        "[gone] = ''": [None, None],
        "[nowhere] = ''": [None, None],
        "[a] < 2": [None, True],
        "[a] <> '1'": [True, False],
        "[tick(1)] = '0'": [True, False],
        "[gone] = '' or [a] = '1'": [None, True],
        "[user-name] = 'x'": [None, None],
        "1 = 1": [True, True],
    }.items():
        assert evaluate_conditions(study, "visit", parse_logic(text)).to_pylist() == expected, text


def test_a_table_without_rows_has_results_without_rows() -> None:
    study = _make_study({name: [] for name in COLUMNS})
    for text in ("[a] = [b]", "[a] > 3 and [gone] = 1", "1 = 1"):
        assert evaluate_conditions(study, "visit", parse_logic(text)).to_pylist() == []
    assert evaluate_calculations(study, "visit", parse_logic("[a] + 1")).to_pylist() == []
