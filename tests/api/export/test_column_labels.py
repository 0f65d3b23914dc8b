"""Labels over the columns instead of names."""

import pytest

from redcap_dagster.api import (
    MalformedResponseError,
    REDCapClient,
)
from redcap_dagster.api.export.reader.header_labels import make_labels_unique
from redcap_dagster.sandbox import Sandbox
from tests.api.labeled_project import LABELED
from tests.dictionary import field
from tests.fake_server import CANARY, RECORDS, Reply, Server

STUDY = LABELED


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


@pytest.mark.parametrize("redcap_dialect", ["newer"])
def test_labels_of_those_who_see_hashes_of_record_ids(sandbox: Sandbox) -> None:
    metadata = [field("record_id", label="ID", identifier="y"), field("age", label="Age")]
    rights = {"forms_export": {"visit": 3}}
    records = [{"record_id": "1", "age": "3"}, {"record_id": "2", "age": "4"}]
    token = sandbox.add_project(exports={"metadata": metadata}, records=records, rights=rights)
    client = REDCapClient(sandbox.url, token, retries=0)

    labeled = client.export_records(raw_or_label_headers="label", records=["2"])

    assert labeled.columns.tolist() == ["ID", "Age", "Complete?"]


def test_labels_of_columns_that_were_not_requested_are_left_out(
    server: Server, client: REDCapClient
) -> None:
    header = "record_id,new,name,scan,visit_complete"
    rows = Reply(f"{header}\n{CANARY},x,a,,\n".encode())
    server.say("record", rows, Reply(b"ID,New,Name,File,Complete?\n"), rows)

    frame = client.export_records(raw_or_label_headers="label")

    assert frame.to_dict("records")[0] | {"File": "", "Complete?": ""} == {
        "ID": CANARY, "Name": "a", "File": "", "Complete?": "",
    }  # fmt: skip
    assert list(frame) == ["ID", "Name", "File", "Complete?"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ("Study ID,Name,Another", None),
        ("ID,Name,File,Complete?,More", "record_id,name,scan,visit_complete"),
        ("ID,Name,File,Complete?,More", "record_id,name,scan,more,another"),
        ("ID,Name,File,Complete?,More", "record_id,name,scan,scan,visit_complete"),
    ],
)
def test_labels_of_other_columns_are_refused(
    labels: str, names: str | None, server: Server, client: REDCapClient
) -> None:
    replies = [Reply(f"{header}\n".encode()) for header in (labels, names) if header]
    server.say("record", Reply(RECORDS), *replies)

    with pytest.raises(MalformedResponseError, match="column labels for 4 columns"):
        client.export_records(raw_or_label_headers="label")

    first, second = server.asked("record")[:2]
    assert "rawOrLabelHeaders" not in first
    assert second == first | {"rawOrLabelHeaders": "label", "records[0]": CANARY}


def test_rows_with_labels_are_held_to_their_keys(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(b"record_id,name\n1,a\n1,b\n"))

    with pytest.raises(MalformedResponseError, match="1 are duplicate rows of a record"):
        client.export_records(raw_or_label_headers="label")


def test_labels_are_told_apart_whatever_they_are() -> None:
    labels = ["A (b)", "A", "A", "A (b)", "A (b) (b)"]

    told = make_labels_unique(labels, ["a", "b", "c", "d", "e"])

    assert len(set(told)) == len(labels)
    assert make_labels_unique(["A", "B"], ["a", "b"]) == ["A", "B"]
