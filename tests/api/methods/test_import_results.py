"""What an import returns, by what it was asked to return."""

from typing import Any

import pytest

from redcap_dagster.api import (
    OutcomeUnknownError,
    REDCapClient,
)
from tests.api.labeled_project import LABELED, ROWS
from tests.fake_server import CANARY, Reply, Server, json_reply

STUDY = LABELED


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
