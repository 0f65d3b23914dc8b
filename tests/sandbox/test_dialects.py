"""Servers that differ from the default one."""

import csv
from dataclasses import fields
from io import StringIO
from typing import Any, get_args

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.calls.project_status import ProjectStatus
from redcap_dagster.sandbox.dialects import DIALECTS, Dialect, read_dialect
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS, Ask, asker, imported


def _refusals(ask: Ask, token: str) -> list[requests.Response]:
    return [
        ask("0" * 32, content="record", format="json"),
        ask(token, content="arm"),
        ask(token, content="record", fields="visit_complete,xyzzy", format="xml"),
        imported(ask, token, [{"id": "10", "race___1": "7"}, {"id": "10", "race____99": "8"}]),
        requests.get(ask(token).url, timeout=10),
    ]


def _words(text: str) -> set[str]:
    return set(text.replace('"', " ").replace("<", " ").replace(">", " ").split())


def test_a_foreign_server_refuses_with_the_same_statuses_and_shapes() -> None:
    answers = []
    for dialect in ("default", "foreign"):
        with Sandbox(dialect=dialect) as sandbox:
            token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
            answers.append(_refusals(asker(sandbox), token))
    english, foreign = answers
    assert [one.status_code for one in english] == [one.status_code for one in foreign]
    assert set(foreign[0].json()) == {"error"}
    assert foreign[1].text.startswith("ERROR: ")
    assert foreign[2].text.endswith(": 'xyzzy'</error></hash>")
    rows = list(csv.reader(StringIO(foreign[3].json()["error"])))
    assert [row[:3] for row in rows] == [["10", "race___1", "7"], ["10", "race____99", "8"]]
    assert foreign[4].text.startswith('<?xml version="1.0" encoding="UTF-8" ?><hash><error>')
    shapes = {"ERROR:", "{", ":", "error", "}", "'xyzzy'", "fields", ",", "hash", "/hash"}
    for ours, theirs in zip(english, foreign, strict=True):
        common = _words(ours.text) & _words(theirs.text)
        assert {word for word in common if word.isalpha()} <= shapes | {"record", "xml"}


def test_quotes_after_a_backslash_as_php_writes_them() -> None:
    with Sandbox(dialect="php") as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC)
        imported(ask, token, [{"id": "1", "note": 'a\\"b"c'}, {"id": "2", "note": "a\\b"}])
        text = ask(token, content="record", fields="id,note").text
    assert '"a\\"b""c"' in text
    assert '"a\\b"' in text


def test_a_byte_that_is_not_utf_8_is_in_cells_and_in_the_log() -> None:
    with Sandbox(dialect="php") as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC)
        imported(ask, token, [{"id": "1", "note": "5\u00a0mg é"}])
        for content in ("record", "log"):
            assert b"5\xa0mg \xc3\xa9" in ask(token, content=content, format="json").content


def test_parameters_beyond_the_limit_are_lost() -> None:
    with Sandbox(dialect=Dialect(max_parameters=5)) as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        wanted = {"records": "10", "fields[0]": "id", "fields[1]": "note"}
        answer = ask(token, content="record", **wanted)
    assert answer.text == ("id,redcap_repeat_instrument,redcap_repeat_instance\n10,,\n")


def test_statuses_headers_and_lists_of_a_newer_server() -> None:
    with Sandbox(dialect="newer") as sandbox, Sandbox(dialect="older") as older:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC, rights={"data_access_groups": 0, "logging": 0})
        assert ask("0" * 32, content="record").status_code == 401
        assert ask(token, content="dag").status_code == 403
        assert ask(token, content="log").status_code == 403
        groups = {"exportDataAccessGroups": "true"}
        assert ask(token, content="record", **groups).status_code == 403
        assert ask(token, content="record", fields="id").status_code == 400
        assert ask(token, content="record", **{"fields[]": "id"}).status_code == 200
        assert "redcap-random-text" in ask(token, content="version").headers
        assert "redcap-random-text" not in asker(older)().headers


def test_the_delimiter_of_a_server() -> None:
    with Sandbox(dialect="foreign") as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        assert ask(token, content="instrument").text.startswith("instrument_name;")
        assert ask(token, content="record").text.startswith("id;")
        assert ask(token, content="record", csvDelimiter=",").text.startswith("id,")
        assert ask(token, content="metadata").text.startswith("field_name,")


def test_drawn_dialects_differ_in_everything_and_come_again() -> None:
    drawn = [Dialect.draw(seed) for seed in range(60)]
    for field in fields(Dialect):
        assert len({getattr(each, field.name) for each in drawn}) > 1
    assert read_dialect(drawn[5].name) == drawn[5]
    with Sandbox(dialect="any") as sandbox:
        assert read_dialect(sandbox.dialect.name) == sandbox.dialect
        assert sandbox.version == sandbox.dialect.version


def test_a_version_may_be_given_beside_a_dialect() -> None:
    sandbox = Sandbox("17.4.1", dialect="foreign")
    assert (sandbox.version, sandbox.dialect.sentences) == ("17.4.1", "foreign")
    assert {name: each.name for name, each in DIALECTS.items()} == {name: name for name in DIALECTS}


@pytest.mark.parametrize("name", ["klingon", "any-", "any-x", ""])
def test_an_unknown_dialect_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="default, older, newer, foreign, php, any"):
        Sandbox(dialect=name)


def test_repeat_columns_only_with_instances() -> None:
    with Sandbox(dialect="older") as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        for kind in ("flat", "eav"):
            header = ask(token, content="record", type=kind, records="10").text.splitlines()[0]
            assert "redcap_repeat" not in header
            header = ask(token, content="record", type=kind, records="9").text.splitlines()[0]
            assert header.count("redcap_repeat") == 2


@pytest.mark.parametrize("wording", ["edit", "updated", "changed"])
def test_users_roles_locks_and_signatures_in_the_log(wording: Any) -> None:
    with Sandbox(dialect=Dialect(log_actions=wording)) as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
        for rows in ([{"username": "ann"}], [{"username": "ann", "design": "1"}]):
            imported(ask, token, rows, content="user")
        imported(ask, token, [{"role_label": "Reader"}], content="userRole")
        ask(token, content="user", action="delete", users="ann")
        sandbox.lock_record(token, "9")
        sandbox.sign_record(token, "9")
        log = ask(token, content="log", format="json").json()
        kinds = {
            kind: ask(token, content="log", format="json", logtype=kind).json()
            for kind in ("user", "lock_record", "record")
        }
    actions = [entry["action"].rpartition(" ")[0] for entry in log]
    assert len(set(actions)) == 6
    assert [entry["record"] for entry in log[:2]] == ["9", "9"]
    assert {entry["record"] for entry in log[2:]} == (
        {""} if wording != "updated" else {"ann", log[3]["action"].split()[-1]}
    )
    assert [len(entries) for entries in kinds.values()] == [4, 2, 0]


def test_a_foreign_log_keeps_records_and_values() -> None:
    with Sandbox(dialect="foreign") as sandbox:
        ask = asker(sandbox)
        token = sandbox.add_project(exports=CLASSIC)
        imported(ask, token, [{"id": "abc", "note": "new"}])
        ask(token, content="metadata")
        design, added = ask(token, content="log", format="json").json()
    assert (added["record"], added["details"]) == ("abc", "id = 'abc', note = 'new'")
    assert added["action"].endswith(" abc")
    assert "reate" not in added["action"]
    assert "anage" not in design["action"]
    assert "ownload" not in design["details"]


def test_an_older_log_has_no_record() -> None:
    with Sandbox("13.4.8") as older:
        ask = asker(older)
        token = older.add_project(exports=CLASSIC)
        imported(ask, token, [{"id": "1"}])
        (entry,) = ask(token, content="log", format="json").json()
    assert list(entry) == ["timestamp", "username", "action", "details"]


def test_expired_rights_are_refused(sandbox: Sandbox, classic: str, ask: Ask) -> None:
    token = sandbox.add_user(classic, "ann", {"expiration": "2020-01-31"})
    assert ask(token, content="record").status_code == 403
    sandbox.set_rights(token, {"expiration": "2999-01-31"})
    assert ask(token, content="record").ok
    users = ask(classic, content="user", format="json").json()
    assert [user["expiration"] for user in users] == ["2999-01-31", ""]


def test_what_each_status_refuses(sandbox: Sandbox, classic: str, ask: Ask) -> None:
    def statuses() -> list[int]:
        metadata = ask(classic, content="metadata", format="json").text
        return [
            ask(classic, content="record").status_code,
            imported(ask, classic, [{"id": "10", "note": "a"}]).status_code,
            imported(ask, classic, metadata, content="metadata").status_code,
        ]

    found = {}
    for status in get_args(ProjectStatus):
        sandbox.set_status(classic, status)
        found[status] = statuses()
        if status != "completed":
            in_production = ask(classic, content="project", format="json").json()["in_production"]
            assert in_production == int(status != "development")
    assert found == {
        "development": [200, 200, 200],
        "production": [200, 200, 400],
        "draft": [200, 200, 400],
        "analysis": [200, 400, 400],
        "completed": [400, 400, 400],
    }
    with pytest.raises(ValueError, match="development, production"):
        sandbox.set_status(classic, "archived")  # type: ignore[arg-type]


def test_a_wrong_or_missing_instance_is_refused_like_a_value(classic: str, ask: Ask) -> None:
    place = {"id": "9", "redcap_repeat_instrument": "drug"}
    rows = [
        place | {"dose": "1"},
        place | {"dose": "2", "redcap_repeat_instance": "first"},
        {"id": "9", "note": "a", "redcap_repeat_instance": "2"},
        {"id": "9", "note": "a", "redcap_repeat_instrument": "visit"},
    ]
    refused = imported(ask, classic, rows)
    assert refused.status_code == 400
    told = list(csv.reader(StringIO(refused.json()["error"])))
    assert [row[:3] for row in told] == [
        ["9", "redcap_repeat_instance", ""],
        ["9", "redcap_repeat_instance", "first"],
        ["9", "redcap_repeat_instance", "2"],
        ["9", "redcap_repeat_instrument", "visit"],
    ]
