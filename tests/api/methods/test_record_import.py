"""Record imports into a REDCap on this machine: what arrives, and what would change."""

from datetime import date, datetime
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.api import (
    ImportRefusedError,
    REDCapClient,
    REDCapFile,
    RefusedError,
    RightsError,
)
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.fake_server import CANARY, Reply, Server, json_reply

CLASSIC: dict[str, Any] = {
    "metadata": [
        field("record_id"),
        field("age", validation="integer"),
        field("day", validation="date_dmy"),
        field("at", validation="datetime_ymd"),
        field("note", type="notes"),
        field("race", type="checkbox", choices="1, A | -9, B"),
        field("twice", type="calc", choices="[age]*2"),
        field("scan", type="file"),
        field("dose", "drug"),
    ],
    "repeatingFormsEvents": [{"form_name": "drug", "custom_form_label": ""}],
}
RECORDS: list[dict[str, object]] = [
    {"record_id": "1", "age": "40", "day": "2024-02-01", "race___1": "1", "visit_complete": "2"},
    {
        "record_id": "1",
        "redcap_repeat_instrument": "drug",
        "redcap_repeat_instance": 1,
        "dose": "5",
        "drug_complete": "0",
    },
]
LONGITUDINAL: dict[str, Any] = {
    "metadata": [field("record_id"), field("age")],
    "arm": [{"arm_num": 1, "name": "One"}],
    "event": [{"event_name": "First", "arm_num": 1, "unique_event_name": "first_arm_1"}],
    "formEventMapping": [{"arm_num": 1, "unique_event_name": "first_arm_1", "form": "visit"}],
}


STUDY: dict[str, Any] = {"exports": CLASSIC, "records": RECORDS}


def imports(sandbox: Sandbox) -> int:
    return sum((asked.content, asked.action) == ("record", "import") for asked in sandbox.requests)


# -- what arrives ---------------------------------------------------------------------------------


DAY = datetime(2024, 3, 2)  # noqa: DTZ001
FRAME = pd.DataFrame(
    {
        "record_id": [1, 2],
        "age": [41, None],
        "day": [pd.Timestamp(2024, 3, 2), pd.NaT],
        "at": [pd.Timestamp(2024, 3, 2, 0, 0), pd.NaT],
        "race____9": [True, False],
    }
)
DICTS: list[dict[str, Any]] = [
    {"record_id": 1, "age": 41, "day": date(2024, 3, 2), "at": DAY, "race____9": 1},
    {"record_id": "2", "age": None, "race____9": 0},
]
CSV = "record_id,age,day,at,race____9\n1,41,2024-03-02,2024-03-02 00:00,1\n2,,,,0\n"


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its exports always have repeat columns.
@pytest.mark.parametrize("data", [FRAME, DICTS, CSV], ids=["frame", "dicts", "csv"])
def test_a_frame_dicts_and_csv_arrive_alike(data: Any, redcap: REDCapClient) -> None:
    done = redcap.records.import_(data)

    assert done.records == ("1", "2")
    assert (done.numbered, done.changes) == ((), ())
    rows = redcap.export_records(forms=["visit"]).astype(object).fillna("")
    base = rows[rows["redcap_repeat_instrument"] == ""]
    assert base[["record_id", "age", "day", "at", "race___1", "race____9"]].to_numpy().tolist() == [
        ["1", "41", "2024-03-02", "2024-03-02 00:00", "1", "1"],
        ["2", "", "", "", "0", "0"],
    ]


def test_single_values_arrive(redcap: REDCapClient) -> None:
    redcap.records.import_(
        [
            {"record": "1", "field_name": "race____9", "value": "1"},
            {"record": "3", "field_name": "age", "value": 7},
        ],
        type="eav",
    )

    values = redcap.records.export_eav(fields=["race", "age"])
    pairs = values[["record", "field_name", "value"]].to_numpy().tolist()
    assert sorted(pairs) == [
        ["1", "age", "40"],
        ["1", "race", "-9"],
        ["1", "race", "1"],
        ["3", "age", "7"],
    ]


def test_batches_keep_a_record_in_one_piece(sandbox: Sandbox, redcap: REDCapClient) -> None:
    rows = [
        {"record_id": record, "redcap_repeat_instrument": "drug", "redcap_repeat_instance": number}
        | {"dose": "1"}
        for number in (1, 2)
        for record in ("a", "b", "c")
    ]
    before = imports(sandbox)

    done = redcap.records.import_(rows, batch_size=3)

    assert done.records == ("a", "b", "c")
    assert imports(sandbox) - before == 3
    assert len(redcap.export_records(records=["a", "b", "c"], forms=["drug"])) >= 6


def test_records_are_numbered_by_the_server(redcap: REDCapClient) -> None:
    done = redcap.records.import_(
        [{"record_id": "x", "age": "1"}, {"record_id": "y", "age": "2"}], force_auto_number=True
    )

    assert done.records == ("2", "3")
    assert done.numbered == (("x", "2"), ("y", "3"))
    assert CANARY not in repr(done)


def test_an_import_in_the_background_gives_no_ids(redcap: REDCapClient) -> None:
    assert redcap.records.import_("record_id\n9\n", background_process=True).records == ()


def test_dates_may_come_in_another_order(redcap: REDCapClient) -> None:
    redcap.records.import_("record_id,day\n1,31/12/2023\n", date_format="DMY")

    assert redcap.export_records(fields=["day"])["day"].tolist()[0] == "2023-12-31"


# -- what would change ----------------------------------------------------------------------------


DRUG = {"record_id": "1", "redcap_repeat_instrument": "drug"}


@pytest.mark.parametrize(
    ("data", "options", "changes"),
    [
        ([{"record_id": "1", "age": "40", "day": "2024-02-01", "note": ""}], {}, []),
        ([{"record_id": "1", "age": "41"}], {}, [("1", "", "", "age", "40", "41")]),
        ([{"record_id": "1", "age": ""}], {}, []),
        (
            [{"record_id": "1", "age": ""}],
            {"overwrite_behavior": "overwrite"},
            [("1", "", "", "age", "40", "")],
        ),
        ([{"record_id": "1", "day": "01/02/2024"}], {"date_format": "DMY"}, []),
        (
            [{"record_id": "1", "day": "1-2-2024"}],
            {"date_format": "MDY"},
            [("1", "", "", "day", "2024-02-01", "2024-01-02")],
        ),
        (
            [{"record_id": "1", "race___1": "0", "race____9": "0"}],
            {},
            [("1", "", "", "race___1", "1", "0")],
        ),
        ([{"record_id": "1", "twice": "7"}], {}, []),
        (
            [DRUG | {"redcap_repeat_instance": 1, "dose": "6"}],
            {},
            [("1", "drug", "1", "dose", "5", "6")],
        ),
        (
            [DRUG | {"redcap_repeat_instance": "new", "dose": "5"}],
            {},
            [("1", "drug", "new", "dose", None, "5")],
        ),
        ([{"record_id": "2", "age": "1"}], {}, [("2", "", "", "age", None, "1")]),
        (
            [{"record_id": "1", "age": "40"}],
            {"force_auto_number": True},
            [("1", "", "", "age", None, "40")],
        ),
        (
            [
                {"record": "1", "field_name": "race___1", "value": "1"},
                {"record": "1", "field_name": "race____9", "value": "1"},
            ],
            {"type": "eav"},
            [("1", "", "", "race____9", "0", "1")],
        ),
    ],
)
def test_a_dry_run_says_what_would_change(
    data: list[dict[str, Any]],
    options: dict[str, Any],
    changes: list[tuple[str | None, ...]],
    sandbox: Sandbox,
    redcap: REDCapClient,
) -> None:
    before = imports(sandbox)

    result = redcap.records.import_(data, dry_run=True, **options)

    assert [
        (one.record, one.instrument, one.instance, one.column, one.before, one.after)
        for one in result.changes
    ] == changes
    assert imports(sandbox) == before
    assert result.records == (next(iter(data[0].values())),)


def test_after_an_import_nothing_would_change(redcap: REDCapClient) -> None:
    assert len(redcap.records.import_(CSV, dry_run=True).changes) > 3

    redcap.records.import_(CSV)

    assert redcap.records.import_(CSV, dry_run=True).changes == ()


@pytest.mark.parametrize("behavior", ["normal", "overwrite"])
def test_a_blank_checkbox_and_a_blank_status_are_zero(behavior: str, redcap: REDCapClient) -> None:
    blanks = {"race____9": "", "drug_complete": None, "dose": "5"}
    row = DRUG | {"redcap_repeat_instance": 1} | blanks | {"race____9": ""}
    data = [{"record_id": "1", "race____9": None, "age": 40}, row | {"drug_complete": ""}]

    for _ in range(2):
        result = redcap.records.import_(data, dry_run=True, overwrite_behavior=behavior)
        assert result.changes == ()
        redcap.records.import_(data, overwrite_behavior=behavior)


def test_the_status_of_a_saved_instrument_is_sent_with_its_values(
    redcap: REDCapClient,
) -> None:
    redcap.records.import_([{"record_id": "8"}])
    asked: dict[str, Any] = {"records": ["8"], "export_blank_for_gray_form_status": True}

    redcap.records.import_([{"record_id": "8", "visit_complete": "0", "twice": "9"}])
    assert redcap.export_records(**asked)["visit_complete"].isna().all()  # REDCap exports it as 0

    redcap.records.import_([{"record_id": "8", "visit_complete": "0", "age": 3}])
    assert redcap.export_records(**asked)["visit_complete"].tolist() == ["0"]

    for status in ("2", "0"):
        redcap.records.import_([{"record_id": "9", "visit_complete": status}])
    asked["records"] = ["9"]
    assert redcap.export_records(**asked)["visit_complete"].tolist() == ["0"]


def test_columns_that_an_import_ignores_change_nothing(redcap: REDCapClient) -> None:
    row = {"record_id": "1", "redcap_arm": 1, "visit_timestamp": DAY, "age": 40}
    ignored = row | {"redcap_survey_identifier": "x", "scan": "", "twice": 3}

    assert redcap.records.import_([ignored], dry_run=True).changes == ()
    assert redcap.records.import_([ignored]).records == ("1",)


@pytest.mark.parametrize("behavior", ["normal", "overwrite"])
def test_the_names_of_stored_files_are_no_change(behavior: str, redcap: REDCapClient) -> None:
    redcap.files.import_(REDCapFile("a.txt", "text/plain", b"hello"), "1", "scan")
    stored = redcap.export_records(fields=["scan"])

    for data in (stored, stored.assign(scan=None)):
        assert redcap.records.import_(data, dry_run=True, overwrite_behavior=behavior).changes == ()
        redcap.records.import_(data, overwrite_behavior=behavior)
    assert redcap.files.export("1", "scan").content == b"hello"


def test_a_user_who_may_not_export_a_field_can_import_it(sandbox: Sandbox) -> None:
    records = [{**row, "redcap_data_access_group": "north"} for row in RECORDS]
    row = {"record_id": "1", "age": 41, "dose": None, "redcap_data_access_group": "north"}
    for rights in (
        {"forms_export": {"visit": 0, "drug": 1}},
        {"forms_export": {"visit": 0, "drug": 0}},
        {"data_access_groups": 0},
    ):
        token = sandbox.add_project(exports=CLASSIC, records=records, rights=rights)
        redcap = REDCapClient(sandbox.url, token, retries=0)
        assert redcap.records.import_([row]).records == ("1",)


def test_a_user_who_sees_hashes_of_record_ids_can_blank_a_value(sandbox: Sandbox) -> None:
    exports = {"metadata": [field("record_id") | {"identifier": "y"}, field("age")]}
    rows = [{"record_id": "1", "age": "3"}]
    rights = {"forms_export": {"visit": 3}}
    token = sandbox.add_project(exports=exports, records=rows, rights=rights)
    redcap = REDCapClient(sandbox.url, token)

    redcap.records.import_([{"record_id": "1", "age": ""}], overwrite_behavior="overwrite")

    assert redcap.export_records()["age"].isna().all()


def test_the_stored_row_is_found_however_its_keys_are_written(sandbox: Sandbox) -> None:
    exports = {
        "metadata": [field("record_id"), field("dose", "drug")],
        "repeatingFormsEvents": [{"form_name": "drug"}],
    }
    place = {"redcap_repeat_instrument": "drug", "redcap_repeat_instance": "1"}
    records = [{"record_id": "1"}, {"record_id": "1", **place, "dose": "3"}]
    redcap = REDCapClient(sandbox.url, sandbox.add_project(exports=exports, records=records))
    blanked = [{"record_id": " 1 ", **place, "redcap_repeat_instance": "01", "dose": ""}]

    result = redcap.records.import_(blanked, overwrite_behavior="overwrite", dry_run=True)
    redcap.records.import_(blanked, overwrite_behavior="overwrite")

    (change,) = result.changes
    assert (change.record, change.instance) == ("1", "1")
    assert (change.before, change.after) == ("3", "")
    assert redcap.export_records()["dose"].isna().all()


def test_many_records_and_fields_are_compared_in_several_requests(
    sandbox: Sandbox, redcap: REDCapClient
) -> None:
    rows = [{"record_id": f"r{number}", "age": number} for number in range(1200)]
    redcap.records.import_(rows, batch_size=2000)
    before = len(sandbox.requests)

    assert redcap.records.import_(rows, batch_size=2000, dry_run=True).changes == ()

    exports = [one for one in sandbox.requests[before:] if one.content == "record"]
    assert len(exports) == 2


def test_a_change_shows_no_value(redcap: REDCapClient) -> None:
    [change] = redcap.records.import_([{"record_id": CANARY, "note": CANARY}], dry_run=True).changes

    assert change.after == CANARY
    assert CANARY not in repr(change)


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "options", "says"),
    [
        ([{"record_id": "1", "ages": "1"}], {}, "does not have these fields: ages"),
        ([{"age": CANARY}], {}, "1 of 1 rows have no record_id"),
        ([{"record_id": " ", "age": "1"}], {}, "1 rows have no record id"),
        ([{"record_id": "1", "scan": CANARY}], {}, "scan hold files, which"),
        ([{"record": "1", "field_name": "scan", "value": CANARY}], {"type": "eav"}, "scan hold fi"),
        ([{"record_id": "1", "race": CANARY}], {}, "race are checkboxes"),
        ([{"record_id": "1", "age": 22.5}], {}, "1 values of age cannot be stored as they are"),
        ([{"record_id": "1", "day": datetime(2024, 1, 1, 9)}], {}, "1 values of day cannot"),  # noqa: DTZ001
        (
            [{"record_id": "1", "redcap_event_name": CANARY}],
            {},
            "Its events are none, as it is classic",
        ),
        ([{"record": "1", "field_name": CANARY, "value": "1"}], {"type": "eav"}, "1 rows name a"),
        (
            [{"record": "1", "field_name": "race", "value": "1"}],
            {"type": "eav"},
            "like race___1, with value",
        ),
        ([{"record": "1", "field_name": "age"}], {"type": "eav"}, "have no value"),
        (
            [{"record": "1", "field_name": "age", "value": "1", "age": "1"}],
            {"type": "eav"},
            "an EAV import does not have these columns: age",
        ),
        (
            [{"record_id": "1", "day": "2023-02-29", "at": f"{CANARY} 10:00"}],
            {},
            "2 values of at, day are not dates",
        ),
        ([{"record_id": "1", "day": "31/12/2023"}], {"date_format": "MDY"}, "as date_format says"),
        (
            [{"record": "1", "field_name": "day", "value": CANARY}],
            {"type": "eav"},
            "1 values of day are not dates",
        ),
    ],
)
def test_what_the_project_has_not_is_refused_before_an_import(
    data: list[dict[str, Any]],
    options: dict[str, Any],
    says: str,
    sandbox: Sandbox,
    redcap: REDCapClient,
) -> None:
    before = imports(sandbox)

    for dry_run in (True, False):
        with pytest.raises(ValueError, match=says) as caught:
            redcap.records.import_(data, dry_run=dry_run, **options)
        assert CANARY not in str(caught.value)

    assert imports(sandbox) == before


@pytest.mark.parametrize("size", [-1, 0, True, 1.5])
def test_a_batch_size_that_is_none_is_refused_before_anything_is_sent(
    size: Any, sandbox: Sandbox, redcap: REDCapClient
) -> None:
    before = len(sandbox.requests)

    with pytest.raises(ValueError, match="batch_size: must be a whole number"):
        redcap.records.import_([{"record_id": "1"}], batch_size=size)

    assert len(sandbox.requests) == before


def test_missing_data_codes_and_blanks_are_no_wrong_dates(sandbox: Sandbox) -> None:
    exports = CLASSIC | {"project": {"missing_data_codes": "UNK, Unknown | -99, Refused"}}
    redcap = REDCapClient(sandbox.url, sandbox.add_project(exports=exports), retries=0)

    redcap.records.import_([{"record_id": "1", "day": "UNK"}, {"record_id": "2", "day": ""}])

    assert redcap.export_records(fields=["day"])["day"].tolist()[0] == "UNK"


def test_an_unknown_event_is_refused_before_an_import(sandbox: Sandbox) -> None:
    redcap = REDCapClient(sandbox.url, sandbox.add_project(exports=LONGITUDINAL), retries=0)
    row = {"record_id": "1", "age": "1"}

    with pytest.raises(ValueError, match="Its events are first_arm_1"):
        redcap.records.import_([row | {"redcap_event_name": "second_arm_1"}])

    assert redcap.records.import_([row | {"redcap_event_name": "first_arm_1"}]).records == ("1",)


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its sentences are understood.
def test_the_server_complains_value_by_value(redcap: REDCapClient) -> None:
    with pytest.raises(ImportRefusedError) as caught:
        redcap.records.import_([{"record_id": "1", "age": "old", "at": "2024-01-31 noon"}])

    assert [
        (one.record, one.field_name, one.value, one.kind) for one in caught.value.refused_values
    ] == [
        ("1", "age", "old", "invalid format"),
        ("1", "at", "2024-01-31 noon", "invalid format"),
    ]
    assert "old" not in str(caught.value)


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its sentences are understood.
def test_a_user_without_the_right_imports_nothing(sandbox: Sandbox) -> None:
    token = sandbox.add_project(exports=CLASSIC, records=RECORDS, rights={"api_import": 0})

    with pytest.raises(RightsError) as caught:
        REDCapClient(sandbox.url, token, retries=0).records.import_(CSV)

    assert caught.value.rights == ("API Import/Update",)


# -- the rest of a record's life ------------------------------------------------------------------


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its sentences are understood.
def test_a_record_is_renamed_and_deleted(redcap: REDCapClient) -> None:
    assert redcap.records.generate_next_record_name() == "2"

    redcap.records.rename("1", "7")
    assert set(redcap.export_records()["record_id"]) == {"7"}
    assert redcap.records.generate_next_record_name() == "8"

    with pytest.raises(RefusedError) as caught:
        redcap.records.delete(["1"])
    assert (caught.value.kind, caught.value.records) == ("unknown record", ("1",))

    assert redcap.records.delete(["7"]) == 1
    assert redcap.export_records().empty


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its sentences are understood.
def test_a_file_goes_in_and_comes_out(redcap: REDCapClient) -> None:
    file = REDCapFile('Größe "1".bin', "application/x-thing", bytes(range(256)) * 500)

    redcap.files.import_(file, "1", "scan")
    back = redcap.files.export("1", "scan")
    assert (back.content, back.mime_type) == (file.content, file.mime_type)
    assert back.name.startswith("Größe ")

    redcap.files.delete("1", "scan")
    with pytest.raises(RefusedError, match="No file is stored"):
        redcap.files.export("1", "scan")
    with pytest.raises(RefusedError) as caught:
        redcap.files.export("1", "age")
    assert (caught.value.kind, caught.value.names) == ("no file field", ("age",))


# -- record ids -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int64", "float64", "int64[pyarrow]"])
def test_an_id_that_is_a_number_is_not_taken_for_another_text(kind: Any, sandbox: Sandbox) -> None:
    records: list[dict[str, object]] = [{"record_id": one, "age": "1"} for one in ("007", "8")]
    token = sandbox.add_project(exports=CLASSIC, records=records)
    redcap = REDCapClient(sandbox.url, token, retries=0)
    frame = pd.DataFrame({"record_id": ["7", "8"], "age": ["40", "41"]})
    numbers, before = frame.astype({"record_id": kind}), imports(sandbox)

    with pytest.raises(ValueError, match=r"1 record ids are numbers, .*{'record_id': 'string'}"):
        redcap.records.import_(numbers)
    with pytest.raises(ValueError, match="1 record ids are numbers"):
        redcap.records.import_([{"record": 7, "field_name": "age", "value": 1}], type="eav")
    assert imports(sandbox) == before
    assert redcap.records.import_(numbers[1:]).records == ("8",)
    assert redcap.records.import_(numbers, force_auto_number=True).count == 2
    redcap.records.import_(frame)  # texts say which records they mean
    with pytest.raises(ValueError, match="1 record ids are numbers"):
        redcap.records.import_(numbers)  # there is 7 now, but the frame may have been read from 007


def test_ids_of_one_record_in_two_spellings_are_refused(
    sandbox: Sandbox, redcap: REDCapClient, server: Server, client: REDCapClient
) -> None:
    ids = ["É-1", "e-1", "й", "и", "2"]
    frame, before = pd.DataFrame({"record_id": ids, "age": "1"}), imports(sandbox)
    with pytest.raises(ValueError, match="2 record ids differ from others, in the data or in RED"):
        redcap.records.import_(frame, batch_size=1)
    assert imports(sandbox) == before
    assert redcap.records.import_(frame, force_auto_number=True).count == 5
    redcap.records.import_(frame[1:])

    # A server whose database compares ids like REDCap's exports the record as it is spelled there.
    server.say("project", json_reply({"is_longitudinal": 0}))
    server.say("exportFieldNames", json_reply([]))
    server.say("record", Reply("record_id,name\nÉ-1,a\n".encode()))
    with pytest.raises(ValueError, match="1 record ids differ from others, in the data or in RED"):
        client.records.import_([{"record_id": "e-1", "name": "b"}])
