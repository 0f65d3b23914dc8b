"""Values that a validation or the choices refuse, row by row, and limits."""

import re
from collections.abc import Mapping

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.validations import VALIDATIONS
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


# Examples of public pages: messages of REDCap ("a 10 digit North American phone number", "a 5 or 9
# digit U.S. ZIP Code"), its validation suite, tests of redcapAPI and redcap-linter, a university's
# description of emails (docs.redcap.qmul.ac.uk). Where no page says whether REDCap takes a
# notation, it is unsaid.
@pytest.mark.parametrize(
    ("validation", "right", "wrong", "unsaid"),
    [
        ("email", ["a@b.org", "redcap@user.com", "o.b+c@x-y.co.uk"],
         ["redcap@", "a@b", "a b@c.org", "text", "a@b@c.org", "@b.org", "12:99"],
         ["o'b@c.org", "a$@b.org", " a@b.org", "é@b.org"]),
        ("alpha_only", ["ABCxyz"], ["abc1", "a-b", "a b"], ["José"]),
        ("integer", ["7", "-7", "007"], ["7.5", "seven", "50.2", "1.0"], []),
        ("number", ["6.78", "99.", "1E9", "3e-3"], ["abc", "2.a", "1,5"], []),
        ("number_comma_decimal", ["12,345", "123", "1E9"], ["99.", "2,a", "1.5"], []),
        ("number_2dp", ["7.25"], ["7.2", "7", "2.5"], []),
        ("number_1dp_comma_decimal", ["2,0", "10,9"], ["2.0", "2", "10.9"], []),
        ("datetime_ymd", ["2023-01-31 10:00", "2023-04-01 00:00"],
         ["2023-01-31 10:00:30", "2023-02-31 10:00", "2023-04-01 25:00", "2023-04 01 12:00"], []),
        ("datetime_seconds_dmy", ["2023-01-31T10:00:30"],
         ["2023-01-31 10:00", "2023-04-01 12:00:60"], []),
        ("time", ["6:23", "17:00"], ["6:23:01", "24:00", "24:50", "12:60", "13 11", "17"], []),
        ("time_hh_mm_ss", ["03:59:00"], ["01:60:59", "60:23:12", "12:45 10", "12:45:9"], []),
        ("time_mm_ss", ["03:59", "00:12"], ["1:3", "01:60", "60:23", "12 00"], []),
        ("zipcode", ["90210", "94043-1234"], ["9021", "940431"], ["940431234"]),
        ("ssn", ["123-12-1234"], ["123-12-123", "12-123-1234", "abc"], ["123121234"]),
        ("mrn_10d", ["1234567890"], ["123456789", "12345678901", "a234567890"], []),
        ("mrn_generic", ["A-1_b"], ["--?"], ["A 1"]),
        ("phone", ["555-867-5309", "(555) 867-5309", "415 555 1212", "4155551212"],
         ["867", "867-5309", "text", "555-867-530"],
         ["+1 415-555-1212", "415-555-1212 x4", "123-555-1212", "+44 7911 123456"]),
        ("phone_australia", ["(02) 1234 5678", "0412 345 678"], ["12 34", "text"], ["1234 5678"]),
        ("phone_uk", ["+44 7911 123456", "020 7946 0958"], ["7946", "text"], ["7946 09589"]),
        ("postalcode_australia", ["2000", "0800"], ["20000", "NSW"], ["800"]),
        ("postalcode_canada", ["A0A 0A0", "k1a0b1"], ["AAA 0A0", "12345"], ["K1A-0B1"]),
        ("postalcode_french", ["75001", "01000"], ["7500 1", "750"], ["1000", "96123", "99123"]),
        ("postalcode_germany", ["10115", "01067"], ["123456", "Berlin"], ["D-10115", "1067"]),
        ("postalcode_uk", ["SW1A 1AA", "m1 1ae", "GIR 0AA", "EC1A1BB"], ["SW1A", "12345"],
         ["BFPO 1AA", "SW1A  1AA"]),
    ],
)  # fmt: skip
def test_what_a_validation_refuses(
    validation: str, right: list[str], wrong: list[str], unsaid: list[str]
) -> None:
    cells = [*right, *wrong, *unsaid, None, "NI", "?"]
    (found,) = judge_values(rows_of({"x": cells}, field("x", "a", validation=validation)))
    assert (found.rule, found.letter, found.field) == ("values_fit_types", "C", "x")
    expected = [False] * len(right) + [True] * len(wrong) + [None] * len(unsaid) + [False] * 3
    assert verdicts(found) == expected
    assert found.read.to_pydict() == {"x": cells}


_NOTATIONS: list[str] = [
    *("7", "-7", "+07", "7.", ".5", "7,5", "7.25", "1e5", "9" * 20, "1e999", "0x10", "x", "100"),
    *("6:23", "06:23", "06:23:10", "24:00", "12:99"),
    *("2023-02-28", "2023-02-29", "0000-01-01", "2023-1-1", "2023-01-01T10:00"),
    *("2023-01-01 10:00", "2023-01-01 6:23", "2023-01-01 10:00:30", "2023-01-01  10:00"),
]


@pytest.mark.parametrize("name", VALIDATIONS)
def test_values_are_judged_by_the_pattern_also_where_the_cast_tests_them(name: str) -> None:
    rows = rows_of({"x": [*_NOTATIONS]}, field("x", "a", validation=name))
    (found,) = judge_values(rows)
    is_cast = rows.cleaned.table["x"].is_valid().to_pylist()
    pattern, tolerated = VALIDATIONS[name].pattern, VALIDATIONS[name].tolerated
    for text, cast, verdict in zip(_NOTATIONS, is_cast, verdicts(found), strict=True):
        notation = text.replace("T", " ") if VALIDATIONS[name].kind == "datetime" else text
        is_right = re.fullmatch(pattern, notation, re.ASCII) is not None
        is_unsaid = not is_right and re.fullmatch(tolerated, notation, re.ASCII) is not None
        assert verdict == (True if not cast else None if is_unsaid else not is_right), text


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
