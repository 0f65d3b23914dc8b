"""Record exports: rows, columns, cells, and how they are written."""

import pytest
import requests

from redcap_dagster.project.xml.reader import parse_odm
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import CLASSIC, CLASSIC_CSV, CLASSIC_RECORDS, Ask, asker


def header(response: requests.Response) -> str:
    assert response.status_code == 200
    return response.text.partition("\n")[0]


def test_rows_cells_order_and_quotes_of_a_classic_project(classic: str, ask: Ask) -> None:
    answer = ask(classic, content="record")
    assert answer.content.decode() == CLASSIC_CSV
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"


def test_json_has_texts_but_for_instances(classic: str, ask: Ask) -> None:
    answer = ask(classic, content="record", format="json", fields="id,dose", records="9")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    keys = {"id": "9", "redcap_repeat_instrument": "drug"}
    assert answer.json() == [
        {"id": "9", "redcap_repeat_instrument": "", "redcap_repeat_instance": "", "dose": ""},
        keys | {"redcap_repeat_instance": 2, "dose": "5"},
        keys | {"redcap_repeat_instance": 10, "dose": "é"},
    ]
    metadata = ask(classic, content="metadata", format="json").text
    assert r"1, A | -99, B\/C" in metadata
    assert '"},\n{"' in metadata


@pytest.mark.parametrize(
    "array",
    [
        {"forms[0]": "lab", "forms[1]": "drug"},
        {"forms[]": ["lab", "drug"]},
        {"forms": "lab,drug"},
        {"forms": "lab", "fields[0]": "dose", "fields[1]": "drug_complete"},
    ],
)
def test_arrays_come_in_three_ways_and_fields_and_forms_add_up(
    classic: str, ask: Ask, array: dict[str, str]
) -> None:
    body = ask(classic, content="record", **array, records="9").text
    assert body == "scan,lab_complete,dose,drug_complete\na.pdf,0,,\n,,5,0\n,,é,0\n"


def test_keys_come_only_with_the_record_id_or_its_form(classic: str, ask: Ask) -> None:
    keys = "id,redcap_repeat_instrument,redcap_repeat_instance"
    assert header(ask(classic, content="record", fields="dose,note")) == "note,dose"
    assert header(ask(classic, content="record", fields="id")) == keys
    visit = f"{keys},note,race___1,race____99,visit_complete"
    assert header(ask(classic, content="record", forms="visit")) == visit


def test_instances_come_only_with_their_form(
    classic: str, longitudinal: str, sandbox: Sandbox, ask: Ask
) -> None:
    """Recorded: without keys, only longitudinal projects export rows of other instruments."""
    assert ask(classic, content="record", fields="id").text.splitlines()[1:] == ["9,,", "10,,"]
    assert ask(classic, content="record", fields="dose").text == "dose\n5\né\n"
    assert ask(longitudinal, content="record", forms="drug").text == (
        "dose,drug_complete\n,\n,\n7,0\n,0\n8,0\n"
    )
    assert ask(longitudinal, content="record", fields="id").text.splitlines()[1:] == [
        "1,first_arm_1,,",
        "1,first_arm_2,,",
        "1,then_arm_1,,1",
        "1,then_arm_1,,2",
    ]
    # A record without other values is listed as well.
    sandbox.edit(
        classic, record="11", field="dose", value="1", repeat_instrument="drug", repeat_instance=1
    )
    assert ask(classic, content="record", fields="id").text.splitlines()[1:] == [
        "9,,",
        "10,,",
        "11,,",
    ]


def test_longitudinal_rows_groups_by_arm_and_events(longitudinal: str, ask: Ask) -> None:
    whole = ask(longitudinal, content="record", exportDataAccessGroups="true").text
    assert whole == (
        "id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,"
        "redcap_data_access_group,age,visit_complete,dose,drug_complete\n"
        "1,first_arm_1,,,north,2,0,,\n"
        "1,first_arm_2,,,south,3,0,,\n"
        "1,first_arm_1,drug,1,north,,,7,0\n"
        "1,then_arm_1,,1,north,,,,0\n"
        "1,then_arm_1,,2,north,,,8,0\n"
    )
    some = ask(longitudinal, content="record", events="then_arm_1,first_arm_2", fields="dose,age")
    assert some.text == "age,dose\n3,\n,\n,8\n"


def test_blank_status_tells_unsaved_forms(classic: str, ask: Ask) -> None:
    body = ask(classic, content="record", exportBlankForGrayFormStatus="true", records="9,10").text
    assert body.splitlines()[1] == "9,,,,0,0,,a.pdf,0,,"
    assert body.splitlines()[-1] == 'c",0,1,2,,,,'


@pytest.mark.parametrize(("sent", "mark"), [("tab", "\t"), ("\t", "\t"), (";", ";"), ("^", "^")])
def test_delimiters(classic: str, ask: Ask, sent: str, mark: str) -> None:
    body = ask(classic, content="record", csvDelimiter=sent, fields="id,dose", records="9").text
    assert body.splitlines()[1] == f"9{mark}{mark}{mark}"
    assert ask(classic, content="record", csvDelimiter="").text == CLASSIC_CSV


def test_cells_are_quoted_by_the_delimiter_in_use(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports=CLASSIC, records=[{"id": "a;b,c"}])
    assert '\n"a;b,c";' in ask(token, content="record", csvDelimiter=";").text
    assert '\n"a;b,c",' in ask(token, content="record").text
    assert "\na;b,c^" in ask(token, content="record", csvDelimiter="^").text


def test_no_rows(classic: str, ask: Ask) -> None:
    head = CLASSIC_CSV.partition("\n")[0] + "\n"
    for nothing in ({"records": "77"}, {"filterLogic": "[id] = ''"}):
        assert ask(classic, content="record", **nothing).text == head
        assert ask(classic, content="record", format="json", **nothing).text == "[]"
    with Sandbox("17.4.1") as newer:
        token = newer.add_project(exports=CLASSIC)
        assert asker(newer)(token, content="record").text == "\n"
        assert asker(newer)(token, content="record", format="json").text == "[]"


def test_survey_columns(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(
        exports=CLASSIC,
        records=[
            {"id": "1", "redcap_survey_identifier": "s 1", "lab_timestamp": "[not completed]"},
        ],
    )
    answer = ask(token, content="record", exportSurveyFields="true", fields="id,scan")
    assert answer.text == (
        "id,redcap_repeat_instrument,redcap_repeat_instance,redcap_survey_identifier,"
        'lab_timestamp,scan\n1,,,"s 1","[not completed]",\n'
    )
    assert "survey" not in ask(token, content="record").text
    assert "lab_timestamp" not in ask(token, content="exportFieldNames").text


def test_pseudo_fields_are_refused_since_13_4_10(classic: str, ask: Ask) -> None:
    assert ask(classic, content="record", fields="id,redcap_event_name").status_code == 400
    with Sandbox("13.4.9") as older:
        token = older.add_project(exports=CLASSIC)
        assert asker(older)(token, content="record", fields="id,redcap_event_name").ok


def test_files_by_version(classic: str, ask: Ask) -> None:
    assert "a.pdf" in ask(classic, content="record").text
    with Sandbox("11.4.4") as older:
        token = older.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        asked = asker(older)(token, content="record", format="json", fields="scan").json()
    assert [row["scan"] for row in asked] == ["[document]", ""]


def test_labels_of_rows_and_header(longitudinal: str, classic: str, ask: Ask) -> None:
    labels = {"rawOrLabel": "label", "rawOrLabelHeaders": "label"}
    body = ask(longitudinal, content="record", events="then_arm_1", fields="id,dose", **labels)
    assert body.text == (
        ',"Event Name","Repeat Instrument","Repeat Instance",\n'
        '1,"Then (Arm 1: One)",,1,\n1,"Then (Arm 1: One)",,2,8\n'
    )
    boxes = {"rawOrLabel": "label", "fields": "race,dose", "records": "9,10"}
    assert ask(classic, content="record", **boxes).text == (
        "race___1,race____99,dose\nUnchecked,Unchecked,\n,,5\n,,é\nUnchecked,Checked,\n"
    )
    shown = ask(classic, content="record", **boxes, exportCheckboxLabel="true")
    assert shown.text == "race___1,race____99,dose\n,,\n,,5\n,,é\n,B/C,\n"


def test_labels_of_groups(longitudinal: str, ask: Ask) -> None:
    group = '[{"data_access_group_name": "The North", "unique_group_name": "north"}]'
    assert ask(longitudinal, content="dag", action="import", format="json", data=group).ok
    asked = {"content": "record", "exportDataAccessGroups": "true", "events": "first_arm_1"}
    labelled = ask(longitudinal, **asked, rawOrLabel="label", fields="id").text
    assert labelled.splitlines()[1:] == ['1,"First (Arm 1: One)",,,"The North"']


def test_single_values_of_a_longitudinal_project(longitudinal: str, ask: Ask) -> None:
    asked = {"content": "record", "type": "eav", "rawOrLabel": "label"}
    assert ask(longitudinal, **asked, fields="dose").text == (
        "record,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,field_name,value\n"
        '1,"First (Arm 1: One)",drug,1,dose,7\n'
        '1,"Then (Arm 1: One)",,2,dose,8\n'
    )


def test_decimal_characters(sandbox: Sandbox, ask: Ask) -> None:
    exports = {
        "metadata": [
            field("id", "a"),
            field("bmi", "a", type="calc"),
            field("dose", "a", validation="number_1dp_comma_decimal"),
            field("note", "a"),
        ]
    }
    records = [{"id": "1", "bmi": "2.5", "dose": "1,5", "note": "1.5"}]
    token = sandbox.add_project(exports=exports, records=records)
    for mark, row in ((",", "2,5|1,5|1.5"), (".", "2.5|1.5|1.5"), ("", "2.5|1,5|1.5")):
        asked = {"decimalCharacter": mark, "csvDelimiter": "|", "fields": "bmi,dose,note"}
        assert ask(token, content="record", **asked).text.splitlines()[1] == row


def test_records_in_xml(classic: str, ask: Ask) -> None:
    body = ask(classic, content="record", format="xml", fields="id,note", records="10")
    assert body.headers["content-type"] == "text/xml; charset=utf-8"
    assert body.text == (
        '<?xml version="1.0" encoding="UTF-8" ?><records><item><id>10</id>'
        "<redcap_repeat_instrument></redcap_repeat_instrument>"
        "<redcap_repeat_instance></redcap_repeat_instance>"
        '<note>a "b"\nc</note></item></records>'
    )


def test_records_in_odm(classic: str, ask: Ask) -> None:
    answer = ask(classic, content="record", format="odm", fields="id,note,race", records="10")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    points = parse_odm(answer.content).points
    assert {(point.record, point.field_name, point.value) for point in points} == {
        ("10", "id", "10"),
        ("10", "note", 'a "b"\nc'),
        ("10", "race", "-99"),
    }
