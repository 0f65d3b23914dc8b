"""What changed between two structures: named by field, with codes and never a label."""

import pytest

from redcap_dagster.project import Change, REDCapProject, compare_projects
from tests.dictionary import field

ROWS = [
    field("id", "a"),
    field("age", "a", label="Age"),
    field("sex", "b", type="radio", choices="0, Female | 1, Male"),
]


def project(rows: list[dict[str, str]]) -> REDCapProject:
    return REDCapProject.from_exports(metadata=rows)


def test_nothing_changed() -> None:
    assert compare_projects(project(ROWS), project(ROWS)) == ()


def test_fields_that_came_and_went() -> None:
    fewer = [ROWS[0], ROWS[2]]
    assert compare_projects(project(ROWS), project(fewer)) == (Change("age", "a", "removed"),)
    assert compare_projects(project(fewer), project(ROWS)) == (Change("age", "a", "added", "text"),)


@pytest.mark.parametrize(
    ("field", "edit", "found"),
    [
        ("age", {"field_label": "Years"}, [("field_label", "")]),
        ("age", {"form_name": "b"}, [("form_name", "")]),
        (
            "age",
            {"text_validation_type_or_show_slider_number": "integer", "text_validation_min": "0"},
            [("type", "from text to text (integer)"), ("text_validation_min", "")],
        ),
        ("age", {"question_number": "7"}, []),
        (
            "sex",
            {"select_choices_or_calculations": "0, female | 2, Other"},
            [("choices", "added 2; removed 1; relabeled 0")],
        ),
        (
            "sex",
            {"select_choices_or_calculations": "1, Male | 0, Female"},
            [("choices", "in another order")],
        ),
        ("sex", {"select_choices_or_calculations": "0, Female|1, Male"}, []),
        ("sex", {"field_type": "dropdown"}, [("type", "from radio to dropdown")]),
        (
            "sex",
            {"field_type": "calc", "select_choices_or_calculations": "1 + 1"},
            [("type", "from radio to calc"), ("select_choices_or_calculations", "")],
        ),
    ],
)
def test_what_changed_of_a_field(
    field: str, edit: dict[str, str], found: list[tuple[str, str]]
) -> None:
    edited = [row | edit if row["field_name"] == field else row for row in ROWS]
    told = [
        (change.what, change.detail) for change in compare_projects(project(ROWS), project(edited))
    ]
    assert told == found
