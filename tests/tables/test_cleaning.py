"""From records to clean tables."""

import datetime as dt
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.validations import VALIDATIONS
from redcap_dagster.tables import (
    CleaningRules,
    CleanTable,
    clean,
    column_sources,
    split_by_instrument,
)
from tests.dictionary import field

PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "f"),
        field("free", "f"),
        field("notes", "f", type="notes"),
        field("born", "f", validation="date_dmy"),
        field("sex", "f", type="radio", choices="0, Female | 1, Male | 2, | 9, Male"),
        field("ok", "f", type="yesno"),
        field("race", "f", type="checkbox", choices="1, A"),
        field("score", "f", type="calc"),
        field("term", "f", choices="BIOPORTAL:CTCAE"),
    ],
    info={"missing_data_codes": "UNK, Unknown"},
    header=["redcap_survey_identifier", "f_timestamp"],
)
BLANK = {"id": "1", "f_complete": "2"}


def _clean(*rows: dict[str, str], rules: CleaningRules | None = None) -> CleanTable:
    names = dict.fromkeys(name for row in (BLANK, *rows) for name in row)
    export = pa.table({name: [(BLANK | row).get(name, "") for row in rows] for name in names})
    records = split_by_instrument(export, PROJECT)["f"]
    return clean(records, "f", PROJECT, rules or CleaningRules())


def _cell(table: CleanTable, name: str) -> Any:
    return table.table[name][0].as_py()


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("born", "2001-12-31", dt.date(2001, 12, 31)),
        ("sex", "1", "Male"),
        ("sex", "2", "2"),
        ("ok", "0", False),
        ("race___1", "1", True),
        ("score", "1.5", 1.5),
        ("notes", "12", "12"),
        ("term", "12", "12"),
        ("free", "12", 12),
        ("f_complete", "1", "Unverified"),
        ("f_timestamp", "2018-03-06 15:52:43", dt.datetime(2018, 3, 6, 15, 52, 43)),  # noqa: DTZ001
    ],
)
def test_values_by_the_dictionary(column: str, text: str, value: Any) -> None:
    cleaned = _clean({column: text})
    assert _cell(cleaned, column) == value
    assert (cleaned.replaced, cleaned.invalid) == ({}, {})


@pytest.mark.parametrize(
    ("column", "text"),
    [("born", "31.12.2001"), ("sex", "7"), ("ok", "yes"), ("score", "high"), ("race___1", "2")],
)
def test_what_does_not_fit_is_null_and_counted(column: str, text: str) -> None:
    cleaned = _clean({column: text})
    assert _cell(cleaned, column) is None
    assert cleaned.invalid == {column: 1}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("free", "?"),
        ("born", "?"),
        ("sex", "UNK"),
        ("notes", "UNK"),
        ("f_timestamp", "[not completed]"),
    ],
)
def test_markers_are_null_and_counted_apart(column: str, text: str) -> None:
    cleaned = _clean({column: text})
    assert _cell(cleaned, column) is None
    assert cleaned.replaced == {column: 1}
    assert cleaned.invalid == {}


def test_a_marker_does_not_untick_a_box_nor_a_status() -> None:
    cleaned = _clean({"race___1": "1"}, rules=CleaningRules(missing_values=["1", "2"]))
    assert _cell(cleaned, "race___1") is True
    assert _cell(cleaned, "f_complete") == "Complete"


def test_inference_looks_at_what_is_left_after_markers() -> None:
    cleaned = _clean({"free": "1"}, {"free": "?"}, {"free": "2.5"})
    assert cleaned.inferred == {"free": "double"}
    assert cleaned.table["free"].to_pylist() == [1.0, None, 2.5]


def test_types_overrule_dictionary_and_inference() -> None:
    rules = CleaningRules(types={"free": "text", "sex": "integer", "score": "text"})
    cleaned = _clean({"free": "1", "sex": "7", "score": "high"}, rules=rules)
    assert [_cell(cleaned, name) for name in ("free", "sex", "score")] == ["1", 7, "high"]
    assert cleaned.inferred == {}


def test_the_secondary_unique_field_is_text() -> None:
    metadata = [field("id", "base"), field("mrn", "base", validation="integer")]
    records = pa.table({"id": ["1"], "mrn": ["007"], "base_complete": ["2"]})
    for secondary, value in (("mrn", "007"), (None, 7)):
        project = REDCapProject.from_exports(
            metadata=metadata, info={"secondary_unique_field": secondary}
        )
        assert clean(records, "base", project, CleaningRules()).table["mrn"].to_pylist() == [value]


def test_inference_can_be_switched_off() -> None:
    assert _cell(_clean({"free": "1"}, rules=CleaningRules(infer_types=False)), "free") == "1"


def test_labels_codes_or_both() -> None:
    assert _cell(_clean({"sex": "9"}, rules=CleaningRules(labels="codes")), "sex") == "9"
    both = _clean({"sex": "9"}, rules=CleaningRules(labels="both"))
    assert (_cell(both, "sex"), _cell(both, "sex_code")) == ("Male", "9")


def test_a_column_of_codes_must_not_hide_another() -> None:
    metadata = [
        field("id", "f"),
        field("a", "f", type="radio", choices="1, x"),
        field("a_code", "f"),
    ]
    project = REDCapProject.from_exports(metadata=metadata)
    records = split_by_instrument(pa.table({"id": ["1"], "a": ["1"]}), project)["f"]
    with pytest.raises(StructureError, match="a_code"):
        clean(records, "f", project, CleaningRules(labels="both"))


def test_an_empty_table_has_its_types() -> None:
    cleaned = _clean()
    assert cleaned.table.num_rows == 0
    types = {name: str(cleaned.table.schema.field(name).type) for name in ("born", "ok", "score")}
    assert types == {"born": "date32[day]", "ok": "bool", "score": "double"}
    assert pa.types.is_dictionary(cleaned.table.schema.field("sex").type)


@pytest.mark.parametrize(
    "wrong",
    [
        {"missing_values": "?"},
        {"labels": "names"},
        {"types": {"free": "float"}},
    ],
)
def test_rules_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        CleaningRules(**wrong)


TYPED = ("free", "notes", "born", "sex", "ok")
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(TYPED, _texts))))
def test_every_cell_is_kept_or_counted(rows: list[dict[str, str]]) -> None:
    cleaned = _clean(*rows)
    for column in TYPED:
        given = sum(row[column] != "" for row in rows)
        kept = len(rows) - cleaned.table[column].null_count
        assert given == kept + cleaned.replaced.get(column, 0) + cleaned.invalid.get(column, 0)
    assert _clean(*rows).table.equals(cleaned.table)


def test_a_choice_of_the_field_beats_a_missing_data_code_of_the_same_name() -> None:
    """The radio field has a choice UNK of its own, as the project has a missing data code UNK."""
    project = REDCapProject.from_exports(
        metadata=[
            field("id", "f"),
            field("hiv", "f", type="radio", choices="0, No | 1, Yes | UNK, Test not done"),
            field("hcv", "f", type="radio", choices="0, No | 1, Yes"),
        ],
        info={"missing_data_codes": "UNK, Unknown | NA, Not asked"},
    )
    records = pa.table(
        {"id": ["1", "2"], "hiv": ["UNK", "NA"], "hcv": ["UNK", "1"], "f_complete": ["2", "2"]}
    )
    cleaned = clean(records, "f", project, CleaningRules())
    assert cleaned.table["hiv"].to_pylist() == ["Test not done", None]
    assert cleaned.table["hcv"].to_pylist() == [None, "Yes"]
    assert (cleaned.replaced, cleaned.invalid) == ({"hiv": 1, "hcv": 1}, {})
    reasons = clean(records, "f", project, CleaningRules(missing_reasons=True)).table
    assert reasons["hiv_missing"].to_pylist() == [None, "Not asked"]


ORDERS = ("ymd", "mdy", "dmy")


@pytest.mark.parametrize("validation", [n for n in VALIDATIONS if VALIDATIONS[n].kind != "text"])
def test_what_a_validation_takes_is_typed(validation: str) -> None:
    """Every text that REDCap's own validation takes becomes a value, not a null."""
    kind = VALIDATIONS[validation]
    project = REDCapProject.from_exports(
        metadata=[field("id", "f"), field("value", "f", validation=validation)]
    )
    texts = TAKEN.get(validation) or TAKEN_BY_KIND[kind.kind]
    assert all(re.fullmatch(kind.pattern, text) for text in texts)
    rows = {"id": [str(n) for n in range(len(texts))], "value": texts}
    cleaned = clean(
        pa.table(rows | {"f_complete": ["2"] * len(texts)}), "f", project, CleaningRules()
    )
    assert cleaned.invalid == {}
    assert cleaned.table["value"].null_count == 0


TAKEN_BY_KIND = {
    "integer": ["7", "07", "+7", "-007", str(2**63 - 1), str(-(2**63))],
    "number": ["7", "99.", ".5", "+1.5", "-0.50", "1e5", "007.5"],
    "date": ["2024-02-29", "0099-01-31"],
}
TAKEN = {
    "number_comma_decimal": ["7", "99,", ",5", "+1,5", "-0,50"],
    **{f"number_{n}dp": ["1." + "0" * n, "-01." + "5" * n] for n in range(1, 5)},
    **{f"number_{n}dp_comma_decimal": ["1," + "0" * n, "-01," + "5" * n] for n in range(1, 5)},
    **{f"datetime_{order}": ["2024-02-29 06:23", "2024-02-29 6:23"] for order in ORDERS},
    **{f"datetime_seconds_{order}": ["2024-02-29 6:23:59"] for order in ORDERS},
    "time": ["06:23", "6:23", "23:59"],
    "time_hh_mm_ss": ["06:23:01", "6:23:01"],
    "time_mm_ss": ["09:05"],
}
"""Texts that each validation takes, by its name, or else by its kind."""


@pytest.mark.parametrize("checkboxes", ["columns", "lists"])
@pytest.mark.parametrize("codes", ["", "UNK, Unknown"])
def test_a_checkbox_without_options_has_only_columns_of_missing_data_codes(
    checkboxes: Any, codes: str
) -> None:
    project = REDCapProject.from_exports(
        metadata=[field("id", "f"), field("box", "f", type="checkbox"), field("age", "f")],
        info={"missing_data_codes": codes},
    )
    own = {"box___unk": ["1"]} if codes else {}
    records = pa.table({"id": ["1"], **own, "age": ["40"], "f_complete": ["2"]})
    rules = CleaningRules(checkboxes=checkboxes, labels="both", missing_reasons=True)
    cleaned = clean(records, "f", project, rules).table
    assert set(cleaned.column_names) == {
        "id", "age", "age_missing", "f_complete", "f_complete_code",
        *(["box_missing"] if codes else []),
        *(["box___unk"] if codes and checkboxes == "columns" else []),
    }  # fmt: skip
    if codes:
        assert cleaned["box_missing"].to_pylist() == ["Unknown"]
    assert list(column_sources("f", project, rules)) == cleaned.column_names


def test_a_field_called_like_a_column_of_redcaps_own_is_that_field() -> None:
    """The form visit is no survey; its field visit_timestamp is a text of people's own."""
    project = REDCapProject.from_exports(
        metadata=[field("id", "visit"), field("visit_timestamp", "visit"), field("n", "visit")],
        header=["id", "visit_timestamp", "n", "visit_complete"],
    )
    assert project.surveys == ()
    export = pa.table(
        {
            "id": ["1", "2", "3"],
            "visit_timestamp": ["?", "[not completed]", ""],
            "n": ["", "", ""],
            "visit_complete": ["0", "0", "0"],
        }
    )
    records = split_by_instrument(export, project)["visit"]
    assert records["id"].to_pylist() == ["1", "2"]
    cleaned = clean(records, "visit", project, CleaningRules()).table
    assert cleaned["visit_timestamp"].to_pylist() == [None, "[not completed]"]
