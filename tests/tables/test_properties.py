"""Random projects and records: every cell that is put in comes out once, typed or accounted for."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.api import REDCapClient
from redcap_dagster.project import Column, REDCapProject
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables import (
    CleaningRules,
    clean,
    count_unplaced_cells,
    list_invalid_values,
    split_by_instrument,
)
from tests.dictionary import field

CHOICES = "1, One | 2, Two, or so | -9, | a, One"
KINDS: dict[str, dict[str, str]] = {
    "free": {},
    "notes": {"field_type": "notes"},
    "integer": {"text_validation_type_or_show_slider_number": "integer"},
    "comma": {"text_validation_type_or_show_slider_number": "number_comma_decimal"},
    "date": {"text_validation_type_or_show_slider_number": "date_mdy"},
    "moment": {"text_validation_type_or_show_slider_number": "datetime_ymd"},
    "yesno": {"field_type": "yesno"},
    "radio": {"field_type": "radio", "select_choices_or_calculations": CHOICES},
    "box": {"field_type": "checkbox", "select_choices_or_calculations": CHOICES},
    "calc": {"field_type": "calc"},
}
VALUES = st.sampled_from(
    [
        *("1", "0", "-9", "a", "007", "2.5", "2,5", "2020-02-29", "2021-02-29", "2020-01-01 10:00"),
        *("?", "UNK", " ", "[not completed]", "é\n", "<5 years and >2"),
    ]
)
Place = tuple[str, str, str, str]  # record, event, repeating form, instance
KEYS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")


@dataclass(frozen=True)
class Study:
    """A project, what was put into it, and the export that REDCap would make of that."""

    exports: dict[str, Any]
    project: REDCapProject
    saved: dict[str, dict[Place, dict[str, str]]]
    export: pa.Table


@st.composite
def studies(draw: st.DrawFn) -> Study:
    forms = [f"form_{n}" for n in range(draw(st.integers(1, 3)))]
    kinds = st.lists(st.sampled_from(sorted(KINDS)), max_size=4)
    metadata = [field("id", forms[0])]
    for form in forms:
        for n, kind in enumerate(draw(kinds)):
            metadata.append(field(f"{form}_{kind}_{n}", form) | KINDS[kind])
    events = draw(st.sampled_from([[""], ["a_arm_1"], ["a_arm_1", "b_arm_1", "a_arm_2"]]))
    # How a form is in an event: not at all, once, or repeating; or the event repeats as a whole.
    how = {(event, form): draw(st.sampled_from("-1nn" if event else "1n")) for event in events
           for form in forms}  # fmt: skip
    whole = {event for event in events if event and draw(st.booleans())}
    how = {place: "1" if place[0] in whole and way == "n" else way for place, way in how.items()}
    repeating = [(event, "") for event in sorted(whole)]
    repeating += [place for place, way in how.items() if way == "n"]
    exports: dict[str, list[dict[str, Any]]] = {
        "metadata": metadata,
        "instrument": [{"instrument_name": form, "instrument_label": form} for form in forms],
        "arm": [{"arm_num": n, "name": str(n)} for n in sorted({int(e[-1]) for e in events if e})],
        "event": [
            {"event_name": event, "unique_event_name": event, "arm_num": int(event[-1])}
            for event in events
            if event
        ],
        "formEventMapping": [
            {"arm_num": int(event[-1]), "unique_event_name": event, "form": form}
            for (event, form), way in how.items()
            if event and way != "-"
        ],
        "repeatingFormsEvents": [
            {"event_name": event, "form_name": form} for event, form in repeating
        ],
    }
    exports = {content: rows for content, rows in exports.items() if rows}
    info = {"missing_data_codes": "UNK, Unknown"}
    project = REDCapProject.from_exports(
        metadata=metadata,
        instruments=exports["instrument"],
        events=exports.get("event", ()),
        form_event_mapping=exports.get("formEventMapping", ()),
        repeating=exports.get("repeatingFormsEvents", ()),
        info=info,
    )
    saved: dict[str, dict[Place, dict[str, str]]] = {form: {} for form in forms}
    for (event, form), way in how.items():
        for record in draw(st.sets(st.sampled_from(["1", "02", "x-3"]))) if way != "-" else ():
            named = form if way == "n" else ""
            instance = str(draw(st.integers(1, 2))) if named or event in whole else ""
            saved[form][record, event, named, instance] = _filled(
                draw, project.columns(form), optional=not named
            )
    return Study(exports | {"project": info}, project, saved, _exported(project, saved))


def _filled(draw: st.DrawFn, columns: tuple[Column, ...], *, optional: bool) -> dict[str, str]:
    """Fill a form in; its status proves that it was saved where its values do not."""
    cells = {}
    for column in columns:
        box = column.field.field_type == "checkbox"
        cells[column.name] = draw(st.sampled_from("01")) if box else draw(st.just("") | VALUES)
    statuses = "12" if optional else "012"
    return cells | {columns[-1].name: draw(st.sampled_from(statuses))}


def _exported(project: REDCapProject, saved: dict[str, dict[Place, dict[str, str]]]) -> pa.Table:
    """Lay everything out as a block matrix, with what REDCap shows of forms never saved."""
    columns = {form: project.columns(form) for form in saved}
    rows: dict[Place, dict[str, str]] = {}
    for places in saved.values():
        for place, cells in places.items():
            rows.setdefault(place, {}).update(cells)
    for (_, event, named, _), row in rows.items():
        for form in () if named else saved:
            placed = not event or event in project.designated_events(form)
            if placed and event not in project.events_where_repeating(form):
                for column in columns[form]:
                    shown = column.field.field_type == "checkbox" or column.name.endswith(
                        "_complete"
                    )
                    row.setdefault(column.name, "0" if shown else "")
                    if column.field.field_type == "calc" and not row[column.name]:
                        row[column.name] = "0"
    keys = [KEYS[0]] * project.is_longitudinal + [*KEYS[1:]] * project.has_repeating
    table = {"id": [place[0] for place in rows]}
    for name in keys:
        table[name] = [place[1 + KEYS.index(name)] for place in rows]
    for form in saved:
        for column in columns[form]:
            table[column.name] = [row.get(column.name, "") for row in rows.values()]
    return pa.table({name: pa.array(cells, pa.string()) for name, cells in table.items()})


def _by_place(table: pa.Table) -> dict[Place, dict[str, Any]]:
    rows = {}
    for row in table.to_pylist():
        keys = [row["id"], *(row.get(name) or "" for name in KEYS)]
        rows[keys[0], keys[1], keys[2], str(keys[3])] = row
    assert len(rows) == table.num_rows, "keys are unique"
    return rows


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


@given(studies())
def test_every_cell_comes_out_in_one_table(study: Study) -> None:
    _assert_all_there(study, study.export, study.project)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@settings(max_examples=25)
@given(study=studies())
def test_every_cell_comes_out_through_the_sandbox(server: Sandbox, study: Study) -> None:
    records = [
        {"id": place[0], **dict(zip(KEYS, place[1:], strict=True)), **cells}
        for places in study.saved.values()
        for place, cells in places.items()
    ]
    token = server.add_project(exports=study.exports, records=records)
    client = REDCapClient(server.url, token, rate_limit=None)
    export = client.export_records_table(export_blank_for_gray_form_status=True)
    project = client.export_structure().project(header=export.column_names)
    _assert_all_there(study, export, project, blank_status=True)


def _assert_all_there(
    study: Study, export: pa.Table, project: REDCapProject, *, blank_status: bool = False
) -> None:
    tables = split_by_instrument(export, project, blank_status=blank_status)
    for form, places in study.saved.items():
        rows = _by_place(tables[form])
        assert rows.keys() == places.keys()
        for place, cells in places.items():
            for name, text in cells.items():
                # REDCap computes what nobody computed.
                if text or not name.startswith(f"{form}_calc"):
                    assert rows[place][name] == (text or None)
    assert count_unplaced_cells(export, project, blank_status=blank_status) == {}


@given(studies())
def test_every_cell_is_typed_or_accounted_for(study: Study) -> None:
    rules = CleaningRules(missing_reasons=True)
    for form, records in split_by_instrument(study.export, study.project).items():
        cleaned = clean(records, form, study.project, rules)
        misfits = list_invalid_values(cleaned, records, form, study.project)
        texts = zip(misfits["field_name"].to_pylist(), misfits["value"].to_pylist(), strict=True)
        listed = sorted(texts)
        expected = []
        for column in study.project.columns(form):
            name = column.name
            reason = f"{column.field.field_name}_missing"
            nulls = cleaned.table[name].null_count - records[name].null_count
            assert nulls == cleaned.replaced.get(name, 0) + cleaned.invalid.get(name, 0)
            if column.field.field_type == "checkbox" or name.endswith("_complete"):
                continue
            for text, value, why in zip(
                *(records[name], cleaned.table[name], cleaned.table[reason]), strict=True
            ):
                assert value.is_valid == (why.as_py() is None)
                assert (why.as_py() == "blank") == (not text.is_valid)
                if why.as_py() == "unfit":
                    expected.append((name, text.as_py()))
        assert listed == sorted(expected)


@pytest.mark.slow
@given(studies(), st.randoms(use_true_random=False))
def test_order_and_pieces_change_nothing(study: Study, chance: random.Random) -> None:
    names = chance.sample(study.export.column_names, len(study.export.column_names))
    rows = chance.sample(range(study.export.num_rows), study.export.num_rows)
    shuffled = study.export.select(names).take(pa.array(rows, pa.int64()))
    half = shuffled.num_rows // 2
    shuffled = pa.concat_tables([shuffled.slice(0, half), shuffled.slice(half)])
    plain = split_by_instrument(study.export, study.project)
    for form, records in split_by_instrument(shuffled, study.project).items():
        first = clean(plain[form], form, study.project, CleaningRules())
        again = clean(plain[form], form, study.project, CleaningRules())
        other = clean(records, form, study.project, CleaningRules())
        assert _bytes(first.table) == _bytes(again.table)
        assert first.table.schema == other.table.schema
        assert _by_place(first.table) == _by_place(other.table)
        assert (first.replaced, first.invalid) == (other.replaced, other.invalid)
