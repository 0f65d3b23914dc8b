"""Exports are whole, each row has a key of its own, and the header tells what it can."""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from redcap_dagster.api import IncompleteExportError, MalformedAnswerError, REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.servers import CANARY, Reply, Server

Silent = Callable[[BaseException], None]

# -- keys -----------------------------------------------------------------------------------------

PLACES = "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,name"


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        ("record_id,name", [f",{CANARY}", "2,b"], "1 rows have no record id, and 0 "),
        ("record_id,name", [f"{CANARY},a", f"{CANARY},b", f"{CANARY},c"], "and 2 are of a record"),
        (PLACES, [f"{CANARY},e,,,a", f"{CANARY},e,,,b"], "0 rows have no record id, and 1 "),
        (PLACES, [f"{CANARY},e,f,2,a", f"{CANARY},e,f,1,a", f"{CANARY},e,f,2,a"], "and 1 are"),
    ],
)
def test_rows_without_a_key_of_their_own_are_refused(
    header: str,
    rows: list[str],
    says: str,
    server: Server,
    client: REDCapClient,
    assert_silent: Silent,
) -> None:
    server.say("record", Reply("".join(f"{line}\n" for line in (header, *rows)).encode()))

    for export in (client.export_records, client.export_census):
        with pytest.raises(MalformedAnswerError, match=says) as caught:
            export()
        assert_silent(caught.value)


def test_rows_that_differ_in_any_key_are_taken(server: Server, client: REDCapClient) -> None:
    rows = ["1,e,,,a", "1,d,,,a", "1,e,,1,a", "1,e,f,1,a", "1,e,f,2,a", "1,e,g,1,a", "2,e,,,a"]
    server.say("record", Reply("".join(f"{line}\n" for line in (PLACES, *rows)).encode()))

    assert len(client.export_records()) == len(rows)


def test_labels_do_not_tell_forms_apart(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(f"{PLACES}\n1,e,Visit,1,a\n1,e,Visit,1,b\n".encode()))

    assert len(client.export_records(raw_or_label="label")) == 2


# -- completeness ---------------------------------------------------------------------------------

ARMS = "record_id,redcap_event_name\n7,visit_arm_1\n7,visit_arm_2\n7,late_arm_2\n8,visit_arm_1\n"


def rows_of(*places: tuple[str, str]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"record_id": record, "redcap_event_name": event} for record, event in places]
    )


def test_one_of_two_subjects_with_the_same_id_is_missed(
    server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    server.say("record", Reply(ARMS.encode()))
    census = client.export_census()
    export = rows_of(("7", "visit_arm_1"), ("8", "visit_arm_1"))

    with pytest.raises(IncompleteExportError) as caught:
        client.check_complete(export, census)
    assert caught.value.missing == 2
    assert_silent(caught.value)
    with pytest.raises(IncompleteExportError) as caught:
        client.check_complete(export, census, ["visit_arm_1", "visit_arm_2"])
    assert caught.value.missing == 1


def test_events_of_other_forms_are_not_demanded(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(ARMS.encode()))
    census = client.export_census()

    client.check_complete(
        rows_of(("7", "visit_arm_1"), ("8", "visit_arm_1")), census, ["visit_arm_1"]
    )
    client.check_complete(rows_of(("7", "late_arm_2")), census, ["late_arm_2"])
    with pytest.raises(IncompleteExportError):
        client.check_complete(rows_of(("8", "visit_arm_1")), census, ["visit_arm_1"])


# -- servers that send no header without rows -----------------------------------------------------


@pytest.fixture(scope="module")
def newer() -> Iterator[Sandbox]:
    with Sandbox(version="17.4.1") as sandbox:
        yield sandbox


FIELDS = [
    {"field_name": "record_id", "form_name": "visit"},
    {"field_name": "dose", "form_name": "drug"},
]


def test_surveys_are_read_off_one_record(newer: Sandbox) -> None:
    row = {"record_id": "1", "drug_timestamp": "2024-01-02 03:04:05", "drug_complete": "2"}
    token = newer.add_project(exports={"metadata": FIELDS}, records=[row])

    project = REDCapClient(newer.url, token).export_project()

    assert project.surveys == ("drug",)
    assert not project.has_access_groups


def test_nothing_is_read_off_no_record(newer: Sandbox) -> None:
    token = newer.add_project(exports={"metadata": FIELDS})

    project = REDCapClient(newer.url, token).export_project()

    assert project.surveys == ()
    assert not project.has_access_groups
