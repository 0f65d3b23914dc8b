"""Import errors of REDCap, value by value."""

from collections.abc import Callable

import pytest

from redcap_dagster.api import (
    ImportRefusedError,
    REDCapClient,
    RefusedError,
)
from tests.fake_server import CANARY, Server, json_reply

Silent = Callable[[BaseException], None]


def prepare(server: Server) -> None:
    """Let the server say what an import asks before it begins."""
    names = [
        {"original_field_name": name, "export_field_name": name} for name in ("weight", "treatment")
    ]
    server.say("exportFieldNames", json_reply(names))
    server.say("project", json_reply({"is_longitudinal": 0}))


# -- import errors --------------------------------------------------------------------------------


BAD_WEIGHT = (
    f'"{CANARY}","weight","{CANARY}","The value you provided could not be validated because it '
    'does not follow the expected format. Please try again."'
)
NOT_HERE = (
    f'"2","treatment","{CANARY} ""quoted"",\nin lines","This field (\'treatment\') exists on an '
    "instrument that is not designated for the event named 'event_1 (Arm 1: Arm 1)'. You are not "
    'allowed to import data for this field into this event."'
)


def test_import_errors_come_value_by_value(
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
        ("The following fields were not found in the project as real data fields: a, b2", "unknown fields", ()),  # noqa: E501
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


def test_import_errors_of_any_text_are_read_or_unknown(
    server: Server, client: REDCapClient, assert_silent: Silent
) -> None:
    server.say("user", json_reply({"error": '"1","weight","a "quote"","Bad."'}, 400))

    with pytest.raises(RefusedError) as caught:
        client.users.import_([{"username": "a", "data_access_group": ""}])

    assert_silent(caught.value)
