"""What is shown of a server's sentences: the cause, and no cell, record id or token."""

import pickle
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redcap_dagster.api import ImportRefusedError, REDCapClient, REDCapError, RightsError
from redcap_dagster.api.http.server_sentences import _WORDS, quote_sentence
from redcap_dagster.execution.op_failures import op_failure
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import Status
from tests.dictionary import field
from tests.fake_server import CANARY, TOKEN, Server, json_reply

STUDY = {
    "exports": {"metadata": [field("record_id"), field("dose", "drug")], "project": {}},
    "records": [{"record_id": "1"}],
}
EXPIRED = f"The rights of the user {CANARY} to this project expired on 2024-03-05."
COMPLETED = "This project was marked as completed, so that no data can be exported."
ANALYSIS = "The project's status is 'Analysis/Cleanup', so it must be changed."
INSTANCE = "A repeat instance is required for this repeating instrument."
GERMAN = "Ihre Rechte in diesem Projekt sind abgelaufen, wenden Sie sich an die Verwaltung."
JAPANESE = "このプロジェクトの、利用権限の、有効期限が、切れています。"


@pytest.mark.parametrize(
    ("message", "content", "shown"),
    [
        (EXPIRED, "record", "The rights of the user … to this project expired on …"),
        (EXPIRED, "project", "The rights of the user … to this project expired on …"),
        (COMPLETED, "record", COMPLETED),
        ("The project of Hippolyta has expired", "project", "The project of … has expired"),
        (ANALYSIS, "record", ANALYSIS),
        (GERMAN, "project", GERMAN),
        (JAPANESE, "metadata", JAPANESE),
    ],
)
def test_the_cause_is_in_the_failure_of_a_run(
    message: str,
    content: str,
    shown: str,
    sandbox: Sandbox,
    redcap: REDCapClient,
    assert_silent: Callable[[BaseException], None],
) -> None:
    redcap.export_metadata()
    refusal = json_reply({"error": message}, 403)
    sandbox.inject(Status(403, refusal.body.decode(), "application/json"), content=content)
    ask = redcap.export_census if content == "record" else redcap.export_structure

    with pytest.raises(RightsError) as caught:
        ask()

    assert f'The server says: "{shown}"' in (op_failure("study", caught.value).description or "")
    assert_silent(caught.value)


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (GERMAN, "record"),
        (f"Der Datensatz {CANARY} ist gesperrt", "project"),
        (f"Der Datensatz «{CANARY[:9]}» ist gesperrt", "metadata"),
        (f"Das Token {TOKEN.lower()} ist falsch", "project"),
        (f"Das Token {'ab' * 16} ist falsch", "project"),
        ("Xanthippe", "project"),
        ("Bitte warten Sie " * 100, "project"),
        ("ab cd " * 35, "project"),
        ("The record " * 60, "record"),
        ("token rights", "record"),
        ("The record ä ö ü of ß å ø the æ œ user", "record"),
    ],
)
def test_what_may_be_data_is_not_shown(message: str, content: str) -> None:
    assert quote_sentence(message, {"content": content}) == ""


def test_a_structure_import_shows_known_words_alone() -> None:
    for sent in ({"content": "metadata", "data": "[]"}, {"content": "arm", "action": "delete"}):
        assert quote_sentence(GERMAN, sent) == ""


@given(st.text() | st.lists(st.sampled_from(sorted(_WORDS)) | st.text(), max_size=12).map(" ".join))
@example(f"The value {CANARY} of the record is not valid")
@example(f"token token token token={TOKEN}")
def test_only_words_of_the_list_are_shown_where_records_are_concerned(message: str) -> None:
    shown = quote_sentence(message, {"content": "record"}).removeprefix(" The server says: ")

    assert {
        word.removesuffix("'s") for word in re.findall(r"\w+(?:'\w+)*", shown.lower())
    } <= _WORDS


def test_a_missing_instance_is_in_the_text(
    sandbox: Sandbox, redcap: REDCapClient, assert_silent: Callable[[BaseException], None]
) -> None:
    row = f'"{CANARY}","redcap_repeat_instance","{CANARY}","{INSTANCE}"'
    other = f'"{CANARY}","{CANARY.lower()}","{CANARY}","Dosis fehlt bei {CANARY}"'
    refusal = json_reply({"error": f"{row}\n{other}"}, 400)
    sandbox.inject(Status(400, refusal.body.decode(), "application/json"), content="record")

    with pytest.raises(ImportRefusedError, match=INSTANCE) as caught:
        redcap.records.import_([{"record_id": "1", "dose": "2"}])

    assert "redcap_repeat_instance (1), others (1)" in str(caught.value)
    assert caught.value.names == ("redcap_repeat_instance",)
    assert_silent(caught.value)


def test_refused_columns_are_named_if_the_project_has_them(
    sandbox: Sandbox, redcap: REDCapClient
) -> None:
    rows = "\n".join(f'"1","{name}","x","{INSTANCE}"' for name in ("dose", "hippolyta"))
    refusal = json_reply({"error": rows}, 400)
    sandbox.inject(Status(400, refusal.body.decode(), "application/json"), content="record")

    with pytest.raises(ImportRefusedError) as caught:
        redcap.records.import_([{"record_id": "1", "dose": "2"}])

    assert caught.value.names == ("dose",)
    assert "dose (1), others (1)" in str(caught.value)
    assert "hippolyta" not in f"{caught.value} {pickle.dumps(caught.value)!r}"


@pytest.mark.parametrize("parameter", ["fields", "forms", "events"])
def test_names_that_were_not_requested_are_only_counted(
    parameter: str,
    server: Server,
    client: REDCapClient,
    assert_silent: Callable[[BaseException], None],
) -> None:
    message = f"The following values in the parameter {parameter} are not valid: "
    names = "'name', 'visit', 'e_arm_1'", f"'{CANARY.lower()}', '{TOKEN.lower()}', 'hippolyta'"
    server.say("record", json_reply({"error": message + ", ".join(names)}, 400))

    with pytest.raises(REDCapError, match="and 5 more") as caught:
        client.export_records(fields=["name"], forms=["visit"], events=["e_arm_1"])

    assert caught.value.kind == f"unknown {parameter}"  # type: ignore[attr-defined]
    assert len(caught.value.names) == 1  # type: ignore[attr-defined]
    for secret in (TOKEN.lower(), CANARY.lower(), "hippolyta"):
        assert secret not in str(caught.value)
    assert_silent(caught.value)
