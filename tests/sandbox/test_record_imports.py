"""Record imports: valid and invalid values, counts and names, calculations."""

from typing import Any

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import Ask, imported, stored

NOT_THE_FORMAT = (
    "The value you provided could not be validated because it does not follow the expected "
    "format. Please try again."
)
TYPES: dict[str, Any] = {
    "metadata": [
        field("id", "a"),
        field("note", "a", type="notes"),
        *(
            field(name, "a", validation=validation)
            for name, validation in [
                ("whole", "integer"),
                ("weight", "number_1dp"),
                ("day", "date_dmy"),
                ("moment", "datetime_seconds_mdy"),
                ("clock", "time"),
                ("mrn", "mrn_generic"),
                ("own", "type_of_this_server"),
            ]
        ),
        field("sex", "a", type="radio", choices="1, Female | 2, Male"),
        field("race", "a", type="checkbox", choices="1, A | 2, B"),
        field("bmi", "a", type="calc", choices="sum([whole], 3)"),
        field("scan", "a", type="file"),
    ],
    "project": {"missing_data_codes": "NA, Not asked"},
}


@pytest.fixture
def typed(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports=TYPES)


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("whole", "22", "22"),
        ("whole", "NA", "NA"),
        ("weight", "7.5", "7.5"),
        ("day", "2024-02-29", "2024-02-29"),
        ("moment", "2024-02-29 23:59:01", "2024-02-29 23:59:01"),
        ("clock", "09:05", "09:05"),
        ("clock", "9:05", "9:05"),
        ("mrn", "AB-12_c", "AB-12_c"),
        ("whole", "007", "007"),
        ("own", "anything", "anything"),
        ("sex", "2", "2"),
        ("race___2", "1", "1"),
        ("bmi", "99", "3"),
    ],
)
def test_valid_values_are_stored(typed: str, ask: Ask, field: str, value: str, kept: str) -> None:
    # Without an action, data means an import.
    answer = ask(typed, content="record", format="csv", data=f"id,{field}\n1,{value}\n")
    assert (answer.status_code, answer.text) == (200, "1")
    assert stored(ask, typed)[0][field] == kept


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("whole", "2.5", NOT_THE_FORMAT),
        ("weight", "7.55", NOT_THE_FORMAT),
        ("mrn", "AB 12", NOT_THE_FORMAT),
        ("day", "2023-02-29", NOT_THE_FORMAT),
        ("day", "29/02/2024", NOT_THE_FORMAT),
        ("moment", "2024-02-29 23:59", NOT_THE_FORMAT),
        ("clock", "25:05", NOT_THE_FORMAT),
        ("clock", "9:5", NOT_THE_FORMAT),
        ("sex", "Female", "The value is not a valid category for sex"),
        ("race___1", "Checked", "The value is not a valid category for race___1"),
        ("scan", "a.pdf", "The value of a file field cannot be imported as data."),
    ],
)
def test_one_invalid_value_refuses_the_import(
    typed: str, ask: Ask, field: str, value: str, message: str
) -> None:
    rows = [{"id": "1", "note": "fine"}, {"id": "2", field: value}, {"id": '"3"', field: value}]
    answer = imported(ask, typed, rows)
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        f'"2","{field}","{value}","{message}"\n"""3""","{field}","{value}","{message}"'
    )
    assert stored(ask, typed) == []


def test_missing_data_codes_have_labels(typed: str, ask: Ask) -> None:
    imported(ask, typed, [{"id": "1", "sex": "NA", "race___na": "1"}])
    (row,) = stored(ask, typed, rawOrLabel="label")
    assert (row["sex"], row["race___na"]) == ("Not asked", "Checked")


def test_dates_in_other_orders(typed: str, ask: Ask) -> None:
    for order, day, moment in (
        ("MDY", "2/29/2024", "02-29-2024 10:00:00"),
        ("DMY", "29/2/2024", "29-02-2024 10:00:00"),
    ):
        row = {"id": order, "day": day, "moment": moment}
        assert imported(ask, typed, [row], dateFormat=order).json() == {"count": 1}
    for kept in stored(ask, typed):
        assert (kept["day"], kept["moment"]) == ("2024-02-29", "2024-02-29 10:00:00")


def test_blanks_clear_values_only_with_overwrite(typed: str, sandbox: Sandbox, ask: Ask) -> None:
    imported(ask, typed, [{"id": "1", "note": "x", "race___1": "1", "sex": 1}])
    blank = [{"id": "1", "note": "", "race___1": "", "sex": None}]
    assert imported(ask, typed, blank).json() == {"count": 1}
    assert stored(ask, typed)[0]["note"] == "x"
    imported(ask, typed, blank, overwriteBehavior="overwrite")
    assert [stored(ask, typed)[0][name] for name in ("note", "race___1", "sex")] == ["", "0", ""]
    sandbox.edit(typed, record="1", field="scan", value="a.pdf")
    imported(ask, typed, [{"id": "1", "scan": ""}], overwriteBehavior="overwrite")
    assert stored(ask, typed)[0]["scan"] == "a.pdf"


@pytest.mark.parametrize(
    ("shape", "returned", "expected"),
    [
        ("json", "count", '{"count":2}'),
        ("csv", "count", "2"),
        ("xml", "count", '<?xml version="1.0" encoding="UTF-8" ?><count>2</count>'),
        ("json", "ids", '["b","a"]'),
        ("csv", "ids", "id\nb\na"),
        ("json", "nothing", "{}"),
        ("csv", "nothing", ""),
    ],
)
def test_what_is_returned(typed: str, ask: Ask, shape: str, returned: str, expected: str) -> None:
    rows = [{"id": "b"}, {"id": "a"}, {"id": "b", "note": "x"}]
    answer = imported(ask, typed, rows, returnContent=returned, returnFormat=shape)
    assert answer.text == expected


def test_record_names_that_the_server_assigns(typed: str, ask: Ask) -> None:
    assert ask(typed, content="generateNextRecordName").text == "1"
    imported(ask, typed, [{"id": "9"}, {"id": "x"}])
    rows = [{"id": "9", "note": "p"}, {"id": "q", "note": "q"}, {"id": "9", "sex": "1"}]
    answer = imported(ask, typed, rows, forceAutoNumber="true", returnContent="auto_ids")
    assert answer.json() == ["10,9", "11,q"]
    kept = {row["id"]: (row["note"], row["sex"]) for row in stored(ask, typed)}
    assert kept == {"9": ("", ""), "x": ("", ""), "10": ("p", "1"), "11": ("q", "")}
    assert ask(typed, content="generateNextRecordName").text == "12"


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        ("[1]", "json", "The data is not in the specified format."),
        ("[{", "json", "The data is not in the specified format."),
        ('[{"id": NaN}]', "json", "The data is not in the specified format."),
        ('[{"id": ["1"]}]', "json", "The data is not in the specified format."),
        ("<a><b></a>", "xml", "The data is not in the specified format."),
        ("id\n1,2\n", "csv", "The data is not in the specified format."),
        ("id,x,y\n1,2,3\n", "csv", "The following fields were not found in the project as real"),
        ("id,race\n1,2\n", "csv", "The following fields were not found in the project as real"),
        ("id,note\n,2\n", "csv", "A row has no value for the record id field, id."),
    ],
)
def test_data_that_cannot_be_read(
    typed: str, ask: Ask, data: str, shape: str, message: str
) -> None:
    answer = imported(ask, typed, data, format=shape, returnFormat="csv")
    assert answer.status_code == 400
    assert answer.text.startswith(f"ERROR: {message}")


def test_an_object_instead_of_a_list_has_no_records(typed: str, ask: Ask) -> None:
    assert imported(ask, typed, {"id": "1"}).json() == {"count": 0}


def test_instances_are_numbered_where_instruments_repeat(classic: str, ask: Ask) -> None:
    new = {"id": "9", "redcap_repeat_instrument": "drug", "redcap_repeat_instance": "new"}
    assert imported(ask, classic, [new | {"dose": "6"}, new | {"dose": "7"}]).json() == {"count": 1}
    rows = stored(ask, classic, records="9", fields="id,dose")
    assert [(row["redcap_repeat_instance"], row["dose"]) for row in rows[1:]] == [
        ("2", "5"),
        ("10", "é"),
        ("11", "6"),
        ("12", "7"),
    ]
    wrong = [
        {"id": "9", "dose": "1"},
        new | {"note": "x"},
        new | {"redcap_repeat_instance": ""},
        new | {"redcap_repeat_instrument": "lab"},
        {"id": "9", "redcap_repeat_instance": "2"},
    ]
    for row in wrong:
        assert imported(ask, classic, [row]).status_code == 400


def test_instruments_that_an_event_does_not_have(longitudinal: str, ask: Ask) -> None:
    row = {"id": "1", "redcap_event_name": "then_arm_1", "age": "5"}
    assert imported(ask, longitudinal, [row], format="json").json()["error"] == (
        '"1","age","5","This field (\'age\') exists on an instrument that is not designated '
        "for the event named 'Then (Arm 1: One)'. You are not allowed to import data for this "
        'field into this event."'
    )
    assert imported(ask, longitudinal, [{"id": "1", "age": "5"}]).status_code == 400


def test_access_groups_are_imported_by_their_column(longitudinal: str, ask: Ask) -> None:
    row = {"id": "5", "redcap_event_name": "first_arm_1", "redcap_data_access_group": "south"}
    assert imported(ask, longitudinal, [row]).ok
    kept = stored(ask, longitudinal, exportDataAccessGroups="true", records="5")
    assert kept[0]["redcap_data_access_group"] == "south"
    wrong = imported(ask, longitudinal, [row | {"redcap_data_access_group": "west"}])
    assert wrong.status_code == 400
    assert wrong.json()["error"].startswith('"5","redcap_data_access_group","west",')


def test_single_values(classic: str, ask: Ask) -> None:
    body = (
        "record,redcap_repeat_instrument,redcap_repeat_instance,field_name,value\n"
        "20,,,note,n\n20,,,race____99,1\n20,drug,1,dose,3\n"
    )
    answer = imported(ask, classic, body, format="csv", type="eav")
    assert (answer.status_code, answer.text) == (200, "1")
    exported = ask(classic, content="record", type="eav", records="20").text.splitlines()
    assert exported == [
        "record,redcap_repeat_instrument,redcap_repeat_instance,field_name,value",
        "20,,,id,20",
        "20,,,note,n",
        "20,,,race,-99",
        "20,drug,1,dose,3",
    ]


def test_calculations_of_instances_and_of_functions_that_are_not_known(
    sandbox: Sandbox, ask: Ask
) -> None:
    exports = {
        "metadata": [
            field("id", "a"),
            field("factor", "a"),
            field("dose", "b"),
            field("total", "b", type="calc", choices="[dose]*[factor]/3"),
            field("more", "b", type="calc", choices="[total]+1"),
            field("other", "b", type="calc", choices="unknown([dose])"),
        ],
        "repeatingFormsEvents": [{"form_name": "b"}],
    }
    instance = {"id": "1", "redcap_repeat_instrument": "b", "redcap_repeat_instance": "1"}
    records = [{"id": "1", "factor": "2"}, instance | {"dose": "1", "other": "7"}]
    token = sandbox.add_project(exports=exports, records=records)
    imported(ask, token, [instance | {"dose": "5"}])
    kept = stored(ask, token)[1]
    assert (kept["total"], kept["more"], kept["other"]) == (
        "3.3333333333333",
        "4.3333333333333",
        "7",
    )
