"""Changes: sent once, and an error that says whether they were done."""

import socket
from collections.abc import Callable
from itertools import product

import pytest

from redcap_dagster.api import (
    MalformedResponseError,
    OutcomeUnknownError,
    REDCapClient,
    REDCapError,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
)
from redcap_dagster.api.errors import NetworkError
from tests.dictionary import field
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
    "users": (
        "user",
        lambda client: client.users.import_([{"username": CANARY, "data_access_group": ""}]),
    ),
    "roles": ("userRole", lambda client: client.roles.delete([CANARY])),
    "groups": ("dag", lambda client: client.groups.switch(CANARY)),
    "metadata": (
        "metadata",
        lambda client: client.design.import_metadata([field("a", "b")]),
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

    with pytest.raises(OutcomeUnknownError, match="Check the project") as caught:
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
        REDCapClient(url, TOKEN, connect_timeout=60).records.delete(["1"])

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


def test_a_number_that_is_none_is_not_taken_for_success(
    server: Server, client: REDCapClient
) -> None:
    server.say("user", json_reply([]))

    with pytest.raises(OutcomeUnknownError, match=MalformedResponseError.__name__):
        client.users.delete(["a"])
