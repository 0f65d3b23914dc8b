"""Required fields that were asked and are blank, and values in hidden fields, row by row."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, clean
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.quality import (
    InstrumentRows,
    RequiredOf,
    RuleFindings,
    judge_hidden,
    judge_required,
)
from tests.dictionary import field

Cells = dict[str, Sequence[str | None]]


def make_rows(
    fields: Sequence[dict[str, str]],
    cells: Cells,
    of: RequiredOf = "complete",
    hidden: Sequence[str] = (),
) -> InstrumentRows:
    project = REDCapProject.from_exports(
        metadata=[field("id", "a"), *fields], info={"missing_data_codes": "-9, Refused"}
    )
    count = len(next(iter(cells.values())))
    columns = {"id": [str(row) for row in range(count)], "a_complete": ["2"] * count, **cells}
    names = ["id", *(column.name for column in project.columns("a"))]
    records = pa.table({name: pa.array(columns[name], pa.string()) for name in names})
    cleaned = clean(records, "a", project, CleaningRules())
    shown = records.select([name for name in records.column_names if name not in hidden])
    study = StudyRows(project, {"a": shown})
    return InstrumentRows("a", records, cleaned, project, CleaningRules(), study, hidden, of)


def verdicts(found: Sequence[RuleFindings]) -> dict[str, list[bool | None]]:
    """Give whether each row is wrong, by field; None where it cannot be said."""
    return {
        each.field: [
            wrong if certain else None
            for wrong, certain in zip(each.wrong.to_pylist(), each.certain.to_pylist(), strict=True)
        ]
        for each in found
    }


def required(name: str, logic: str = "", annotation: str = "", **more: str) -> dict[str, str]:
    return field(
        name, "a", required_field="y", branching_logic=logic, field_annotation=annotation, **more
    )


def test_a_required_field_is_judged_where_it_was_asked() -> None:
    rows = make_rows(
        [
            field("sex", "a"),
            required("always"),
            required("due", "[sex] = '1'"),
            required("older", "[sex] > 1"),
            required("never", annotation="@HIDDEN"),
            required("broken", "[sex"),
            required("tick", type="checkbox", choices="1, A | 2, B"),
        ],
        {
            "sex": ["1", "2", None, "1"],
            "always": ["x", "-9", "x", "x"],
            "due": [None, None, None, "x"],
            "older": [None, "x", None, None],
            "never": [None] * 4,
            "broken": [None, "x", "x", "x"],
            **{name: ["1"] * 4 for name in ("tick___1", "tick___2", "tick____9")},
        },
    )
    found = judge_required(rows)
    assert verdicts(found) == {
        "always": [False] * 4,
        "due": [True, False, False, False],
        "older": [False, False, None, False],
        "never": [False] * 4,
        "broken": [None, False, False, False],
        "tick": [False] * 4,
        "": [False] * 4,
    }
    by_field = {each.field: each for each in found}
    assert by_field["due"].read.column_names == ["due", "a_complete", "[sex]"]
    assert by_field["broken"].unevaluated.startswith("its branching logic cannot be read")
    assert {each.letter for each in found} == {"B"}


def test_a_form_with_most_required_fields_blank_is_found_once() -> None:
    rows = make_rows(
        [required("one"), required("two"), required("three"), required("four", "[one] <> 'x'")],
        {
            "one": ["x", "x", None, None, "x"],
            "two": [None, None, None, "2", None],
            "three": [None, "3", None, None, None],
            "four": [None, None, None, "4", None],
            "a_complete": ["2", "2", "2", "2", "1"],
        },
    )
    assert verdicts(judge_required(rows)) == {
        "one": [False, False, None, True, False],
        "two": [None, True, None, False, None],
        "three": [None, False, None, True, None],
        "four": [False, False, None, False, False],
        "": [True, False, True, False, None],
    }


def test_a_form_whose_logic_cannot_be_said_is_not_found() -> None:
    fields = [required("one"), required("two"), *(required(f"x{n}", "[gone] = 1") for n in "123")]
    cells: Cells = {
        "one": [None, None],
        "two": [None, "2"],
        **{f"x{n}": ["1", None] for n in "123"},
    }
    found = verdicts(judge_required(make_rows(fields, cells)))
    assert found["one"] == [True, True]
    assert found[""] == [None, None]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("complete", [True, None, None]),
        ("saved", [True, True, None]),
        ("all", [True, True, True]),
    ],
)
def test_rows_that_need_their_required_fields(of: RequiredOf, expected: list[bool | None]) -> None:
    """Nothing can be said of a blank elsewhere: a form that is no longer Complete is not mended."""
    cells: Cells = {"one": [None] * 3, "two": ["x", "x", None], "a_complete": ["2", "0", "0"]}
    found = judge_required(make_rows([required("one"), field("two", "a")], cells, of))
    assert verdicts(found) == {"one": expected}


def test_a_hidden_status_leaves_nothing_to_judge() -> None:
    cells: Cells = {"one": [None]}
    assert judge_required(make_rows([required("one")], cells, hidden=["a_complete"])) == []
    assert judge_required(make_rows([required("one")], cells, hidden=["one"])) == []


def test_values_in_hidden_fields_are_found() -> None:
    rows = make_rows(
        [
            field("sex", "a"),
            field("due", "a", branching_logic="[sex] = '1'"),
            field("older", "a", branching_logic="[sex] > 1"),
            field("tagged", "a", field_annotation="@HIDDEN"),
            field("sum", "a", type="calc", choices="1 + 1", branching_logic="[sex] = '1'"),
            field("text", "a", branching_logic="[sex] = 1", field_annotation="@CALCTEXT('x')"),
            field("tick", "a", type="checkbox", choices="1, A", branching_logic="[sex] = '1'"),
        ],
        {
            "sex": ["1", "2", None, "2", "2"],
            "due": ["x", "x", "x", None, "-9"],
            "older": ["x", "x", "x", None, None],
            **{name: ["x"] * 5 for name in ("tagged", "text")},
            "sum": ["2"] * 5,
            "tick___1": ["1", "1", "0", "0", "0"],
            "tick____9": ["0", "0", "0", "0", "1"],
        },
    )
    assert verdicts(judge_hidden(rows)) == {
        "due": [False, True, True, False, False],
        "older": [True, False, None, False, False],
        "tick": [False, True, False, False, False],
    }


def test_required_fields_that_rights_hide_may_be_blank() -> None:
    """A form of which most required fields were blank is not mended when a right is taken away."""
    fields = [required(name) for name in ("one", "two", "three", "four")]
    cells: Cells = {
        "one": ["x", "x"],
        "two": ["x", None],
        "three": [None, None],
        "four": [None, None],
    }
    assert verdicts(judge_required(make_rows(fields, cells)))[""] == [False, True]
    found = judge_required(make_rows(fields, cells, hidden=["three", "four"]))
    assert verdicts(found) == {"one": [False, False], "two": [False, True], "": [False, None]}
