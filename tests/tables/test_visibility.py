"""Was it asked: by branching logic and action tags, and what is wrong with them."""

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.visibility import find_asked, find_shown, list_logic_problems
from tests.dictionary import field

SEX = ["1", "2", None, "-9"]


def _find(
    annotation: str = "",
    logic: str = "",
    timestamps: list[str | None] | None = None,
    *,
    is_survey: bool = True,
) -> tuple[list[bool | None], list[bool | None]]:
    """Return whether a field was asked, and whether its branching logic shows it, in each row."""
    project = REDCapProject.from_exports(
        metadata=[
            field("id"),
            field("sex"),
            field("due", field_annotation=annotation, branching_logic=logic),
        ],
        info={"missing_data_codes": "-9, Refused"},
        header=["id", *["visit_timestamp"] * is_survey],
    )
    columns = {"id": list("abcd"), "sex": SEX, "due": [None] * 4}
    if timestamps is not None:
        columns["visit_timestamp"] = timestamps
    table = pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    study = StudyRows(project, {"visit": table})
    return find_asked(study, "visit")["due"].to_pylist(), find_shown(study, "visit")[
        "due"
    ].to_pylist()


TIMES = ["2024-01-01 10:00:00", None, "[not completed]", None]
ALL = [True] * 4


@pytest.mark.parametrize(
    ("annotation", "logic", "asked", "shown"),
    [
        ("", "", ALL, ALL),
        ("", "[sex] = '1'", [True, False, False, False], [True, False, False, False]),
        ("", "[sex] > 1", [False, True, None, None], [False, True, None, None]),
        ("", "[sex", [None] * 4, [None] * 4),
        ("", "[gone] = 1", [None] * 4, [None] * 4),
        ("@HIDDEN", "", [False] * 4, ALL),
        ("@HIDDEN", "[gone] = 1", [False] * 4, [None] * 4),
        ("@HIDDEN-PDF @READONLY", "", ALL, ALL),
        ("@IF([sex] = '1', '@HIDDEN', '')", "", [False, True, True, True], ALL),
        ("@IF([sex] = '1', '', @HIDDEN)", "", [True, False, False, False], ALL),
        ("@IF([sex] >, @HIDDEN, '')", "", [None] * 4, ALL),
        (
            "@IF([sex] > 1, @HIDDEN, '')",
            "[sex] <> ''",
            [True, False, False, None],
            [True, True, False, True],
        ),
        ("@HIDDEN-SURVEY", "", [False, True, None, True], ALL),
        ("@HIDDEN-FORM", "", [True, False, None, False], ALL),
    ],
)
def test_a_field_is_asked_by_branching_logic_and_action_tags(
    annotation: str, logic: str, asked: list[bool | None], shown: list[bool | None]
) -> None:
    assert _find(annotation, logic, TIMES) == (asked, shown)


def test_a_form_that_is_not_a_survey_is_filled_in_by_the_staff() -> None:
    assert _find("@HIDDEN-SURVEY", is_survey=False)[0] == ALL
    assert _find("@HIDDEN-FORM", is_survey=False)[0] == [False] * 4


def test_without_its_timestamp_it_cannot_be_said_whether_a_survey_was_answered() -> None:
    assert _find("@HIDDEN-SURVEY")[0] == [None] * 4


def test_problems_of_the_dictionary_are_named() -> None:
    project = REDCapProject.from_exports(
        metadata=[
            field("id"),
            field(
                "good", branching_logic="[id] <> '' and [visit_complete] = '2' and [tick(1)] = 1"
            ),
            field("tick", type="checkbox", choices="1, A | 2, B"),
            field("unread", branching_logic="[good = 1"),
            field("lost", branching_logic="[nothing] = 1 or [tick] = 1 or [tick(3)] = 1"),
            field("first", branching_logic="[second] = 1"),
            field("second", branching_logic="[third] = 1"),
            field("third", branching_logic="[first] = 1"),
            field("after", branching_logic="[third] = 1"),
            field("itself", branching_logic="[itself] = 1"),
            field("last_time", branching_logic="[last_time][previous-instance] = 1"),
            field("tagged", field_annotation="@IF([good] = , @HIDDEN, '') @IF(, @READONLY, '')"),
            field("told", type="descriptive", branching_logic="[nothing] = 1"),
            field("sum", type="calc", choices="[good] + [nothing]"),
            field("text", field_annotation="@CALCTEXT(if([good] = 1, 'a', ')"),
        ]
    )
    found = {problem.field: problem.text for problem in list_logic_problems(project)}
    assert found.pop("unread").startswith("its branching logic cannot be read: ")
    assert found.pop("tagged").startswith("the @IF around its @HIDDEN cannot be read: ")
    lost = "its branching logic refers to what the project does not have: "
    assert found.pop("lost") == f"{lost}nothing, tick, tick(3)"
    assert found.pop("told") == f"{lost}nothing"
    assert found.pop("sum") == "its calculation refers to what the project does not have: nothing"
    assert found.pop("text").startswith("its calculation cannot be read: ")
    circular = "its branching logic depends on itself"
    assert found == dict.fromkeys(("first", "second", "third", "itself"), circular)
