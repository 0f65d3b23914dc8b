"""The types of real dictionaries, against those that REDCapR gives."""

from pathlib import Path

import pytest

from redcap_dagster.project import from_xml
from redcap_dagster.tables.cleaning.column_types import get_column_type
from tests.fixture_projects.recorded import rows_of

# Of the types that REDCapR gives, ours differ on purpose.
KEY = "a key stays text, so that no zero or group prefix is lost"
CALC = "a calc is a number; other values are counted as invalid"
STATUS = "a status is one of three choices, looked up rather than cast"
COMMA = "the comma is read as what the validation says it is"
DELIBERATE = {
    "simple": {
        "record_id": KEY,
        "bmi": CALC,
        "demographics_complete": STATUS,
        "health_complete": STATUS,
        "race_and_ethnicity_complete": STATUS,
    },
    "validation-types": {
        "record_id": KEY,
        "f_calculated": CALC,
        "form_1_complete": STATUS,
        "v_number_comma_decimal": COMMA,
        **{f"v_number_{places}dp_comma_decimal": COMMA for places in (1, 2, 3, 4)},
    },
}
OURS = {
    "integer": "integer",
    "double": "double",
    "boolean": "logical",
    "date": "date",
    "datetime": "datetime",
    "time": "time",
    "text": "character",
}


@pytest.mark.parametrize(
    ("project", "expected"),
    [("simple", "simple"), ("validation-types-1", "validation-types")],
)
def test_types_are_those_of_redcapr(project: str, expected: str, fixtures: Path) -> None:
    model = from_xml(fixtures / "projects" / project / "project.xml")
    kinds = {model.record_id_field: "character"}
    for form in model.instruments:
        for column in model.columns(form.instrument_name):
            kinds[column.name] = OURS[get_column_type(column.field).name]
    theirs = {
        row["column"]: row["collector"]
        for row in rows_of(fixtures / f"expected/metadata-coltypes__{expected}.csv")
    }
    assert kinds.keys() == theirs.keys()
    different = {name for name in kinds if kinds[name] != theirs[name]}
    assert different == DELIBERATE[expected].keys()
