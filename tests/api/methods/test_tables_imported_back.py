"""Clean tables are imported back: only the cells that people changed change."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from redcap_dagster.api import REDCapClient
from redcap_dagster.api.methods.record_import.choices import MEANINGS
from redcap_dagster.frames import to_frame
from redcap_dagster.project.validations import VALIDATIONS
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables import CleaningRules, clean, split_by_instrument
from tests.api.calls.test_written_values import texts
from tests.dictionary import field

DIGITS = "1, 0 | 2, 1 | 3, 2 | 4, more"  # labels that are codes of other choices
METADATA = [
    field("record_id"),
    *(field(f"v_{name}", validation=name) for name in VALIDATIONS),
    field("free"),
    field("typed"),
    field("note", type="notes"),
    field("sex", type="radio", choices="1, Female | 2, Male | 9, Other | 10, Other"),
    field("visits", type="dropdown", choices=DIGITS),
    field("site", type="radio", choices="01, North | 02, South"),
    field("consent", type="yesno"),
    field("alive", type="truefalse"),
    field("race", type="checkbox", choices="1, A | -9, B"),
    field("pain", type="slider"),
    field("twice", type="calc", choices="[v_integer]*2"),
    field("scan", type="file"),
    field("dose", "drug", validation="number_1dp"),
]
EXPORTS: dict[str, Any] = {
    "metadata": METADATA,
    "project": {"missing_data_codes": "UNK, Unknown"},
    "repeatingFormsEvents": [{"form_name": "drug", "custom_form_label": ""}],
}
STUDY = {"exports": EXPORTS}


def as_float32(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype(
        {name: "float32" for name, dtype in frame.dtypes.items() if dtype == "float64"}
    )


NULLABLE = {
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}
FRAMES: dict[str, Callable[[pa.Table], Any]] = {
    "Arrow": lambda table: table,
    "pandas": to_frame,
    "NumPy": lambda table: table.to_pandas(),
    "Arrow dtypes": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "nullable": lambda table: table.to_pandas(types_mapper=NULLABLE.get),
    "dates as Timestamp": lambda table: table.to_pandas(date_as_object=False),
    "moments as datetime": lambda table: table.to_pandas(timestamp_as_object=True),
    "dicts": pa.Table.to_pylist,
    "DuckDB": lambda table: duckdb.from_arrow(table).to_arrow_table(),  # choices as plain text
    "float32": as_float32,
}
RULES = [
    CleaningRules(),
    CleaningRules(labels="codes"),
    CleaningRules(checkboxes="lists"),
    CleaningRules(labels="codes", checkboxes="lists", infer_types=False),
    CleaningRules(types={"typed": "time"}),
    CleaningRules(labels="both", missing_reasons=True),
    CleaningRules(labels="both", checkboxes="lists"),
    CleaningRules(labels="codes", types={"sex": "integer", "site": "integer", "consent": "text"}),
]
NUMBERS = ["345.10", "345.1", "7", "007", "1.10", "-0", "6.50", "1e5"]
OTHERS: dict[str, st.SearchStrategy[str]] = {
    "free": st.sampled_from(NUMBERS),
    "typed": st.sampled_from(["9:05", "09:05", "09:05:30", "2024-03-02", "x"]),
    "note": st.sampled_from(["a\nb", " x", *NUMBERS]),
    "sex": st.sampled_from(["1", "2", "9", "10", "7"]),
    "visits": st.sampled_from(["1", "2", "3", "4"]),
    "site": st.sampled_from(["01", "02"]),
    "consent": st.sampled_from(["0", "1"]),
    "alive": st.sampled_from(["0", "1"]),
    "race___1": st.sampled_from(["0", "1"]),
    "race____9": st.sampled_from(["0", "1"]),
    "pain": st.integers(0, 100).map(str),
    "visit_complete": st.sampled_from(["0", "1", "2"]),
}
ODD = st.sampled_from(["", "UNK", "12 kg", "?", "07", "22"])
CELLS = {f"v_{name}": texts(name) | ODD for name in VALIDATIONS} | OTHERS
ROWS = st.lists(st.fixed_dictionaries({}, optional=CELLS), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def export_all(redcap: REDCapClient) -> list[dict[str, str | None]]:
    rows: list[dict[str, str | None]] = redcap.export_records_table(
        export_blank_for_gray_form_status=True
    ).to_pylist()
    return rows


@settings(max_examples=8, phases=set(Phase) - {Phase.shrink})  # which would take minutes
@given(rows=ROWS, rules=st.sampled_from(RULES), frame=st.sampled_from(sorted(FRAMES)))
def test_a_clean_table_changes_nothing(
    rows: list[dict[str, str]], rules: CleaningRules, frame: str, server: Sandbox
) -> None:
    records: list[dict[str, object]] = [
        {"record_id": str(number), **{name: text for name, text in row.items() if text}}
        for number, row in enumerate(rows)
    ]
    drug = {"redcap_repeat_instrument": "drug", "redcap_repeat_instance": 1, "dose": "22"}
    records += [{"record_id": "0", **drug}]
    token = server.add_project(exports=EXPORTS, records=records)
    redcap = REDCapClient(server.url, token, retries=0)
    before = export_all(redcap)
    export = redcap.export_records_table()
    project = redcap.export_structure().project(header=export.column_names)

    for form, table in split_by_instrument(export, project).items():
        data = FRAMES[frame](clean(table, form, project, rules).table)
        if len(data):
            assert redcap.records.import_(data, dry_run=True).changes == ()
            redcap.records.import_(data)

    assert redcap.records.import_(export, dry_run=True).changes == ()
    redcap.records.import_(export, overwrite_behavior="overwrite")
    assert export_all(redcap) == before


CHANGES: list[tuple[str, str, Any, str]] = [
    ("v_integer", "07", 8.0, "8"),
    ("v_number", "99.", np.float32(0.1), "0.1"),
    ("v_number_1dp", "21.0", 22, "22.0"),
    ("v_number_2dp_comma_decimal", "1,50", 1.6, "1,60"),
    ("v_date_dmy", "2024-03-01", pd.Timestamp(2024, 3, 2), "2024-03-02"),
    ("v_date_mdy", "2024-03-01", date(2024, 3, 2), "2024-03-02"),
    ("v_datetime_dmy", "2024-03-01 10:00", datetime(2024, 3, 2), "2024-03-02 00:00"),  # noqa: DTZ001
    ("v_datetime_seconds_ymd", "", pd.Timestamp(2024, 3, 2), "2024-03-02 00:00:00"),
    ("v_time", "6:23", time(6, 24), "06:24"),
    ("v_time_mm_ss", "09:05", time(0, 9, 6), "09:06"),
    ("v_time_hh_mm_ss", "", time(9, 6), "09:06:00"),
    ("free", "4.50", 5.0, "5.00"),
    ("sex", "1", "Male", "2"),
    ("visits", "1", "2", "2"),
    ("site", "01", 2, "02"),
    ("consent", "1", False, "0"),
    ("race___1", "1", False, "0"),
    ("pain", "10", 20.0, "20"),
    ("visit_complete", "0", "Complete", "2"),
]


@pytest.mark.parametrize("date_format", ["YMD", "DMY"])
@pytest.mark.parametrize("shape", ["flat", "eav"])
def test_a_changed_cell_is_stored_in_the_form_of_its_validation(
    shape: Any, date_format: str, server: Sandbox
) -> None:
    old = {name: text for name, text, _, _ in CHANGES if text}
    token = server.add_project(exports=EXPORTS, records=[{"record_id": "1", **old}])
    redcap = REDCapClient(server.url, token, retries=0)
    new = {name: value for name, _, value, _ in CHANGES}
    rows = {
        "flat": [{"record_id": "1", **new}],
        "eav": [{"record": "1", "field_name": name, "value": new[name]} for name in new],
    }

    options: dict[str, Any] = {"type": shape, "date_format": date_format, "choices": "codes"}
    changes = redcap.records.import_(rows[shape], **options, dry_run=True).changes
    redcap.records.import_(rows[shape], **options)

    written = {name: text for name, _, _, text in CHANGES}
    assert {one.column: one.after for one in changes} == written
    stored = export_all(redcap)[0]
    assert {name: stored[name] for name in written} == written
    for name, text in written.items():
        if validation := VALIDATIONS.get(name.removeprefix("v_")):
            assert re.fullmatch(validation.pattern, text)


def test_a_category_tells_labels_from_codes(redcap: REDCapClient) -> None:
    labels, codes = ["0", "1", "2", "more"], ["1", "2", "3", "4"]
    rows: dict[str, Any] = {"record_id": ["1"], "visits": ["2"]}
    for categories, stored in [(labels, "3"), (codes, "2"), (["2", "more"], "3")]:
        frame = pd.DataFrame(rows | {"visits": pd.Categorical(["2"], categories)})
        redcap.records.import_(frame)
        assert redcap.export_records(fields=["visits"])["visits"].tolist() == [stored]

    with pytest.raises(ValueError, match="values of visits may be codes or labels"):
        redcap.records.import_(pd.DataFrame(rows | {"visits": pd.Categorical(["2"], ["1", "2"])}))
    with pytest.raises(ValueError, match=r"1 values of sex .* a label that two choices have"):
        redcap.records.import_([{"record_id": "1", "sex": "Other"}])


SWAPPED = "1, 2 | 2, 1"  # each label is the code of the other choice


@pytest.fixture
def swapped(server: Sandbox) -> REDCapClient:
    metadata = [
        field("record_id"),
        field("side", type="radio", choices=SWAPPED),
        field("sides", type="checkbox", choices=SWAPPED),
        field("visits", type="checkbox", choices=DIGITS),
        field("known", type="radio", choices="1, Yes | 2, NA"),
    ]
    project = {"missing_data_codes": "NA, Not available"}
    record = {"record_id": "1", "side": "1", "sides___1": "1", "known": "2"}
    token = server.add_project(
        exports={"metadata": metadata, "project": project}, records=[record, {"record_id": "2"}]
    )
    return REDCapClient(server.url, token, retries=0)


@pytest.mark.parametrize("labels", ["labels", "codes"])
def test_lists_that_may_be_codes_or_labels_are_refused(labels: Any, swapped: REDCapClient) -> None:
    before = export_all(swapped)
    export = swapped.export_records_table()
    project = swapped.export_structure().project(header=export.column_names)
    rules = CleaningRules(labels=labels, checkboxes="lists")
    table = clean(split_by_instrument(export, project)["visit"], "visit", project, rules).table

    with pytest.raises(ValueError, match=r"values of sides may be codes or labels.*choices=.codes"):
        swapped.records.import_(table.select(["record_id", "sides"]))
    assert export_all(swapped) == before

    # One item that can only be a label, or a code, says what the other lists hold.
    for lists, ticked in [([["2"], ["0", "more"]], "3"), ([["2"], ["3", "4"]], "2")]:
        swapped.records.import_(pd.DataFrame({"record_id": ["1", "2"], "visits": lists}))
        row = export_all(swapped)[0]
        assert [code for code in "1234" if row[f"visits___{code}"] == "1"] == [ticked]


def test_reordered_labels_are_not_taken_as_codes(swapped: REDCapClient) -> None:
    side = pd.Series(pd.Categorical(["2"], ["2", "1"]))  # the label of 1
    frame = pd.DataFrame({"record_id": ["1"], "side": side})
    assert swapped.records.import_(frame, dry_run=True).changes == ()

    frame["side"] = side.cat.reorder_categories(["1", "2"])
    with pytest.raises(ValueError, match="values of side may be codes or labels"):
        swapped.records.import_(frame)
    assert export_all(swapped)[0]["side"] == "1"


def test_plain_texts_are_codes_or_labels_as_the_other_columns_are(swapped: REDCapClient) -> None:
    records = pd.DataFrame({"record_id": ["1", "2", "3"], "side": ["1", "2", "2"], "known": "1"})
    swapped.records.import_(records, choices="codes")
    export = swapped.export_records_table()
    project = swapped.export_structure().project(header=export.column_names)
    table = clean(split_by_instrument(export, project)["visit"], "visit", project, CleaningRules())
    labels = duckdb.from_arrow(table.table).df()[["record_id", "side", "known"]]
    codes = to_frame(export)[["record_id", "side", "known"]]

    for frame in (labels, codes):
        assert swapped.records.import_(frame, dry_run=True).changes == ()
        # Without another column of choices, what is stored tells, if all of it stays as it is.
        assert swapped.records.import_(frame[["record_id", "side"]], dry_run=True).changes == ()
        frame["side"] = frame["side"].take([0, 0, 2]).to_numpy()
        done = swapped.records.import_(frame, dry_run=True)
        assert [(one.record, one.before, one.after) for one in done.changes] == [("2", "2", "1")]
        numbers = frame[["record_id"]].assign(side=frame["side"].astype("int64"))
        for unclear in (frame[["record_id", "side"]], frame[["record_id", "side"]][:1], numbers):
            with pytest.raises(ValueError, match=r'values of side may be .* choices="codes", or'):
                swapped.records.import_(unclear)
    # Only what one reading would not change speaks against the other columns.
    with pytest.raises(ValueError, match="values of side may be"):
        swapped.records.import_([{"record_id": "1", "side": "2", "known": "1"}])
    row = {"record_id": "1", "side": "2"}
    assert [
        [one.after for one in swapped.records.import_([row], choices=means, dry_run=True).changes]
        for means in MEANINGS
    ] == [["2"], []]
    with pytest.raises(ValueError, match="choices: must be one of 'codes', 'labels'"):
        swapped.records.import_([row], choices="raw")  # type: ignore[arg-type]


def test_a_code_among_labels_does_not_make_codes_of_them(server: Sandbox) -> None:
    records: list[dict[str, object]] = [
        {"record_id": f"{number}", "visits": text} for number, text in enumerate("223")
    ]
    token = server.add_project(exports=EXPORTS, records=records)
    redcap = REDCapClient(server.url, token, retries=0)
    labels = pd.DataFrame({"record_id": ["0", "1", "2"], "visits": ["1", "1", "2"]})
    labels.loc[2, "visits"] = "4"  # which is not a label
    for status in ("Complete", None):
        with pytest.raises(ValueError, match="values of visits may be codes or labels"):
            redcap.records.import_(labels.assign(visit_complete=status))
    foreign = pd.Categorical(labels["visits"][:2], ["1", "2", "4", "Female"])
    with pytest.raises(ValueError, match="values of visits may be codes or labels"):
        redcap.records.import_(labels[:2].assign(visits=foreign))


def test_codes_beside_categories_of_labels_are_not_labels(swapped: REDCapClient) -> None:
    """Such a column has a clean table whose rules give a field the type text or integer."""
    known = pd.Categorical(["Yes"], ["Yes", "NA"])
    frame = pd.DataFrame({"record_id": ["1"], "side": ["2"], "known": known})
    for side in ("2", 2):
        with pytest.raises(ValueError, match="values of side may be codes or labels"):
            swapped.records.import_(frame.assign(side=side))


def test_a_number_may_be_a_label_too(server: Sandbox) -> None:
    metadata = [field("record_id"), field("dose", type="radio", choices="1, 2.0 | 2, 1.0")]
    record: dict[str, object] = {"record_id": "1", "dose": "1"}
    token = server.add_project(exports={"metadata": metadata}, records=[record])
    redcap = REDCapClient(server.url, token, retries=0)
    frame = pd.DataFrame({"record_id": ["1"], "dose": [2.0]})  # labels, read from a CSV
    with pytest.raises(ValueError, match="values of dose may be codes or labels"):
        redcap.records.import_(frame)
    assert redcap.records.import_(frame, choices="labels", dry_run=True).changes == ()


def test_a_category_in_the_order_of_the_labels_may_be_of_codes(swapped: REDCapClient) -> None:
    side = pd.Categorical(["1"], ["2", "1"])  # codes, in an order that is also that of the labels
    frame = pd.DataFrame({"record_id": ["1"], "side": side, "known": ["2"]})
    for data in (frame, frame.drop(columns="known"), frame.assign(record_id="9")):
        with pytest.raises(ValueError, match="values of side may be codes or labels"):
            swapped.records.import_(data)


def test_a_code_beside_its_label_is_what_is_imported(swapped: REDCapClient) -> None:
    row: dict[str, Any] = {"record_id": "2", "side": "1", "side_code": "2", "known_missing": "NA"}
    row |= {"visits": ["1"], "visits_code": ["2"]}
    swapped.records.import_(pd.DataFrame([row]))
    stored = export_all(swapped)[1]
    assert (stored["side"], stored["visits___1"], stored["visits___2"]) == ("2", "0", "1")

    changed: list[dict[str, Any]] = [{"side": "2"}, {"side_code": None}, {"visits": ["1", "2"]}]
    for wrong in changed:
        with pytest.raises(ValueError, match=r"1 values of (side|visits) have a label and"):
            swapped.records.import_([row | wrong])
    row.pop("side")
    swapped.records.import_([row | {"side_code": 1}])
    assert export_all(swapped)[1]["side"] == "1"


def test_a_label_that_is_a_missing_data_code_is_the_label_among_labels(
    swapped: REDCapClient,
) -> None:
    for categories, changes in [
        (["Yes", "NA"], []),
        (["NA", "Yes"], []),
        (["1", "2", "NA"], ["NA"]),
    ]:
        known = pd.Categorical(["NA"], categories)
        frame = pd.DataFrame({"record_id": ["1"], "known": known})
        done = swapped.records.import_(frame, dry_run=True)
        assert [one.after for one in done.changes] == changes
    frame = pd.DataFrame({"record_id": ["2"], "known": pd.Categorical(["NA"], ["Yes", "NA"])})
    swapped.records.import_(frame)
    assert export_all(swapped)[1]["known"] == "2"


@pytest.mark.parametrize("record", [2.0**53, np.float32(2**24), float("inf")])
def test_record_ids_that_floats_cannot_hold_are_refused(record: Any, redcap: REDCapClient) -> None:
    rows = [{"record_id": record, "free": "x"}]
    with pytest.raises(ValueError, match="1 record ids are floats too large"):
        redcap.records.import_(rows)
    assert redcap.export_records_table().num_rows == 0
    redcap.records.import_([{"record_id": 2.0**53 - 1, "free": "x"}])
    assert redcap.export_records_table()["record_id"].to_pylist() == [str(2**53 - 1)]


def test_lists_of_ticked_options_are_imported(redcap: REDCapClient) -> None:
    frame = pd.DataFrame({"record_id": ["1", "2", "3"], "race": [["A", "-9"], [], None]})
    redcap.records.import_(frame)

    rows = redcap.export_records(fields=["race"])
    assert rows[["race___1", "race____9"]].to_numpy().tolist() == [
        ["1", "1"],
        ["0", "0"],
        ["0", "0"],
    ]
    with pytest.raises(ValueError, match="1 items in the lists of race are not options"):
        redcap.records.import_([{"record_id": "1", "race": ["C"]}])
    with pytest.raises(ValueError, match="race are checkboxes"):
        redcap.records.import_([{"record_id": "1", "race": "A"}])


def test_nothing_is_sent_where_nothing_changes(sandbox: Sandbox, redcap: REDCapClient) -> None:
    rows = [{"record_id": "1", "v_integer": "07", "race___1": "1"}, {"record_id": "2"}]
    redcap.records.import_(rows)
    before = len(sandbox.requests)

    same = [{"record_id": "1", "v_integer": 7, "race___1": 1.0}]
    done = redcap.records.import_(same)

    assert (done.records, done.count) == (("1",), 1)
    assert redcap.records.import_(same, return_content="count").count == 1
    assert not any(
        (asked.content, asked.action) == ("record", "import") for asked in sandbox.requests[before:]
    )
    assert redcap.export_records(fields=["v_integer"])["v_integer"].tolist()[0] == "07"


def test_of_two_rows_of_one_place_the_last_one_wins(redcap: REDCapClient) -> None:
    redcap.records.import_([{"record_id": "1", "v_integer": "40"}])

    redcap.records.import_(
        [{"record_id": "1", "v_integer": 41}, {"record_id": "1", "v_integer": 40}]
    )
    new = {"record_id": "1", "redcap_repeat_instrument": "drug", "redcap_repeat_instance": "new"}
    redcap.records.import_([new | {"dose": 5}, new | {"dose": 5}])

    table = redcap.export_records(fields=["v_integer", "dose"]).fillna("")
    assert table["v_integer"].tolist() == ["40", "", ""]
    assert table["dose"].tolist() == ["", "5.0", "5.0"]
