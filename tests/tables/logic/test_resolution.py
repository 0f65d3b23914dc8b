"""References find the value of the row that they mean, in any form, event, instance and arm."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.logic import Reference, SmartVariable, list_references, parse_logic
from redcap_dagster.project.logic.events import find_event
from redcap_dagster.tables.logic import StudyRows, resolve, resolve_smart_variable
from tests.dictionary import field

EVENTS = ("base_arm_1", "visit_arm_1", "unplanned_arm_1", "end_arm_1", "base_arm_2")
FORMS = {
    "person": ("base_arm_1", "base_arm_2"),
    "lab": ("base_arm_1", "visit_arm_1", "unplanned_arm_1", "end_arm_1"),
    "drug": ("base_arm_1", "visit_arm_1", "end_arm_1"),
    "note": ("unplanned_arm_1",),
}
PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "person"),
        *(field(form[0], form) for form in FORMS),
        field("tick", "lab", type="checkbox", choices="1, Yes | 2, No"),
        field("comma", "person", validation="number_comma_decimal"),
    ],
    arms=[{"arm_num": 1, "name": "Drug"}, {"arm_num": 2, "name": "Placebo"}],
    events=[
        {"unique_event_name": name, "event_name": name[:-6], "arm_num": name[-1]} for name in EVENTS
    ],
    form_event_mapping=[
        {"unique_event_name": event, "form": form, "arm_num": event[-1]}
        for form, events in FORMS.items()
        for event in events
    ],
    repeating=[
        {"form_name": "drug", "event_name": "base_arm_1"},
        {"form_name": "drug", "event_name": "visit_arm_1"},
        {"form_name": "", "event_name": "unplanned_arm_1"},
    ],
)
SMART = [f"{name}-event-name" for name in ("first", "last", "previous", "next")]
INSTANCES = [f"{name}-instance" for name in ("first", "last", "previous", "next", "current", "new")]

Row = tuple[str, str, int]
"""Record, event and instance; 0 without one."""


def _make_table(form: str, rows: Iterable[Row]) -> pa.Table:
    """Return a table whose values say where they stand."""
    listed = list(rows)
    columns: dict[str, pa.Array] = {
        "id": [row[0] for row in listed],
        "redcap_event_name": [row[1] for row in listed],
        "redcap_repeat_instance": pa.array([str(row[2] or "") or None for row in listed]),
        form[0]: [f"{form} {row}" for row in listed],
    }
    if form == "lab":
        columns["tick___1"] = ["1" for _ in listed]
    columns[f"{form}_complete"] = pa.array([None for _ in listed], pa.string())
    return pa.table(columns).cast(pa.schema([(name, pa.string()) for name in columns]))


def _repeats(form: str, event: str) -> str:
    """Return how a form repeats in an event: as a form, with its event, or not."""
    if event in PROJECT.events_where_repeating(form):
        return "form"
    return "event" if event in PROJECT.repeating_events else ""


def _find_value(
    rows: dict[str, set[Row]], form: str, row: Row, other: str, reference: Reference
) -> str | None:
    """Return the value that a reference means in one row; None where it cannot be said."""
    record, row_event, own_number = row
    event = find_event(PROJECT, reference.event, row_event, other) or ""
    if event not in FORMS[other]:
        return ""
    default = "0" if reference.code or reference.field.endswith("_complete") else ""
    repeats = _repeats(other, event)
    text = reference.instance
    if not repeats:
        if text not in ("", "1", "current-instance", "first-instance", "last-instance"):
            return None if (record, event, 0) in rows[other] else ""
        if (record, event, 0) not in rows[other]:
            return default
        return _read(other, (record, event, 0), reference)
    series = [
        one[2]
        for name in (rows if repeats == "event" else [other])
        for one in rows[name]
        if one[:2] == (record, event)
    ]
    is_same = event == row_event and (repeats == "event" or form == other)
    current = own_number if is_same or text.endswith("-instance") else 0
    number: int | None
    if text.isdigit():
        number = int(text)
    elif text in ("first-instance", "last-instance"):
        number = (min if text.startswith("first") else max)(series, default=-1)
    elif text == "new-instance" or not current:
        return None if series else ""
    else:
        number = current + {"previous-instance": -1, "next-instance": 1}.get(text, 0)
    if (record, event, number) in rows[other]:
        return _read(other, (record, event, number), reference)
    return default if repeats == "event" and number in series else ""


def _read(form: str, row: Row, reference: Reference) -> str:
    if reference.code:
        return "1"
    return "0" if reference.field.endswith("_complete") else f"{form} {row}"


@st.composite
def studies(draw: st.DrawFn) -> dict[str, set[Row]]:
    rows: dict[str, set[Row]] = {form: set() for form in FORMS}
    for form, events in FORMS.items():
        for record in "12":
            for event in events:
                numbers = st.sampled_from([1, 2, 3, 5] if _repeats(form, event) else [0])
                chosen = draw(st.sets(numbers, max_size=3))
                rows[form] |= {(record, event, number) for number in chosen}
    return rows


@settings(max_examples=200, deadline=None)
@given(
    studies(),
    st.sampled_from(list(FORMS)),
    st.sampled_from(["p", "l", "d", "n", "tick", "lab_complete"]),
    st.sampled_from(["", "event-name", *SMART, *EVENTS, "nowhere_arm_1"]),
    st.sampled_from(["", "1", "2", "4", "99999999999", *INSTANCES]),
)
def test_a_reference_has_the_value_of_the_row_that_it_means(
    rows: dict[str, set[Row]], form: str, name: str, event: str, instance: str
) -> None:
    other = {"tick": "lab", "lab_complete": "lab"}.get(name) or next(
        one for one in FORMS if one[0] == name
    )
    ordered = {one: sorted(rows[one], reverse=True) for one in FORMS}
    study = StudyRows(PROJECT, {one: _make_table(one, ordered[one]) for one in FORMS})
    reference = Reference(name, "1" if name == "tick" else None, event, instance)
    expected = [_find_value(rows, form, row, other, reference) for row in ordered[form]]
    assert resolve(study, reference, form).to_pylist() == expected


CLASSIC = REDCapProject.from_exports(
    metadata=[
        field("id", "person"),
        field("sex", "person"),
        field("weight", "person", validation="number_comma_decimal"),
        field("dose", "drug"),
        field("due", "lab"),
        field("tick", "lab", type="checkbox", choices="a, Yes | -9, No"),
    ],
    repeating=[{"form_name": "drug"}],
)


def _make_classic_study() -> StudyRows:
    return StudyRows(
        CLASSIC,
        {
            "person": pa.table(
                {"id": ["1", "2", "3"], "sex": ["F", None, "M"], "weight": ["1,5", "2", "3"]}
            ),
            "drug": pa.table(
                {
                    "id": ["1", "1", "2", "1"],
                    "redcap_repeat_instrument": ["drug"] * 4,
                    "redcap_repeat_instance": ["1", "2", "1", "4"],
                    "dose": ["a", "b", "c", "d"],
                }
            ),
            "lab": pa.table({"id": ["2"], "due": ["x"], "tick___a": ["1"], "tick____9": ["0"]}),
        },
    )


@pytest.mark.parametrize(
    ("logic", "form", "expected"),
    [
        ("[sex]", "drug", ["F", "F", "", "F"]),
        ("[dose][previous-instance]", "drug", ["", "a", "", ""]),
        ("[dose][next-instance]", "drug", ["b", "", "", ""]),
        ("[dose][first-instance]", "person", ["a", "c", ""]),
        ("[dose][last-instance]", "drug", ["d", "d", "c", "d"]),
        ("[dose][2]", "lab", [""]),
        ("[dose]", "person", [None, None, ""]),
        ("[dose]", "drug", ["a", "b", "c", "d"]),
        ("[tick(a)]", "person", ["0", "1", "0"]),
        ("[tick(A)]", "lab", ["1"]),
        ("[tick(-9)]", "person", ["0", "0", "0"]),
        ("[tick]", "lab", [None]),
        ("[sex(1)]", "person", [None, None, None]),
        ("[lab_complete]", "lab", [None]),
        ("[nothing]", "lab", [None]),
        ("[visit_arm_1][sex]", "person", ["", "", ""]),
        ("[event-name][sex]", "person", ["F", "", "M"]),
        ("[id]", "drug", ["1", "1", "2", "1"]),
        ("[weight]", "person", ["1.5", "2", "3"]),
    ],
)
def test_references_of_a_classic_project(logic: str, form: str, expected: list[str | None]) -> None:
    (reference,) = list_references(parse_logic(logic))
    assert resolve(_make_classic_study(), reference, form).to_pylist() == expected


def test_the_values_of_a_form_that_was_not_exported_cannot_be_said() -> None:
    study = _make_classic_study()
    seen = {name: table for name, table in study.tables.items() if name != "lab"}
    assert resolve(StudyRows(CLASSIC, seen), Reference("due"), "person").to_pylist() == [None] * 3


def test_values_of_another_moment_cannot_be_said() -> None:
    project = REDCapProject.from_exports(
        metadata=[field("id", "a"), field("x", "a"), field("y", "b")]
    )
    tables = {
        "a": pa.table({"id": ["1", "2"], "x": ["1", "1"]}),
        "b": pa.table(
            {"id": ["1"], "y": [None]}, schema=pa.schema({"id": "string", "y": "string"})
        ),
    }
    assert resolve(StudyRows(project, tables), Reference("y"), "a").to_pylist() == ["", ""]
    apart = StudyRows(project, tables, lambda form: form)
    assert resolve(apart, Reference("y"), "a").to_pylist() == [None, None]
    assert resolve(apart, Reference("x"), "a").to_pylist() == ["1", "1"]


@pytest.mark.parametrize("forms", [("note",), ("note", "lab")])
def test_the_end_of_a_repeating_event_cannot_be_said_without_all_of_its_forms(
    forms: Sequence[str],
) -> None:
    """A form that was exported at another moment may have other instances by now."""
    rows = [("1", "unplanned_arm_1", 1)]
    tables = {form: _make_table(form, rows) for form in forms}
    study = StudyRows(PROJECT, tables, lambda form: form)
    found = [resolve(study, Reference("n", None, "", which), "note") for which in INSTANCES[:3]]
    assert [each.to_pylist() for each in found] == [[None], [None], [""]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("record-name", ["1", "2"]),
        ("event-name", ["base_arm_1", "base_arm_2"]),
        ("arm-number", ["1", "2"]),
        ("arm-label", ["Drug", "Placebo"]),
        ("next-event-name", ["visit_arm_1", ""]),
        ("current-instance", [None, None]),
        ("user-name", [None, None]),
        ("instrument-name", ["person", "person"]),
    ],
)
def test_smart_variables_have_the_values_of_their_rows(name: str, expected: list[str]) -> None:
    rows = [("1", "base_arm_1", 0), ("2", "base_arm_2", 0)]
    study = StudyRows(PROJECT, {"person": _make_table("person", rows)})
    variable = SmartVariable(name)
    assert resolve_smart_variable(study, variable, "person").to_pylist() == expected


def test_a_hash_is_not_compared_as_the_record_id() -> None:
    """A field that logic asks of record 5 only is not hidden: nobody can say which record it is."""
    identified = {**field("id", "a"), "identifier": "y"}
    project = REDCapProject.from_exports(metadata=[identified, field("x", "a")])
    ids = pa.array(["1f3870be274f6c49b3e31a0c6728957f", "5"])
    study = StudyRows(project, {"a": pa.table({"id": ids})})
    assert resolve(study, Reference("id"), "a").to_pylist() == [None, "5"]
    assert resolve_smart_variable(study, SmartVariable("record-name"), "a").to_pylist() == [
        None,
        "5",
    ]
