"""Made-up studies: they obey their dictionary, as the logic itself says."""

import re
from collections import Counter
from typing import Any

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.project import Field, REDCapProject
from redcap_dagster.project.logic import (
    Facts,
    evaluate_calculation,
    evaluate_condition,
    parse_logic,
)
from redcap_dagster.project.validations import VALIDATIONS, read_value
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.synthesis import MadeUpStudy, make_up_study
from tests.dictionary import field

LIMITS = {"text_validation_min": "10", "text_validation_max": "12"}
CLASSIC = [
    field("id"),
    field("age", validation="integer", required_field="y", **LIMITS),
    field("smokes", type="yesno"),
    field("packs", validation="number_2dp_comma_decimal", branching_logic="[smokes] = '1'",
          required_field="y"),
    field("doubled", type="calc", choices="[age] * 2"),
    field("note", type="text", field_annotation="@CALCTEXT(if([smokes]='1','yes','no'))"),
    field("rare", type="radio", choices=" | ".join(f"{n}, Code {n}" for n in range(60))),
    field("deep", required_field="y", branching_logic="[rare] = '7' and [doubled] = 22"),
    field("deeper", required_field="y", branching_logic="[deep] = 'x' or [never_there] = 1"),
    field("symptoms", type="checkbox", choices="1, A | 2, B | 3, C | 9, None",
          field_annotation="@NONEOFTHEABOVE='9' @MAXCHECKED=2"),
    field("started", validation="date_dmy"),
    field("code", field_annotation="@NOMISSING"),
    field("loop_a", branching_logic="[loop_b] = ''"),
    field("loop_b", branching_logic="[loop_a] = ''"),
    field("unasked", required_field="y", field_annotation="@HIDDEN"),
]  # fmt: skip
INFO = {"missing_data_codes": "UNK, Unknown", "secondary_unique_field": "code"}


@pytest.fixture(scope="module")
def study() -> MadeUpStudy:
    project = REDCapProject.from_exports(metadata=CLASSIC, info=INFO)
    return make_up_study(project, records=150, seed=3)


def test_records_obey_their_dictionary(study: MadeUpStudy) -> None:
    rows = [dict(values) for _, values in study.rows]
    assert len(rows) == 150
    for row in rows:
        assert row["age"] in {"10", "11", "12"}
        assert ("packs" in row) == (row.get("smokes") == "1")
        assert re.fullmatch(r"\d+,\d\d", row.get("packs", "1,00"))
        assert row["doubled"] == str(2 * int(row["age"]))
        assert row["note"] == ("yes" if row.get("smokes") == "1" else "no")
        ticks = {name for name in row if name.startswith("symptoms")}
        assert len(ticks) <= 2
        assert ticks == {"symptoms___9"} or "symptoms___9" not in ticks
        assert ("deep" in row) == (row.get("rare") == "7" and row["doubled"] == "22")
        assert not ("loop_a" in row and "loop_b" in row)
    assert any("symptoms___9" in row for row in rows)
    codes = Counter(row["code"] for row in rows if "code" in row)
    assert max(codes.values()) == 1
    assert "UNK" not in codes
    missing = Counter(name for row in rows for name, value in row.items() if value == "UNK")
    assert missing
    assert not missing.keys() & {"age", "code", "visit_complete"}


def test_each_required_field_is_asked_or_named(study: MadeUpStudy) -> None:
    asked = {name for _, values in study.rows for name in values}
    assert {"packs", "deep", "deeper"} <= asked  # deeper by the way that exists
    assert study.never_asked == {"unasked": "the action tag @HIDDEN hides it"}
    assert set(study.circular) == {"loop_a", "loop_b"}


def test_a_ranking_and_limits_of_characters() -> None:
    limit = {"field_annotation": "@CHARLIMIT=3"}
    ranked = {"matrix_group_name": "m", "matrix_ranking": "y"}
    choices = {"type": "radio", "choices": "1, A | 2, B | 3, C"}
    project = REDCapProject.from_exports(
        metadata=[
            field("id"),
            *(field(f"rank_{n}", required_field="y", **choices, **ranked) for n in "abc"),
            field("other", required_field="y", **choices, matrix_group_name="m"),
            field("same", branching_logic="[rank_a] = '2' and [rank_b] = '2'"),
            field("short", required_field="y", **limit),
            field("day", required_field="y", validation="date_ymd", **limit),
        ]
    )
    study = make_up_study(project, records=60)
    rows = [dict(values) for _, values in study.rows]
    for row in rows:
        assert {row[f"rank_{n}"] for n in "abc"} == {"1", "2", "3"}
        assert len(row["short"]) <= 3
        assert len(row["day"]) == 10
    assert {row["other"] for row in rows} == {"1", "2", "3"}


def test_a_rare_sum_of_several_fields_is_found() -> None:
    choices = " | ".join(f"{n}, Code {n}" for n in range(11))
    project = REDCapProject.from_exports(
        metadata=[
            field("id"),
            *(field(name, type="dropdown", choices=choices) for name in "abc"),
            field("most", required_field="y", branching_logic="[a] + [b] + [c] = 30"),
        ]
    )
    study = make_up_study(project, records=5)
    assert any("most" in dict(values) for _, values in study.rows)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"type": "radio"}, "it does not have choices"),
        (
            {"validation": "integer", "minimum": "9", "maximum": "1"},
            "no value is between its limits",
        ),
        (
            {"branching_logic": "[user-name] = 'me'"},
            "its branching logic depends on the time, a user or the server",
        ),
        ({"branching_logic": "[a"}, "its branching logic cannot be read"),
        ({"branching_logic": "[x] = ''"}, "its branching logic is circular"),
        ({"type": "calc", "choices": "'a'"}, "its calculation has no result"),
    ],
)
def test_why_a_required_field_is_never_asked(own: dict[str, str], reason: str) -> None:
    project = REDCapProject.from_exports(
        metadata=[field("id"), field("x", required_field="y", **own)]
    )
    assert make_up_study(project, records=5).never_asked == {"x": reason}


def test_the_seed_decides() -> None:
    project = REDCapProject.from_exports(metadata=CLASSIC, info=INFO)
    first, again, other = (make_up_study(project, records=9, seed=seed) for seed in (1, 1, 2))
    assert first.rows == again.rows
    assert first.rows != other.rows


def test_events_instances_and_groups() -> None:
    events = [("v1_arm_1", 1), ("v2_arm_1", 1), ("other_arm_2", 2)]
    project = REDCapProject.from_exports(
        metadata=[
            field("id"),
            field("weight", validation="integer"),
            field("lost", type="calc", choices="[v1_arm_1][weight] - [weight]"),
            field("dose", "drug", validation="integer", required_field="y"),
            field("more", "drug", branching_logic="[dose] > [dose][previous-instance]"),
            field("score", "lab", validation="integer"),
            field("change", "lab", type="calc", choices="[score] - [score][previous-instance]"),
        ],
        events=[{"event_name": n, "unique_event_name": n, "arm_num": arm} for n, arm in events],
        arms=[{"arm_num": 1, "name": "A"}, {"arm_num": 2, "name": "B"}],
        form_event_mapping=[
            {"arm_num": arm, "unique_event_name": n, "form": form}
            for n, arm in events
            for form in ("visit", "drug", "lab")
            if (n, form) != ("v2_arm_1", "lab")
        ],
        repeating=[
            {"event_name": "v1_arm_1", "form_name": "drug"},
            {"event_name": "other_arm_2", "form_name": ""},
        ],
        header=["redcap_data_access_group"],
    )
    study = make_up_study(project, records=80)
    by_key = {key: dict(values) for key, values in study.rows}

    def number(key: RowKey, name: str) -> int:
        return int(by_key[key][name])

    kinds = {(key.event, key.instrument, key.instance > 0) for key in by_key}
    assert kinds == {
        ("v1_arm_1", "", False),
        ("v1_arm_1", "drug", True),
        ("v2_arm_1", "", False),
        ("other_arm_2", "", True),
    }
    assert {key.event for key in by_key if "score" in by_key[key]} == {"v1_arm_1", "other_arm_2"}
    later = 0
    for key, values in by_key.items():
        before = RowKey(key.record, key.event, key.instrument, key.instance - 1)
        if key.event == "other_arm_2" and "change" in values:
            later += 1
            assert int(values["change"]) == number(key, "score") - number(before, "score")
        if "more" in values:
            assert number(key, "dose") > number(before, "dose")
        if key.event == "v2_arm_1" and "lost" in values:
            first = RowKey(key.record, "v1_arm_1")
            assert int(values["lost"]) == number(first, "weight") - number(key, "weight")
    assert later > 5
    groups = {key.record: values.get("redcap_data_access_group") for key, values in by_key.items()}
    assert set(groups.values()) == {"site_a", "site_b", "site_c", None}


@pytest.mark.parametrize("validation", VALIDATIONS)
def test_values_of_each_validation(validation: str) -> None:
    metadata = [field("id"), field("x", validation=validation, required_field="y")]
    project = REDCapProject.from_exports(metadata=metadata)
    known = VALIDATIONS[validation]
    for _, values in make_up_study(project, records=20).rows:
        assert re.fullmatch(known.pattern, values["x"], re.ASCII)
        assert known.kind == "text" or read_value(values["x"], known) is not None


@pytest.mark.parametrize("branching", ["(a and", "[nobody] = '1'", "[self] = ''"])
def test_logic_that_asks_nobody(branching: str) -> None:
    """Bad logic leaves its field blank and names it; the others are made up."""
    rows = [field("id"), field("a"), field("self", required_field="y", branching_logic=branching)]
    study = make_up_study(REDCapProject.from_exports(metadata=rows), records=20)
    assert list(study.never_asked) == ["self"]
    assert any("a" in values for _, values in study.rows)


def test_what_depends_on_circular_logic() -> None:
    """A field that logic clears in the end is blank for the fields that refer to it, too."""
    rows = [
        field("id"),
        field("self", branching_logic="[self] = ''"),
        field("then", required_field="y", branching_logic="[self] <> ''"),
        field("number", type="calc", choices="if([self] = '', 1, 2)"),
        field("instead", required_field="y", branching_logic="[number] = 1"),
    ]
    project = REDCapProject.from_exports(metadata=rows)
    made = [dict(values) for _, values in make_up_study(project, records=30).rows]
    for values in made:
        assert not {"self", "then"} & values.keys()
        assert values["number"] == "1"
        assert ("instead" in values) >= (values["visit_complete"] == "2")


def test_of_two_fields_that_hide_each_other_one_is_filled() -> None:
    """What circular logic asks in the end stays."""
    rows = [
        field("id"),
        field("a", branching_logic="[b] = ''"),
        field("b", branching_logic="[a] = ''"),
    ]
    project = REDCapProject.from_exports(metadata=rows)
    made = [dict(values) for _, values in make_up_study(project, records=30).rows]
    assert {len({"a", "b"} & values.keys()) for values in made} <= {0, 1}
    assert any("a" in values or "b" in values for values in made)


def test_logic_that_is_circular_in_one_event() -> None:
    events = [{"event_name": n, "unique_event_name": n, "arm_num": 1} for n in ("v1", "v2")]
    project = REDCapProject.from_exports(
        metadata=[
            field("id"),
            *(field(name, branching_logic="[v1][self] = ''") for name in ("self", "too")),
            field("then", required_field="y", branching_logic="[v1][self] <> ''"),
        ],
        events=events,
        arms=[{"arm_num": 1, "name": "A"}],
        form_event_mapping=[
            {"arm_num": 1, "unique_event_name": n, "form": "visit"} for n in ("v1", "v2")
        ],
    )
    rows = [(key.event, dict(values)) for key, values in make_up_study(project, records=30).rows]
    assert not any({"self", "then"} & values.keys() for event, values in rows if event == "v1")
    assert not any("then" in values for _, values in rows)


def test_a_form_that_cannot_be_complete() -> None:
    """No value is between the limits: the field stays blank, so the form is incomplete."""
    rows = [
        field("id"),
        field("most", validation="integer", maximum="5", required_field="y"),
        field("x", validation="integer", minimum="9", maximum="[most]", required_field="y"),
    ]
    study = make_up_study(REDCapProject.from_exports(metadata=rows), records=40)
    assert study.never_asked == {"x": "no value is between its limits"}
    assert {values["visit_complete"] for _, values in study.rows} == {"0"}


def test_the_sandbox_serves_a_study(sandbox: Sandbox, study: MadeUpStudy) -> None:
    token = sandbox.add_study(study)
    client = REDCapClient(sandbox.url, token)
    records: Any = client.export_records().set_index("id")
    assert len(records) == 150
    for key, values in study.rows:
        assert records.loc[key.record, "age"] == values["age"]
    # The server comes to the same results.
    client.records.import_([{"id": "1", "visit_complete": "2"}])
    again: Any = client.export_records().set_index("id")
    assert again.loc["1", "doubled"] == records.loc["1", "doubled"]


def test_logic_by_the_engine(study: MadeUpStudy) -> None:
    """Each row is held to the logic of its dictionary, read afresh."""
    fields = [Field(**row) for row in CLASSIC]
    for _, values in study.rows:
        own = dict(values)
        facts = Facts(lambda reference, own=own: own.get(reference.field, ""))  # type: ignore[misc]
        for each in fields:
            if each.branching_logic and each.field_name in values:
                assert evaluate_condition(parse_logic(each.branching_logic), facts) is True
            if each.field_type == "calc":
                logic = parse_logic(each.select_choices_or_calculations)
                assert evaluate_calculation(logic, facts) == values[each.field_name]
