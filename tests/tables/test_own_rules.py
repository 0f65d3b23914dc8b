"""The project's own rules: in which rows they are true, and which are refused."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.quality import (
    OwnRule,
    QualityRule,
    describe_problems,
    judge_own_rule,
    read_quality_rules,
    resolve_rules,
)
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "base"),
        field("name", "base"),
        field("title", "sample"),
        field("code", "sample"),
    ],
    repeating=[{"form_name": "sample"}],
)


def text(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


STUDY = StudyRows(
    PROJECT,
    {
        "base": pa.table(
            {
                "id": text("1", "2", "3"),
                "name": text("A", "B", None),
                "base_complete": text("2", "2", "2"),
            }
        ),
        "sample": pa.table(
            {
                "id": text("1", "1", "3"),
                "redcap_repeat_instrument": text("sample", "sample", "sample"),
                "redcap_repeat_instance": text("1", "2", "1"),
                "title": text("A", "Z", None),
                "code": text("x", "y", "x"),
                "sample_complete": text("2", "2", "2"),
            }
        ),
    },
)


def resolved(rule: QualityRule) -> OwnRule:
    (own,) = resolve_rules([rule], PROJECT)
    return own


def wrong_rows(rule: QualityRule) -> dict[str, list[bool]]:
    found = judge_own_rule(STUDY, resolved(rule))
    assert all(each.rule == rule.name for each in found)
    return {each.instrument: each.wrong.to_pylist() for each in found}


def test_a_rule_over_a_repeating_and_a_plain_form_is_judged_in_each_row() -> None:
    """Instances have the plain value of their record; the base row has no instance's value."""
    assert wrong_rows(QualityRule("same", "[title] <> [name]")) == {
        "sample": [False, True, False],
        "base": [True, True, False],
    }


def test_a_row_that_two_forms_share_counts_once() -> None:
    project = REDCapProject.from_exports(
        metadata=[field("id", "base"), field("name", "base"), field("other", "exam")]
    )
    names = pa.table({"id": text("1", "2"), "name": text("A", "B")})
    others = pa.table({"id": text("2", "3"), "other": text("B", "C")})
    (own,) = resolve_rules([QualityRule("same", "[name] <> [other]")], project)
    found = judge_own_rule(StudyRows(project, {"base": names, "exam": others}), own)
    assert [each.wrong.to_pylist() for each in found] == [[True, False], [False, True]]
    (own,) = resolve_rules([QualityRule("filled", "[name] <> '' or [other] <> ''")], project)
    found = judge_own_rule(StudyRows(project, {"base": names, "exam": others}), own)
    assert [each.count for each in found] == [2, 1]


def test_a_row_that_cannot_be_said_is_not_a_discrepancy() -> None:
    found = judge_own_rule(STUDY, resolved(QualityRule("early", "[name] < 'now' and [name] > 5")))
    assert [each.count for each in found] == [0]
    assert found[0].certain.false_count == 3


def test_fields_that_are_unique_together() -> None:
    assert wrong_rows(QualityRule("once", unique=["code"])) == {"sample": [True, False, True]}
    assert wrong_rows(QualityRule("both", unique=["code", "title"])) == {"sample": [False] * 3}


def test_values_that_may_be_in_other_records_are_not_certainly_unique() -> None:
    (found,) = judge_own_rule(
        STUDY, resolved(QualityRule("both", unique=["code", "title"])), is_whole=False
    )
    assert found.count == 0
    assert found.certain.to_pylist() == [False, False, True]


def test_a_rule_says_what_it_expects() -> None:
    rules = [QualityRule("early", "[name] < 5"), QualityRule("once", unique=["code", "title"])]
    assert [own.description.expects for own in resolve_rules(rules, PROJECT)] == [
        "In no row is it true that [name] < 5",
        "No two rows have the same values of code, title.",
    ]


@pytest.mark.parametrize(
    ("logic", "problem"),
    [
        ("[nmae] = 'A'", r"does not have the fields nmae"),
        ("[fever(3)] = '1'", r"does not have the options \[fever\(3\)\]"),
        ("[fever] = '1'", r"does not have the options \[fever\]"),
        ("[name(1)] = '1'", r"does not have the options \[name\(1\)\]"),
        ("[name] = (", ""),
    ],
)
def test_rules_that_cannot_be_evaluated_are_named_together(logic: str, problem: str) -> None:
    metadata = [
        field("id", "base"),
        field("name", "base"),
        field("fever", "base", type="checkbox", choices="1, Day 1 | 2, Day 2"),
    ]
    rules = [
        QualityRule("wrong", logic),
        QualityRule("elsewhere", "[nobody] = 1"),
        QualityRule("right", "[fever(1)] = '1'"),
    ]
    project = REDCapProject.from_exports(metadata=metadata)
    wrong, elsewhere, right = resolve_rules(rules, project)
    assert re.search(problem, wrong.problem)
    assert (bool(wrong.problem), right.problem) == (True, "")
    assert elsewhere.problem == "the project does not have the fields nobody"
    text = describe_problems([wrong, elsewhere, right])
    assert re.search(rf"evaluated: 'wrong': .*{problem}.*; 'elsewhere': .*nobody", text)
    assert "'right'" not in text


def test_rules_of_one_name_are_refused() -> None:
    rules = [QualityRule("A", "[name] = 1"), QualityRule("A", "[name] = 2")]
    with pytest.raises(StructureError, match=r"same name: \['A'\]"):
        resolve_rules(rules, PROJECT)


def test_names_of_checks_are_distinct() -> None:
    rules = [QualityRule(name, "[name] = 1") for name in ("A-b", "a b", "É")]
    checks = [own.check for own in resolve_rules(rules, PROJECT)]
    assert checks == ["rule_a_b", "rule_a_b_2", "rule"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_csv_of_the_data_quality_page(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "rules.csv"
    rows = [
        ["\ufeffrule_name", "rule_logic", "real_time_execution"],
        ['"Named, twice"', "\"[name] <> 'A'\n// a; comment\"", "y"],
    ]
    path.write_text("\n".join(map(delimiter.join, rows)), encoding="utf-8")
    (rule,) = read_quality_rules(path)
    assert (rule.name, rule.check_name) == ("Named, twice", "rule_named_twice")
    assert wrong_rows(rule) == {"base": [False, True, True]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,logic\na,b\n", "lack the columns"),
        ("rule_name,rule_logic\na,[x] = 1 or sum([y], 1)\n", "more cells than the header: a."),
        ('rule_name,rule_logic\na,"[x] = "1""\n', "quotes of the quality rules .* do not match"),
        ('rule_name,rule_logic\na,"[x] = 1\n', "quotes of the quality rules .* do not match"),
    ],
)
def test_a_file_that_is_not_such_a_csv_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "rules.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        read_quality_rules(path)


def test_unique_fields_that_rights_hide_or_that_hold_missing_codes() -> None:
    """A hidden field is not judged, which is no error; two missing codes are not the same value."""
    project = REDCapProject.from_exports(
        metadata=[field("id", "a"), field("code", "a")], info={"missing_data_codes": "NI, None"}
    )
    (own,) = resolve_rules([QualityRule("once", unique=["code"])], project)
    shown = pa.table({"id": text("1", "2", "3", "4"), "code": text("NI", "NI", "x", "x")})
    (found,) = judge_own_rule(StudyRows(project, {"a": shown}), own)
    assert found.wrong.to_pylist() == [False, False, True, True]
    (found,) = judge_own_rule(StudyRows(project, {"a": shown.select(["id"])}), own)
    assert (found.count, found.certain.false_count) == (0, 4)
