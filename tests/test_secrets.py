"""Token, cells and record ids: nowhere but in the tables, whatever goes wrong."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from redcap_dagster import CheckRules, REDCapResource
from redcap_dagster.checks import CHECKS, CheckSettings
from redcap_dagster.sandbox import Sandbox
from tests.dagster_runs import TOKEN_VARIABLE, Study, check_results
from tests.dictionary import field
from tests.fake_server import CANARY, Reply, Server, json_reply

TOKEN = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"
METADATA = [
    field("id", "base"),
    field("note", "base", type="notes"),
    field("age", "base", validation="integer"),
    field("sex", "base", type="radio", choices="0, Female"),
]
RECORDS = [dict.fromkeys(("id", "note", "age", "sex"), CANARY), {"id": "2", "age": "5"}]
HEADER = b"id,note,age,sex,base_complete\n"
CELL = CANARY.encode()
OF_BASE = [(check.layer, name) for name, check in CHECKS.items() if check.layer != "metadata"]

Listen = Callable[[dg.DagsterInstance], str]


@pytest.fixture
def listen(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Listen:
    """Give all that Dagster and the process have said so far: events, logs, output."""
    caplog.set_level("DEBUG")

    def heard(instance: dg.DagsterInstance) -> str:
        events = [
            serialize_value(entry)
            for run in instance.get_runs()
            for entry in instance.all_logs(run.run_id)
        ]
        assert events
        said = capfd.readouterr()
        return "\n".join([*events, caplog.text, said.out, said.err])

    return heard


STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS, "token": TOKEN}


def _assert_silent(text: str) -> None:
    assert TOKEN not in text
    assert CANARY not in text


def test_a_run_tells_counts_and_names_alone(study: Study, listen: Listen) -> None:
    """The canary is a record id, a note, and a value that fits neither integer nor choice."""
    definitions = study.definitions()
    assert study.run(definitions).success
    assert study.table("study_records.base")["age"].to_pylist() == ["5", CANARY]
    assert study.table("study_clean.base")["age"].to_pylist() == [5, None]
    heard = listen(study.instance)
    assert '"age": 1' in heard.replace("\\", "")
    _assert_silent(heard)


def test_checks_that_fail_tell_counts_and_names_alone(study: Study, listen: Listen) -> None:
    """With rows that drop, values out of range, types that change, and blanks where required."""
    asked = {"required_field": "y", "text_validation_min": "18"}
    hidden = {"branching_logic": "[age] = '99'"}
    metadata = [METADATA[0], *({**row, **asked} for row in METADATA[1:])]
    wrong = {"unasked": CANARY, "code": "-9", "own": CANARY, "ticks___0": "1", "ticks___1": "1"}
    token = study.sandbox.add_project(
        exports={
            "project": {"missing_data_codes": "-9, Unknown", "secondary_unique_field": "own"},
            "metadata": [
                *metadata,
                field("free", "base"),
                field("own", "base"),
                field("unasked", "base", **hidden),
                field("code", "base"),
                field("twice", "base", type="calc", choices="2 * [age]"),
                field(
                    "ticks",
                    "base",
                    type="checkbox",
                    choices="0, None | 1, One",
                    field_annotation="@NONEOFTHEABOVE=0",
                ),
                field("arm", "base", type="radio", choices="1, Drug | 2, Drug"),
            ],
        },
        records=[
            {**RECORDS[0], **wrong, "free": "1", "arm": "1", "base_complete": "2"},
            {"id": "2", "age": "5", **wrong, "free": "1", "arm": "2", "base_complete": "2"},
        ],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        all_on = {name: CheckSettings(enabled=True) for name in CHECKS}
        rules = CheckRules(settings=all_on, max_drop=0, allow_shrink=True)
        definitions = study.definitions(checks=rules)
        results = [study.run(definitions)]
        study.sandbox.edit(token, record="2", field="free", value=CANARY)
        results.append(study.run(definitions))
        study.sandbox.delete_record(token, CANARY)
        results.append(study.run(definitions))
        checks = [(f"study/{layer}/base", name) for layer, name in OF_BASE]
        results.append(study.check(definitions, checks))
    failed = {
        name
        for result in results
        for (_, name), found in check_results(result).items()
        if not found.passed
    }
    assert failed == {name for _, name in OF_BASE} - {
        "keys_unique",
        "export_complete",
        "nothing_hidden",
        "outliers",  # of two numbers, none is
    }
    heard = listen(study.instance)
    assert token not in heard
    _assert_silent(heard)


def test_the_snapshot_of_the_definitions(study: Study) -> None:
    snapshot = serialize_value(RepositorySnap.from_def(study.definitions().get_repository_def()))
    assert TOKEN_VARIABLE in snapshot
    _assert_silent(snapshot)


def test_a_resource_shows_and_pickles_a_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    resource = REDCapResource(
        url="https://redcap.example.edu/api/", token=dg.EnvVar(TOKEN_VARIABLE)
    )
    again = pickle.loads(pickle.dumps(resource))  # noqa: S301
    assert again.get_client().url == "https://redcap.example.edu/api/"
    assert TOKEN.encode() not in pickle.dumps(resource)
    with resource.process_config_and_initialize_cm() as resolved:
        for value in (resource, resolved, resolved.get_client()):
            _assert_silent(f"{value!r} {value!s}")
        for value in (resolved, resolved.get_client()):
            with pytest.raises(TypeError, match="token"):
                pickle.dumps(value)


def test_public_values_show_no_cell(study: Study) -> None:
    client = study.definitions().resources["study__redcap"].get_client()  # type: ignore[index]
    structure = client.export_structure()
    for value in (client, structure, structure.project(), study.sandbox, study.sandbox.requests):
        _assert_silent(f"{value!r} {value!s}")


BROKEN = {
    "a row with too many cells": Reply(HEADER + CELL + b",x,1,0,2,3\n"),
    "a quote that never ends": Reply(HEADER + CELL + b',"' + CELL + b",1,0,2\n"),
    "a byte that is no UTF-8": Reply(HEADER + CELL + b",\xa0" + CELL + b",1,0,2\n"),
    "a web page": Reply(b"<html><body>Welcome back, " + CELL + b"</body></html>"),
    "an error body": Reply(b'{"error":"The record ' + CELL + b' is locked"}'),
    "a refusal": json_reply({"error": f'The record "{CANARY}" does not exist'}, 400),
    "an unknown refusal": json_reply({"error": f"{CANARY} cannot be exported"}, 400),
    "no rights": json_reply({"error": f"{CANARY}: you may not"}, 403),
    "an empty body": Reply(b""),
    "a record that is missing": Reply(HEADER + b"2,,5,,2\n"),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
def test_answers_that_are_wrong(
    reply: Reply,
    server: Server,
    tmp_path: Path,
    listen: Listen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    server.say("project", json_reply({"project_id": 1, "has_repeating_instruments_or_events": 0}))
    server.say("metadata", json_reply(METADATA))
    server.say("instrument", json_reply([{"instrument_name": "base", "instrument_label": "Base"}]))
    server.say("exportFieldNames", json_reply([]))
    server.say("version", Reply(b"14.7.3"))
    census = Reply(b"id\n" + CELL + b"\n2\n")
    # The header at loading; the census; the export; then the census again where a record is
    # missing, or the export again, as what broke off is asked for once more.
    again = census if reply is BROKEN["a record that is missing"] else reply
    server.say("record", Reply(HEADER), census, reply, again)
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        study = Study(_at(server), TOKEN, instance, tmp_path / "warehouse.duckdb")
        definitions = study.definitions(
            redcap=REDCapResource(url=server.url, token=dg.EnvVar(TOKEN_VARIABLE), retries=0)
        )
        result = study.run(definitions)
        assert not result.success
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        assert "record export" in str(failure.event_specific_data)
        _assert_silent(listen(instance))
    assert "base" not in _tables(study.database)


def _at(server: Server) -> Sandbox:
    """Stand in for a sandbox, of which a study takes the address alone."""
    return server  # type: ignore[return-value]


def _tables(database: Path) -> list[str]:
    if not database.exists():
        return []
    with duckdb.connect(str(database), read_only=True) as connection:
        return [
            name for (name,) in connection.sql("select table_name from duckdb_tables()").fetchall()
        ]


def _not_a_database(database: Path) -> None:
    database.write_bytes(b"old notes: " + CELL)


def _a_view_in_the_way(database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema study_clean")
        connection.execute(f"create view study_clean.base as select '{CANARY}' as x")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_not_a_database, "DuckDB could not read or write"),
        (_a_view_in_the_way, "no Dagster asset made"),
    ],
)
def test_a_warehouse_that_fails(
    spoil: Callable[[Path], None], said: str, study: Study, listen: Listen
) -> None:
    spoil(study.database)
    result = study.run()
    assert not result.success
    heard = listen(study.instance)
    assert said in heard
    _assert_silent(heard)


def test_a_cell_that_cannot_be_computed_with(study: Study, listen: Listen) -> None:
    """Records in storage whose type no cast takes, as another IO manager may return them."""
    definitions = study.definitions(storage=_Odd())
    result = study.run(definitions, select=["study/clean/base"])
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "base: unexpected" in str(failure.event_specific_data)
    _assert_silent(listen(study.instance))


class _Odd(dg.ConfigurableIOManager):
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ARG002
        raise AssertionError

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:  # noqa: ARG002
        return pd.DataFrame({"id": [CANARY, "2"], "note": [{CANARY: CANARY}, CANARY]})


def test_state_that_dagster_keeps_holds_no_record_and_no_token(study: Study) -> None:
    (text,) = [str(kept.value) for kept in (study.definitions().metadata or {}).values()]
    assert '"field_name": "note"' in text.replace("\\", "")
    _assert_silent(text)
