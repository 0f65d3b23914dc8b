"""Values that a validation or the choices refuse, row by row, and limits."""

from collections.abc import Mapping

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, clean
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.quality import (
    InstrumentRows,
    RuleFindings,
    judge_choices,
    judge_ranges,
    judge_values,
)
from tests.dictionary import field


def rows_of(
    cells: dict[str, list[str | None]],
    *fields: dict[str, str],
    info: Mapping[str, str] | None = None,
) -> InstrumentRows:
    project = REDCapProject.from_exports(
        metadata=[field("id", "a"), *fields],
        info={"missing_data_codes": "NI, No information", **(info or {})},
    )
    count = len(next(iter(cells.values())))
    columns = {
        "id": [str(row) for row in range(count)],
        **cells,
        "a_complete": ["2"] * count,
    }
    records = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    rules = CleaningRules()
    cleaned = clean(records, "a", project, rules)
    study = StudyRows(project, {"a": records})
    return InstrumentRows("a", records, cleaned, project, rules, study)


def verdicts(found: RuleFindings) -> list[bool | None]:
    """Give whether each row is wrong; None where it cannot be said."""
    judged = zip(found.wrong.to_pylist(), found.certain.to_pylist(), strict=True)
    return [wrong if certain else None for wrong, certain in judged]


@pytest.mark.parametrize(
    ("validation", "right", "wrong"),
    [
        ("email", ["a@b.org"], ["a@b", "a b@c.org", "text"]),
        ("alpha_only", ["ABCxyz"], ["abc1"]),
        ("integer", ["7", "-7"], ["7.5", "seven"]),
        ("number_2dp", ["7.25"], ["7.2", "7"]),
        ("number_1dp_comma_decimal", ["2,0"], ["2.0", "2"]),
        ("datetime_ymd", ["2023-01-31 10:00"], ["2023-01-31 10:00:30", "2023-02-31 10:00"]),
        ("datetime_seconds_dmy", ["2023-01-31T10:00:30"], ["2023-01-31 10:00"]),
        ("time", ["6:23"], ["6:23:01", "24:00"]),
        ("zipcode", ["90210", "90210-1234"], ["9021"]),
        ("postalcode_canada", ["A0A 0A0", "k1a0b1"], ["AAA 0A0"]),
        ("postalcode_uk", ["SW1A 1AA", "m1 1ae"], ["SW1A"]),
        ("phone", ["555-867-5309", "(555) 867-5309"], ["867"]),
        ("phone_australia", ["(02) 1234 5678", "0412 345 678"], ["1234 5678"]),
        ("phone_uk", ["+44 7911 123456", "020 7946 0958"], ["7946"]),
        ("ssn", ["123-12-1234"], ["123121234"]),
        ("mrn_10d", ["1234567890"], ["123456789"]),
    ],
)
def test_what_a_validation_refuses(validation: str, right: list[str], wrong: list[str]) -> None:
    cells = [*right, *wrong, None, "NI", "?"]
    (found,) = judge_values(rows_of({"x": cells}, field("x", "a", validation=validation)))
    assert (found.rule, found.letter, found.field) == ("values_fit_types", "C", "x")
    assert verdicts(found) == [False] * len(right) + [True] * len(wrong) + [False] * 3
    assert found.read.to_pydict() == {"x": cells}


def test_a_validation_of_the_servers_own_cannot_be_said() -> None:
    (found,) = judge_values(rows_of({"x": ["1", None]}, field("x", "a", validation="iban")))
    assert verdicts(found) == [None, False]
    assert found.unevaluated == "validation iban"


def test_codes_that_are_not_choices() -> None:
    found = judge_choices(
        rows_of(
            {"sex": ["1", "9", None, "NI"], "smokes": ["1", "2", "0", None]},
            field("sex", "a", type="radio", choices="0, F | 1, M"),
            field("smokes", "a", type="yesno"),
        )
    )
    assert {each.field: verdicts(each) for each in found} == {
        "sex": [False, True, False, False],
        "smokes": [False, True, False, False],
        "a_complete": [False] * 4,
    }


def test_a_value_inside_of_limits_that_are_not_evaluated_cannot_be_said() -> None:
    limited = field("x", "a", validation="integer", minimum="18", maximum="[oldest]")
    (found,) = judge_ranges(rows_of({"x": ["17", "20", None, "many"]}, limited))
    assert verdicts(found) == [True, None, False, None]
    assert found.text == "The value is below the minimum 18 or above the maximum [oldest]."
    assert found.unevaluated == "max [oldest]"
