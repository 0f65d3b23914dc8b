"""Planted errors: each is listed with what it brings with it, and nothing else is wrong."""

from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.synthesis import KINDS, make_up_study
from redcap_dagster.sandbox.synthesis.judge import find_findings
from redcap_dagster.sandbox.synthesis.plan import StudyPlan
from redcap_dagster.sandbox.synthesis.planted_errors import PlantedError, plant_errors, write_errors
from redcap_dagster.sandbox.synthesis.records import MadeUpRecord
from redcap_dagster.sandbox.synthesis.study import make_records, make_row_key
from tests.dictionary import field

METADATA = [
    field("id"),
    field("code", required_field="y"),
    field("born", validation="date_ymd", maximum="2020-01-01", required_field="y"),
    field("seen", validation="date_ymd", maximum="2024-01-01"),
    field("due", validation="date_mdy", field_annotation="@CALCDATE([seen], 7, 'd')"),
    field("smokes", type="yesno", required_field="y"),
    field("packs", validation="integer", minimum="1", maximum="9",
          branching_logic="[smokes] = '1'", required_field="y"),
    field("years", validation="integer", branching_logic="[smokes] = '1'", required_field="y"),
    field("total", type="calc", choices="[packs] * [years]"),
    field("heavy", type="radio", choices="1, Yes | 2, No", branching_logic="[total] > 20"),
    field("symptoms", type="checkbox", choices="1, A | 2, B | 3, C | 9, None",
          field_annotation="@NONEOFTHEABOVE='9' @MAXCHECKED=2"),
    field("age", type="calc", choices="rounddown(datediff([born], 'today', 'y'))"),
    field("old", branching_logic="[age] > 30", required_field="y"),
    field("hidden", required_field="y", field_annotation="@IF([smokes] = '1', @HIDDEN, '')"),
    field("dose", "drug", validation="number", minimum="0", maximum="5", required_field="y"),
    field("more", "drug", branching_logic="[dose] > [dose][previous-instance]"),
]  # fmt: skip
PROJECT = REDCapProject.from_exports(
    metadata=METADATA,
    info={"secondary_unique_field": "code", "missing_data_codes": "UNK, Unknown"},
    repeating=[{"form_name": "drug"}],
)


def list_findings(plan: StudyPlan, records: list[MadeUpRecord]) -> Counter[Any]:
    """Return all that is wrong by the rules, in all cells."""
    found: Counter[Any] = Counter()
    for record in records:
        for place, forms in record.saved.items():
            for each in plan.kinds[place[0]]:
                if each.field.form_name in forms:
                    key = make_row_key(record.name, place)
                    rules = find_findings(record, each, place)
                    found.update((rule, key, each.name) for rule in rules)
    return found


def list_gold(errors: tuple[PlantedError, ...]) -> Counter[Any]:
    return Counter(
        (each.kind, each.row_key, each.field)
        for error in errors
        for each in error.findings
        if each.kind in "BCDFGH"
    )


@pytest.mark.parametrize("seed", range(5))
def test_nothing_else_is_wrong(seed: int) -> None:
    plan, rng = StudyPlan(PROJECT), Random(seed)  # noqa: S311
    records, _ = make_records(plan, rng, 60)
    assert not list_findings(plan, records)
    errors = plant_errors(plan, records, rng, dict.fromkeys(KINDS, 0.05))
    assert {error.kind for error in errors} == set(KINDS)
    assert list_findings(plan, records) == list_gold(errors)
    assert max(list_gold(errors).values()) == 1


def test_errors_have_consequences() -> None:
    study = make_up_study(PROJECT, records=200, errors=0.9)
    values = {key: dict(row) for key, row in study.rows}
    seen = set()
    for error in study.errors:
        row = values[error.row_key]
        seen |= {(error.kind, error.field, each.kind, each.field) for each in error.consequences}
        assert error.field not in ("born", "hidden", "old") or error.kind in "CDF"
        match error.kind:
            case "B":
                assert error.field not in row
            case "G":
                assert row[error.field] not in {"0", "1", "2"}
            case "D":
                beyond = {
                    "packs": {"0", "10"},
                    "dose": {"-1.0", "6.0"},
                    "born": {"2020-01-02"},
                    "seen": {"2024-01-02"},
                }
                assert row[error.field] in beyond[error.field]
            case "unique":
                (other,) = error.consequences
                assert values[other.row_key]["code"] == row["code"]
    assert {
        ("B", "smokes", "F", "packs"),  # hidden by a blank
        ("G", "smokes", "F", "years"),  # by a code that does not exist
        ("B", "years", "H", "total"),  # a calculation that is due
        ("D", "packs", "H", "total"),
        ("D", "seen", "H", "due"),
    } <= seen
    assert {field for _, _, _, field in seen}.isdisjoint({"age", "hidden"})
    drivers = [error for error in study.errors if error.field in ("smokes", "packs", "years")]
    assert len(drivers) >= len(study.errors) / 5


def test_calculated_dates_are_dates_also_wrong_ones() -> None:
    study = make_up_study(PROJECT, records=60, errors={"H": 0.2})
    wrong = {error.row_key for error in study.errors if error.field == "due"}
    apart: dict[bool, set[timedelta]] = {True: set(), False: set()}
    for key, row in study.rows:
        values = dict(row)
        if {"due", "seen"} <= values.keys() and values["seen"] != "UNK":
            between = date.fromisoformat(values["due"]) - date.fromisoformat(values["seen"])
            apart[key in wrong].add(between)
    assert apart == {True: {timedelta(days=14)}, False: {timedelta(days=7)}}


def test_the_records_are_those_without_errors() -> None:
    without, with_errors = (
        make_up_study(PROJECT, records=40, seed=9, errors=errors) for errors in (0, {"B": 0.02})
    )
    assert not without.errors
    assert {error.kind for error in with_errors.errors} == {"B"}
    different = {
        key for (key, one), (_, other) in zip(without.rows, with_errors.rows, strict=True)
        if dict(one) != dict(other)
    }  # fmt: skip
    assert different == {error.row_key for error in with_errors.errors}


def test_the_table_of_errors() -> None:
    study = make_up_study(PROJECT, records=40, errors=0.05)
    header, *rows = write_errors(PROJECT, study.errors)
    assert header[:4] == ("error", "planted", "kind", "id")
    assert sum(row[1] == "1" for row in rows) == len(study.errors)
    assert len(rows) == sum(1 + len(error.consequences) for error in study.errors)


@pytest.mark.parametrize("errors", [{"Q": 0.1}, {"B": 2}, -0.1])
def test_shares_that_are_none(errors: Any) -> None:
    with pytest.raises(ValueError, match="errors"):
        make_up_study(PROJECT, errors=errors)
