"""HTTP: refusals, headers, compression, size limits, and what is logged of requests."""

import logging
import tempfile

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.calls.call import Call, Response, Upload, respond_with_text
from redcap_dagster.sandbox.http import form as sandbox_form
from redcap_dagster.sandbox.http import handlers as sandbox_handlers
from tests.sandbox.conftest import CLASSIC, CLASSIC_CSV, CLASSIC_RECORDS, Ask, asker

NOT_VALID = 'The following values in the parameter "{}" are not valid: {}'


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"content": "elephant"}, 'The value of the parameter "content" is not valid'),
        ({"content": ""}, 'The value of the parameter "content" is not valid'),
        ({"content": "arm"}, "You cannot export arms for classic projects"),
        ({"content": "event"}, "You cannot export events for classic projects"),
        (
            {"content": "formEventMapping"},
            "You cannot export form/event mappings for classic projects",
        ),
        ({"content": "record", "fields": "x,id"}, NOT_VALID.format("fields", "'x'")),
        ({"content": "record", "fields[1]": "race___1"}, NOT_VALID.format("fields", "'race___1'")),
        ({"content": "metadata", "fields": "y,x"}, NOT_VALID.format("fields", "'y', 'x'")),
        ({"content": "record", "forms": "x"}, NOT_VALID.format("forms", "'x'")),
        ({"content": "record", "csvDelimiter": "#"}, 'The value of the parameter "csvDelimiter"'),
        (
            {"content": "record", "filterLogic": "[id"},
            'The logic in the parameter "filterLogic" is',
        ),
        ({"content": "record", "rawOrLabel": "x"}, 'The value of the parameter "rawOrLabel" is'),
        ({"content": "record", "type": "x"}, 'The value of the parameter "type" is not valid'),
        ({"content": "record", "dateRangeBegin": "NULL"}, 'The value of the parameter "dateRange'),
        ({"content": "record", "decimalCharacter": ";"}, 'The value of the parameter "decimal'),
        ({"content": "record", "combineCheckboxOptions": "true"}, "This sandbox does not know"),
        ({"content": "version", "action": "x"}, 'The value of the parameter "action" is not valid'),
    ],
)
def test_refusals_of_a_known_token(
    classic: str, ask: Ask, parameters: dict[str, str], message: str
) -> None:
    for shape in ("json", "csv"):
        answer = ask(classic, **parameters, format=shape)
        assert answer.status_code == 400
        text = answer.json()["error"] if shape == "json" else answer.text.removeprefix("ERROR: ")
        assert text.startswith(message)


def test_events_have_to_exist_where_there_are_any(
    classic: str, longitudinal: str, ask: Ask
) -> None:
    wrong = ask(longitudinal, content="record", events="first_arm_1,x")
    assert (wrong.status_code, wrong.text) == (400, "ERROR: " + NOT_VALID.format("events", "'x'"))
    assert ask(classic, content="record", events="x").text == CLASSIC_CSV


def test_projects_without_repeating_instruments(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports={"metadata": CLASSIC["metadata"]})
    answer = ask(token, content="repeatingFormsEvents")
    assert answer.status_code == 400
    assert answer.text == (
        "ERROR: You cannot export repeating instruments and events because the project does not "
        "contain any repeating instruments and events"
    )
    assert "redcap_repeat" not in ask(token, content="record").text


@pytest.mark.parametrize(
    ("formats", "content_type", "body"),
    [
        ({"format": "json"}, "application/json", '{"error":"%s"}'),
        ({"format": "csv"}, "text/csv", "ERROR: %s"),
        ({"format": "csv", "returnFormat": "json"}, "application/json", '{"error":"%s"}'),
        (
            {},
            "text/xml",
            '<?xml version="1.0" encoding="UTF-8" ?><hash><error>%s</error></hash>',
        ),
    ],
)
@pytest.mark.parametrize("token", ["", "0" * 32, "0" * 64])
def test_wrong_tokens(
    sandbox: Sandbox, token: str, formats: dict[str, str], content_type: str, body: str
) -> None:
    answer = requests.post(sandbox.url, {"token": token, "content": "x"} | formats, timeout=120)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == f"{content_type}; charset=utf-8"
    assert answer.text == body % "You do not have permissions to use the API"


def test_only_posts_to_the_complete_url_are_handled(sandbox: Sandbox, classic: str) -> None:
    asked = {"token": classic, "content": "version"}
    wrong = [
        requests.get(sandbox.url, asked, timeout=120),
        requests.post(sandbox.url.rstrip("/"), asked, timeout=120, allow_redirects=False),
        requests.post(sandbox.url, timeout=120),
    ]
    for answer in wrong:
        assert answer.status_code == 501
        assert answer.text == (
            '<?xml version="1.0" encoding="UTF-8" ?><hash><error>The requested method is not '
            "implemented.</error></hash>"
        )
    elsewhere = requests.post(sandbox.url + "x/", asked, timeout=120)
    assert (elsewhere.status_code, elsewhere.headers["content-type"][:9]) == (404, "text/html")


def test_headers_and_compression(classic: str, sandbox: Sandbox) -> None:
    asked = {"token": classic, "content": "record", "format": "csv"}
    packed = requests.post(sandbox.url, asked, timeout=120)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["redcap-random-text"]
    assert packed.headers["cache-control"] == "no-store, no-cache, must-revalidate"
    assert "server" not in packed.headers
    plain = requests.post(sandbox.url, asked, timeout=120, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content


def test_multipart_forms_with_files_that_stay_in_memory(
    classic: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Upload] = []

    def take(call: Call) -> Response:
        taken.extend(call.files.values())
        return respond_with_text("", "csv")

    monkeypatch.setattr(
        tempfile, "TemporaryFile", None
    )  # called if the file were written to the disk
    answers = {**sandbox_handlers.HANDLERS, ("version", "export"): take}
    monkeypatch.setattr(sandbox_handlers, "HANDLERS", answers)
    asked = {"token": classic, "content": "version", "format": "csv"}
    content = b"x" * 3_000_000
    sent = {"file": ("a.txt", content, "text/plain")}
    assert requests.post(sandbox.url, asked, files=sent, timeout=120).status_code == 200
    assert taken == [Upload("a.txt", "text/plain", content)]


def test_bodies_are_bounded(classic: str, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_form, "MAX_BODY", 1000)
    assert ask(classic, content="version", records="9" * 500).status_code == 200
    assert ask(classic, content="version", records="9" * 1000).status_code == 413


def test_requests_are_recorded_without_values() -> None:
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        ask = asker(sandbox)
        ask(token, content="record", **{"records[0]": "9", "records[1]": "10"})
        ask(token, content=token, format="json")
        ask(token, content="record", data="[]")
        first, second, third = sandbox.requests
        assert (first.content, first.action, first.status) == ("record", "export", 200)
        assert first.parameters == ("content", "format", "records", "token")
        assert (second.content, second.status) == ("", 400)
        assert (third.action, third.status) == ("import", 200)
        assert token not in repr(sandbox.requests)


def test_logs_and_defects_show_no_value(
    classic: str,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("canary")

    caplog.set_level(logging.DEBUG)
    ask(classic, content="record", records="canary")
    answers = {**sandbox_handlers.HANDLERS, ("record", "export"): fail}
    monkeypatch.setattr(sandbox_handlers, "HANDLERS", answers)
    answer = ask(classic, content="record", records="canary")
    assert answer.status_code == 500
    assert "LookupError at test_http.py" in answer.text
    assert "canary" not in answer.text + caplog.text
    assert classic not in caplog.text
    assert "content=record status=200" in caplog.text
    assert "content=record status=500" in caplog.text
