"""Parameters that say how REDCap writes: what comes out is the same, or is labelled."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import (
    MalformedResponseError,
    OutcomeUnknownError,
    RecordSelection,
    REDCapClient,
    REDCapFile,
)
from redcap_dagster.api.export.reader.header_labels import make_labels_unique
from redcap_dagster.api.export.reader.selection import DELIMITERS
from redcap_dagster.sandbox import Sandbox
from tests.fake_server import CANARY, RECORDS, Reply, Server, json_reply


def field(name: str, form: str = "visit", **more: str) -> dict[str, str]:
    return {"field_name": name, "form_name": form, "field_type": "text"} | more


METADATA = [
    field("record_id", field_label="Study ID"),
    field("note", field_label="Note,\n \"as said\""),
    field("race", field_type="checkbox", field_label="Race",
          select_choices_or_calculations="1, A | 2, B"),
    field("dose", "drug", field_label="Dose"),
]  # fmt: skip
TEXTS = [",", ";", "|", "^", "\t", 'a"b', "a\nb", "", "plain"]
ROWS: list[dict[str, object]] = [
    {"record_id": str(number), "note": text, "race___1": "1", "dose": str(number)}
    for number, text in enumerate(TEXTS, 1)
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    return sandbox.add_project(exports={"metadata": METADATA}, records=ROWS)


@pytest.fixture
def redcap(sandbox: Sandbox, token: str) -> REDCapClient:
    return REDCapClient(sandbox.url, token, retries=0)


# -- csv_delimiter --------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_a_delimiter_changes_nothing_of_the_rows(
    delimiter: str, sandbox: Sandbox, token: str, redcap: REDCapClient
) -> None:
    report = sandbox.add_report(token, ["record_id", "note"])
    usual = redcap.export_records()
    assert usual["note"].fillna("").tolist() == TEXTS

    assert redcap.export_records(csv_delimiter=delimiter).equals(usual)
    assert next(redcap.stream_records(csv_delimiter=delimiter)).num_rows == len(TEXTS)
    assert redcap.records.export_eav(csv_delimiter=delimiter).equals(redcap.records.export_eav())
    assert redcap.reports.export(report, csv_delimiter=delimiter).equals(
        redcap.reports.export(report)
    )


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_a_csv_is_imported_by_its_delimiter(delimiter: str, redcap: REDCapClient) -> None:
    mark = DELIMITERS[delimiter]
    text = f'record_id{mark}note\nnew{mark}"a{mark}b"\n'

    redcap.records.import_(text, csv_delimiter=delimiter)

    assert redcap.export_records(records=["new"])["note"].tolist() == [f"a{mark}b"]


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_a_delimiter_is_asked_for_in_redcaps_words(
    delimiter: str, server: Server, client: REDCapClient
) -> None:
    body = RECORDS.replace(b",", DELIMITERS[delimiter].encode())
    server.say("record", Reply(body))
    server.say("report", Reply(body))

    assert list(client.export_records(csv_delimiter=delimiter)) == ["record_id", "name"]
    report = client.reports.export(1, csv_delimiter=delimiter, type="eav")
    assert list(report) == ["record_id", "name"]

    assert server.asked("record")[0]["csvDelimiter"] == delimiter
    assert server.asked("report")[0]["csvDelimiter"] == delimiter
    assert server.asked("report")[0]["type"] == "eav"


def test_an_answer_with_another_delimiter_is_refused(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(RECORDS))

    with pytest.raises(MalformedResponseError, match="separated by ','"):
        client.export_records(csv_delimiter=";")


# -- raw_or_label_headers -------------------------------------------------------------------------


def test_labels_stand_over_the_same_columns(redcap: REDCapClient) -> None:
    raw = redcap.export_records()

    labelled = redcap.export_records(raw_or_label_headers="label")

    assert list(labelled) == [
        "Study ID",
        'Note,\n "as said"',
        "Race (choice=A)",
        "Race (choice=B)",
        "Complete? (visit_complete)",
        "Dose",
        "Complete? (drug_complete)",
    ]
    assert labelled.set_axis(list(raw), axis=1).equals(raw)
    part = redcap.export_records(records=["2"], fields=["dose"], raw_or_label_headers="label")
    assert part.to_dict("records") == [{"Study ID": "2", "Dose": "2"}]


def test_names_stay_where_there_is_no_row(redcap: REDCapClient) -> None:
    nothing = redcap.export_records(filter_logic="[dose] > 99", raw_or_label_headers="label")

    assert next(iter(nothing)) == "record_id"


def test_labels_of_other_columns_are_refused(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(RECORDS), Reply(b"Study ID,Name,Another\n1,a,b\n"))

    with pytest.raises(MalformedResponseError, match="labels of 3 columns, and names of 2"):
        client.export_records(raw_or_label_headers="label")

    first, second = server.asked("record")
    assert "rawOrLabelHeaders" not in first
    assert second == first | {"rawOrLabelHeaders": "label", "records[0]": CANARY}


def test_rows_with_labels_are_held_to_their_keys(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(b"record_id,name\n1,a\n1,b\n"))

    with pytest.raises(MalformedResponseError, match="1 are of a record"):
        client.export_records(raw_or_label_headers="label")


def test_labels_are_told_apart_whatever_they_are() -> None:
    labels = ["A (b)", "A", "A", "A (b)", "A (b) (b)"]

    told = make_labels_unique(labels, ["a", "b", "c", "d", "e"])

    assert len(set(told)) == len(labels)
    assert make_labels_unique(["A", "B"], ["a", "b"]) == ["A", "B"]


# -- return_content -------------------------------------------------------------------------------

TWO = [{"record_id": "x", "dose": "1"}, {"record_id": "y", "dose": "2"}]


@pytest.mark.parametrize(
    ("options", "asked", "records", "numbered", "count"),
    [
        ({}, "ids", ("x", "y"), (), 2),
        ({"return_content": "ids"}, "ids", ("x", "y"), (), 2),
        ({"return_content": "count"}, "count", (), (), 2),
        ({"return_content": "nothing"}, "nothing", (), (), None),
        ({"force_auto_number": True}, "auto_ids", ("10", "11"), (("x", "10"), ("y", "11")), 2),
        ({"force_auto_number": True, "return_content": "auto_ids"},
         "auto_ids", ("10", "11"), (("x", "10"), ("y", "11")), 2),
        ({"force_auto_number": True, "return_content": "ids"}, "ids", ("10", "11"), (), 2),
        ({"force_auto_number": True, "return_content": "count"}, "count", (), (), 2),
        ({"background_process": True, "return_content": "count"}, "count", (), (), None),
        ({"batch_size": 1, "return_content": "count"}, "count", (), (), 2),
        ({"batch_size": 1}, "ids", ("x", "y"), (), 2),
    ],
)  # fmt: skip
def test_an_import_tells_what_redcap_tells(
    options: dict[str, Any],
    asked: str,
    records: tuple[str, ...],
    numbered: tuple[tuple[str, str], ...],
    count: int | None,
    redcap: REDCapClient,
) -> None:
    done = redcap.records.import_(TWO, **options)

    assert (done.records, done.numbered, done.count) == (records, numbered, count)
    assert redcap.export_records()["dose"].tolist()[-2:] == ["1", "2"] or asked == "nothing"
    assert len(redcap.export_records()) == len(ROWS) + 2


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ("count", b"[1,2]"),
        ("count", b""),
        ("ids", b'{"count":2}'),
        ("ids", b"[[1]]"),
        ("auto_ids", b"2"),
        ("nothing", b'["x"]'),
        ("nothing", b"<html>Sign on</html>"),
        ("nothing", b'{"error":"no"}'),
    ],
)
def test_what_was_not_asked_for_is_not_taken_for_success(
    content: str, body: bytes, server: Server, client: REDCapClient
) -> None:
    server.say("project", json_reply({"is_longitudinal": 0}))
    server.say("exportFieldNames", json_reply([]))
    server.say("record", Reply(body))

    with pytest.raises(OutcomeUnknownError if body != b'{"error":"no"}' else Exception) as caught:
        client.records.import_(
            [{"record_id": CANARY}], force_auto_number=True, return_content=content
        )

    assert CANARY not in str(caught.value)
    assert server.asked("record")[0]["returnContent"] == content


# -- names ----------------------------------------------------------------------------------------

SCAN = REDCapFile("a.txt", "text/plain", b"x")
CALLS: list[tuple[str, Any, str]] = [
    ("record", lambda c: c.export_records(fields=["no"]), "no field 'no'"),
    ("record", lambda c: c.export_records_table(forms=["no"]), "no form 'no'"),
    ("record", lambda c: c.stream_records(events=["no"]), "no event 'no'"),
    ("record", lambda c: c.records.export_eav(fields=["no"]), "no field 'no'"),
    ("record", lambda c: c.records.export_eav(forms=["no"]), "no form 'no'"),
    ("record", lambda c: c.records.export_eav(events=["no"]), "no event 'no'"),
    ("record", lambda c: c.records.delete(["1"], instrument="no"), "no form 'no'"),
    ("record", lambda c: c.records.delete(["1"], event="no"), "no event 'no'"),
    ("file", lambda c: c.files.export("1", "no"), "no field 'no'"),
    ("file", lambda c: c.files.export("1", "scan", event="no"), "no event 'no'"),
    ("file", lambda c: c.files.save(Path(), "1", "no"), "no field 'no'"),
    ("file", lambda c: c.files.import_(SCAN, "1", "no"), "no field 'no'"),
    ("file", lambda c: c.files.delete("1", "no"), "no field 'no'"),
    ("surveyLink", lambda c: c.surveys.export_link("1", "no"), "no form 'no'"),
    ("surveyReturnCode", lambda c: c.surveys.export_return_code("1", "no"), "no form 'no'"),
    ("surveyAccessCode", lambda c: c.surveys.export_access_code("1", "no"), "no form 'no'"),
    ("participantList", lambda c: c.surveys.export_participants("no"), "no form 'no'"),
    ("participantList", lambda c: c.surveys.export_participants("visit", "no"), "no event 'no'"),
    ("pdf", lambda c: c.pdfs.export(instrument="no"), "no form 'no'"),
    ("pdf", lambda c: c.pdfs.save(Path(), event="no"), "no event 'no'"),
]


@pytest.mark.parametrize(("content", "call", "says"), CALLS)
@pytest.mark.parametrize("longitudinal", [0, 1])
def test_what_the_project_does_not_have_is_not_asked_about(
    longitudinal: int, content: str, call: Any, says: str, server: Server, client: REDCapClient
) -> None:
    server.say("project", json_reply({"is_longitudinal": longitudinal}))

    with pytest.raises(ValueError, match=says):
        call(client)

    assert not server.asked(content)
    assert {asked["content"] for asked in server.requests} <= {"metadata", "project", "event"}


def test_a_snapshot_asks_for_no_record_by_a_wrong_name(
    sandbox: Sandbox, redcap: REDCapClient
) -> None:
    structure = redcap.export_structure()
    before = len(sandbox.requests)

    wrong: list[RecordSelection] = [{"fields": ["no"]}, {"forms": ["no"]}, {"events": ["no"]}]
    for names in wrong:
        with pytest.raises(ValueError, match="'no'"):
            redcap.export_snapshot(structure, **names)

    assert {asked.content for asked in sandbox.requests[before:]} <= {"metadata", "project"}


def test_names_are_asked_for_once(server: Server, client: REDCapClient) -> None:
    server.say("surveyLink", Reply(b"https://redcap.example/s/?s=a"))

    for record in range(3):
        client.surveys.export_link(record, "visit", "e_arm_1")

    assert len(server.asked("metadata")) == len(server.asked("event")) == 1


def test_an_event_that_was_added_meanwhile_is_asked_for(
    server: Server, client: REDCapClient
) -> None:
    server.say("record", Reply(RECORDS))
    client.export_records(events=["e_arm_1"])
    server.say("event", json_reply([{"unique_event_name": name} for name in ("e_arm_1", "new")]))

    client.export_records(events=["new"])

    assert len(server.asked("record")) == 2
