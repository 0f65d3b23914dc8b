"""Changes: sent once, and an error that says whether they were done."""

import socket
from collections.abc import Callable
from itertools import product

import pytest

from redcap_dagster.api import (
    ImportRefusedError,
    MalformedResponseError,
    OutcomeUnknownError,
    REDCapClient,
    REDCapError,
    REDCapFile,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
)
from redcap_dagster.api.errors import NetworkError
from tests.fake_server import CANARY, TOKEN, Reply, Server, json_reply

Silent = Callable[[BaseException], None]

CHANGES: dict[str, tuple[str, Callable[[REDCapClient], object]]] = {
    "delete": ("record", lambda client: client.records.delete([CANARY])),
    "rename": ("record", lambda client: client.records.rename(CANARY, "2")),
    "randomize": ("record", lambda client: client.records.randomize(CANARY, 1)),
    "numbered": (
        "record",
        lambda client: client.records.import_([{"record_id": CANARY}], force_auto_number=True),
    ),
    "new instance": (
        "record",
        lambda client: client.records.import_(
            [{"record_id": CANARY, "redcap_repeat_instance": "new"}]
        ),
    ),
    "users": ("user", lambda client: client.users.import_([{"username": CANARY}])),
    "roles": ("userRole", lambda client: client.roles.delete([CANARY])),
    "groups": ("dag", lambda client: client.groups.switch(CANARY)),
    "metadata": (
        "metadata",
        lambda client: client.design.import_metadata(
            [{"field_name": "a", "form_name": "b", "field_type": "text"}]
        ),
    ),
    "settings": (
        "project_settings",
        lambda client: client.projects.import_settings({"project_title": CANARY}),
    ),
    "create": (
        "project",
        lambda client: client.projects.create({"project_title": CANARY, "purpose": 0}),
    ),
    "folder": ("fileRepository", lambda client: client.repository.create_folder(CANARY)),
    "file": ("file", lambda client: client.files.delete(CANARY, "scan")),
}
LOST = {
    "reset": Reply(end="reset"),
    "broken off": Reply(b'{"count": 1', end="short"),
    "502": Reply(b"<html>Bad Gateway</html>", 502),
    "page": Reply(b"<html>Sign on</html>"),
    "memory": Reply(b"Fatal error: Allowed memory size of 1 bytes exhausted", 500),
    "not JSON": Reply(f"3 {CANARY}".encode()),
}


def prepare(server: Server) -> None:
    """Let the server say what an import asks before it begins."""
    server.say("exportFieldNames", json_reply([]))
    server.say("project", json_reply({"is_longitudinal": 0}))


@pytest.mark.parametrize(
    ("change", "lost"),
    # A file's answer is blank, and any text but an error or a page says the same.
    [pair for pair in product(CHANGES, LOST) if pair != ("file", "not JSON")],
)
def test_a_change_whose_answer_is_lost_is_not_sent_again(
    change: str, lost: str, server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    prepare(server)
    content, call = CHANGES[change]
    server.say(content, LOST[lost])

    with pytest.raises(OutcomeUnknownError, match="Look in the project") as caught:
        call(client)

    assert len(server.asked(content)) == 1
    assert_silent(caught.value)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_reply({"error": "You do not have Delete Record privileges"}, 403), RightsError),
        (json_reply({"error": f"no {CANARY}"}, 400), RefusedError),
        (json_reply({"error": f"no {CANARY}"}), RefusedError),
        (Reply(status=429), ServerError),
    ],
)
def test_a_change_that_was_refused_was_not_done(
    reply: Reply,
    kind: type[REDCapError],
    server: Server,
    client: REDCapClient,
    assert_silent: Silent,
) -> None:
    server.say("record", reply)

    with pytest.raises(kind) as caught:
        client.records.delete([CANARY])

    assert len(server.asked("record")) == 1
    assert_silent(caught.value)


def test_a_change_that_never_left_was_not_done(waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api/"

    with pytest.raises(NetworkError) as caught:
        REDCapClient(url, TOKEN, connect_timeout=2).records.delete(["1"])

    assert caught.value.sent is False
    assert waits == []


def test_an_import_that_does_the_same_twice_is_sent_again(
    server: Server, client: REDCapClient, waits: list[float]
) -> None:
    prepare(server)
    server.say("record", Reply(status=502), Reply(end="reset"), json_reply([CANARY]))

    done = client.records.import_([{"record_id": CANARY}])

    assert done.records == (CANARY,)
    assert len(waits) == 2
    assert CANARY not in repr(done)


def test_an_import_that_keeps_failing_fails(
    server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    prepare(server)
    reply = Reply(b"REDCap ran out of server memory.", 500)
    server.say("record", json_reply(["1"]), reply)

    with pytest.raises(ServerMemoryError) as caught:
        client.records.import_([{"record_id": "1"}, {"record_id": CANARY}], batch_size=1)

    assert caught.value.__notes__ == ["1 rows of requests before this one were imported."]
    assert_silent(caught.value)


# -- complaints -----------------------------------------------------------------------------------


BAD_WEIGHT = (
    f'"{CANARY}","weight","{CANARY}","The value you provided could not be validated because it '
    'does not follow the expected format. Please try again."'
)
NOT_HERE = (
    f'"2","treatment","{CANARY} ""quoted"",\nin lines","This field (\'treatment\') exists on an '
    "instrument that is not designated for the event named 'event_1 (Arm 1: Arm 1)'. You are not "
    'allowed to import data for this field into this event."'
)


def test_complaints_come_cell_by_cell(
    server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    prepare(server)
    server.say("record", json_reply({"error": f"{BAD_WEIGHT}\n{NOT_HERE}\n{BAD_WEIGHT}"}, 400))

    with pytest.raises(ImportRefusedError) as caught:
        client.records.import_([{"record_id": "1"}])

    error = caught.value
    first, second, _ = error.refused_values
    assert (first.record, first.field_name, first.value) == (CANARY, "weight", CANARY)
    assert [complaint.kind for complaint in error.refused_values] == [
        "invalid format",
        "not designated",
        "invalid format",
    ]
    assert second.value.endswith('"quoted",\nin lines')
    assert error.kind == "several"
    assert error.records == (CANARY, "2")
    assert str(error) == (
        "record import: REDCap refused 3 values and imported nothing of this request: weight (2), "
        "treatment (1). The error's attribute refused_values has each record, field and kind."
    )
    assert CANARY not in repr(error.refused_values)
    assert_silent(error)


@pytest.mark.parametrize(
    ("message", "kind", "names"),
    [
        (f'"{CANARY}","{CANARY}","","The value {CANARY}"', "unknown", ()),
        ("The following fields were not found in the project as real data fields: a, b2", "unknown fields", ("a", "b2")),  # noqa: E501
        (f"The following records do not exist: {CANARY}", "unknown", ()),
        (f"One or more of the records provided cannot be deleted because they do not exist in the project. The following records do not exist: {CANARY}", "unknown record", ()),  # noqa: E501
        ("The data is not in the specified format.", "unreadable data", ()),
        (f'"1","weight","{CANARY}', "unknown", ()),
    ],
)  # fmt: skip
def test_what_an_import_is_refused_for(
    message: str,
    kind: str,
    names: tuple[str, ...],
    server: Server,
    client: REDCapClient,
    assert_silent: Silent,
) -> None:
    prepare(server)
    server.say("record", json_reply({"error": message}, 400))

    with pytest.raises(RefusedError) as caught:
        client.records.import_([{"record_id": "1"}])

    assert (caught.value.kind, caught.value.names) == (kind, names)
    assert_silent(caught.value)


def test_complaints_of_any_text_are_read_or_unknown(
    server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    server.say("user", json_reply({"error": '"1","weight","a "quote"","Bad."'}, 400))

    with pytest.raises(RefusedError) as caught:
        client.users.import_([{"username": "a"}])

    assert_silent(caught.value)


# -- what is refused unsent -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda c: c.records.delete([]), ValueError, "records: the list is empty"),
        (lambda c: c.records.delete(CANARY), TypeError, "records: give a list"),
        (lambda c: c.records.delete(["1"], arm=0), ValueError, "arm: give a whole number"),
        (lambda c: c.records.delete(["1"], delete_logging="yes"), TypeError, "delete_logging"),
        (lambda c: c.records.rename("1", " "), ValueError, "new_record_name: is blank"),
        (lambda c: c.records.rename(1.5, "2"), TypeError, "record: give a text"),
        (lambda c: c.records.import_([]), ValueError, "no row"),
        (lambda c: c.records.import_({"record_id": CANARY}), TypeError, "give a DataFrame"),
        (lambda c: c.records.import_([CANARY]), TypeError, "not every member"),
        (lambda c: c.records.import_([{"name": {CANARY}}]), TypeError, "of name is a set"),
        (lambda c: c.records.import_(f'id\n"{CANARY}\n'), ValueError, "no CSV"),
        (lambda c: c.records.import_(f"id\n{CANARY},1\n"), ValueError, "1 rows have more"),
        (lambda c: c.records.import_("id,id\n1,2\n"), ValueError, "a column comes twice"),
        (lambda c: c.records.import_("id\n1", batch_size=-1), ValueError, "batch_size"),
        (lambda c: c.records.import_("id\n1", type="odm"), ValueError, "'flat', 'eav'"),
        (lambda c: c.records.import_("id\n1", date_format="YDM"), ValueError, "date_format"),
        (lambda c: c.records.import_("id\n1", overwrite_behavior=""), ValueError, "overwrite"),
        (lambda c: c.records.import_("id\n1", dry_run="no"), TypeError, "dry_run"),
        (lambda c: c.records.import_("id\n1", csv_delimiter="tabs"), ValueError, "csv_delimiter"),
        (lambda c: c.records.import_("id\n1", return_content="all"), ValueError, "return_content"),
        (lambda c: c.records.import_("id\n1", return_content="auto_ids"), ValueError, "goes with"),
        (lambda c: c.export_records(raw_or_label_headers="both"), ValueError, "raw_or_label_hea"),
        (lambda c: c.records.export_eav(date_range_end="2024"), TypeError, "date_range_end"),
        (lambda c: c.records.export_eav(raw_or_label_headers="label"), TypeError, "no parameter"),
        (lambda c: c.reports.export(1, csv_delimiter=":"), ValueError, "csv_delimiter"),
        (lambda c: c.reports.export(1, type="odm"), ValueError, "type"),
        (lambda c: c.users.import_([{"user": CANARY}]), ValueError, "1 of 1 rows have no username"),
        (lambda c: c.users.import_([{"username": {CANARY}}]), TypeError, "none that JSON has"),
        (lambda c: c.users.delete([]), ValueError, "users: the list is empty"),
        (lambda c: c.design.import_arms("arm_num\n1"), ValueError, "have no name"),
        (lambda c: c.projects.create({"purpose": 0}), ValueError, "project_title: is blank"),
        (lambda c: c.projects.import_settings({}), ValueError, "there are none"),
        (lambda c: c.projects.export_xml(forms=["a"]), TypeError, "no parameter forms"),
        (lambda c: c.log.export(logtype="all"), ValueError, "logtype"),
        (lambda c: c.log.export(begin_time="2024"), TypeError, "begin_time: give a datetime"),
        (lambda c: c.reports.export(0), ValueError, "report_id"),
        (lambda c: c.reports.export(1, raw_or_label="both"), ValueError, "raw_or_label"),
        (lambda c: c.surveys.export_link("", "a"), ValueError, "record: is blank"),
        (lambda c: c.repository.create_folder("x" * 151), ValueError, "150 characters"),
        (lambda c: c.files.export("1", "a", repeat_instance=0), ValueError, "repeat_instance"),
        (lambda c: c.files.save("/no/such", "1", "a"), NotADirectoryError, "no such folder"),
        (lambda c: c.files.import_(REDCapFile("", "", b""), "1", "a"), ValueError, "name"),
        (lambda c: c.pdfs.export(record=1, all_records=True), ValueError, "not both"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    call: Callable[[REDCapClient], object],
    kind: type[Exception],
    says: str,
    server: Server,
    client: REDCapClient,
) -> None:
    with pytest.raises(kind, match=says) as caught:
        call(client)

    assert CANARY not in str(caught.value)
    assert server.requests == []


def test_a_number_that_is_none_is_not_taken_for_success(
    server: Server, client: REDCapClient
) -> None:
    server.say("user", json_reply([]))

    with pytest.raises(OutcomeUnknownError, match=MalformedResponseError.__name__):
        client.users.delete(["a"])
