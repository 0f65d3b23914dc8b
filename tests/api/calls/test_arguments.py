"""Arguments that make no sense are refused before anything is sent."""

from collections.abc import Callable

import pytest

from redcap_dagster.api import (
    REDCapClient,
    REDCapFile,
)
from tests.fake_server import CANARY, Server, json_reply

Silent = Callable[[BaseException], None]


def prepare(server: Server) -> None:
    """Let the server say what an import asks before it begins."""
    server.say("exportFieldNames", json_reply([]))
    server.say("project", json_reply({"is_longitudinal": 0}))


# -- what is refused unsent -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda c: c.records.delete([]), ValueError, "records: the list is empty"),
        (lambda c: c.records.delete(CANARY), TypeError, "records: must be a list"),
        (lambda c: c.records.delete(["1"], arm=0), ValueError, "arm: must be a whole number"),
        (lambda c: c.records.delete(["1"], delete_logging="yes"), TypeError, "delete_logging"),
        (lambda c: c.records.rename("1", " "), ValueError, "new_record_name: is blank"),
        (lambda c: c.records.rename(1.5, "2"), TypeError, "record: must be a text"),
        (lambda c: c.records.import_([]), ValueError, "no row"),
        (lambda c: c.records.import_({"record_id": CANARY}), TypeError, "must be a DataFrame"),
        (lambda c: c.records.import_([CANARY]), TypeError, "not every item"),
        (lambda c: c.records.import_([{"name": {CANARY}}]), TypeError, "of name is of type set"),
        (lambda c: c.records.import_(f'id\n"{CANARY}\n'), ValueError, "is not CSV"),
        (lambda c: c.records.import_(f"id\n{CANARY},1\n"), ValueError, "1 rows have more"),
        (lambda c: c.records.import_("id,id\n1,2\n"), ValueError, "a column name is used twice"),
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
        (lambda c: c.records.export_eav(raw_or_label_headers="label"), TypeError, "no option"),
        (lambda c: c.reports.export(1, csv_delimiter=":"), ValueError, "csv_delimiter"),
        (lambda c: c.reports.export(1, type="odm"), ValueError, "type"),
        (lambda c: c.users.import_([{"user": CANARY}]), ValueError, "1 of 1 rows have no username"),
        (lambda c: c.users.import_([{"username": {CANARY}}]), TypeError, "cannot be written"),
        (lambda c: c.users.delete([]), ValueError, "users: the list is empty"),
        (lambda c: c.design.import_arms("arm_num\n1"), ValueError, "have no name"),
        (lambda c: c.projects.create({"purpose": 0}), ValueError, "project_title: is blank"),
        (lambda c: c.projects.import_settings({}), ValueError, "settings: is empty"),
        (lambda c: c.projects.export_xml(forms=["a"]), TypeError, "no parameter forms"),
        (lambda c: c.log.export(logtype="all"), ValueError, "logtype"),
        (lambda c: c.log.export(begin_time="2024"), TypeError, "begin_time: must be a datetime"),
        (lambda c: c.reports.export(0), ValueError, "report_id"),
        (lambda c: c.reports.export(1, raw_or_label="both"), ValueError, "raw_or_label"),
        (lambda c: c.surveys.export_link("", "a"), ValueError, "record: is blank"),
        (lambda c: c.repository.create_folder("x" * 151), ValueError, "150 characters"),
        (lambda c: c.files.export("1", "a", repeat_instance=0), ValueError, "repeat_instance"),
        (
            lambda c: c.files.save("/no/such", "1", "a"),
            NotADirectoryError,
            "folder: does not exist",
        ),
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
