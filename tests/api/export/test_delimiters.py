"""Delimiters of CSV: the rows are the same, whichever REDCap writes."""

import pytest

from redcap_dagster.api import (
    MalformedResponseError,
    REDCapClient,
)
from redcap_dagster.api.export.reader.selection import DELIMITERS
from redcap_dagster.sandbox import Sandbox
from tests.api.labeled_project import LABELED, TEXTS
from tests.fake_server import HEADER, RECORDS, Reply, Server

STUDY = LABELED


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

    assert list(client.export_records(csv_delimiter=delimiter)) == HEADER.split(",")
    report = client.reports.export(1, csv_delimiter=delimiter, type="eav")
    assert list(report) == HEADER.split(",")

    assert server.asked("record")[0]["csvDelimiter"] == delimiter
    assert server.asked("report")[0]["csvDelimiter"] == delimiter
    assert server.asked("report")[0]["type"] == "eav"


def test_an_answer_with_another_delimiter_is_refused(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(RECORDS))

    with pytest.raises(MalformedResponseError, match="separated by ','"):
        client.export_records(csv_delimiter=";")
