"""Several projects in one code location: what is wrong with one of them leaves the others alone."""

from typing import Any

import dagster as dg
import pytest

from redcap_dagster import (
    DuckDBTableIOManager,
    REDCapResource,
    build_redcap_definitions,
    fetched_structure,
)
from redcap_dagster.api.http import retries
from redcap_dagster.failures import ProjectNotLoadedError
from redcap_dagster.fetched_structure import fetch_structure
from redcap_dagster.project import REDCapProject
from tests.dagster_runs import Study
from tests.dictionary import field
from tests.fake_server import TOKEN, Reply, Server

METADATA = [field("id", "base")]
PROJECT = REDCapProject.from_exports(metadata=METADATA)
STUDY: dict[str, Any] = {
    "exports": {"metadata": METADATA},
    "records": [{"id": "1", "base_complete": "2"}],
}
OTHER = "ANOTHER_REDCAP_TOKEN"


def _both(study: Study, **options: Any) -> dg.Definitions:
    """Two projects; the token of the second is in a variable of its own."""
    redcap = REDCapResource(url=study.sandbox.url, token=dg.EnvVar(OTHER))
    database = study.database.with_name("other.duckdb")
    storage = DuckDBTableIOManager(database=str(database))
    return dg.Definitions.merge(
        study.definitions(**{"project": PROJECT, **options}),
        study.definitions(
            **{"name": "other", "redcap": redcap, "project": PROJECT, "storage": storage, **options}
        ),
    )


@pytest.mark.parametrize("wrong", [None, "", "a text", "0" * 32])
def test_a_wrong_token_fails_the_steps_of_its_project_alone(
    wrong: str | None, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OTHER, raising=False)
    if wrong is not None:
        monkeypatch.setenv(OTHER, wrong)
    result = study.run(_both(study))
    assert {event.step_key for event in result.get_step_success_events()} == {
        "study__metadata",
        "study__tables",
    }
    failures = {event.step_key: event for event in result.all_events if event.is_step_failure}
    assert failures.keys() == {"other__metadata"}  # the other step comes after it
    for event in failures.values():
        said = str(event.event_specific_data)
        assert "REDCap project other: " in said
        assert OTHER in said or wrong
    assert study.table("study_records.base").num_rows == 1


@pytest.mark.parametrize("wrong", [None, "a text", "0" * 32])
def test_a_wrong_token_takes_its_project_out_of_a_loop(
    wrong: str | None,
    study: Study,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv(OTHER, raising=False)
    if wrong is not None:
        monkeypatch.setenv(OTHER, wrong)
    loaded = _both(study, project=None)
    dg.Definitions.validate_loadable(loaded)
    assert {key.path[0] for key in loaded.resolve_all_asset_keys()} == {"study"}
    (warning,) = [one.getMessage() for one in caplog.records if one.name == "redcap_dagster"]
    assert warning.startswith("REDCap project other: structure not fetched.")
    with pytest.raises(ProjectNotLoadedError, match="REDCap project other"):
        _both(study, project=None, strict=True)
    monkeypatch.setenv("REDCAP_DAGSTER_STRICT", "1")
    with pytest.raises(ProjectNotLoadedError, match="REDCap project other"):
        _both(study, project=None)


def test_projects_of_a_server_that_hangs_wait_less_and_less(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Dagster gives up a code location, with all other projects, after three minutes."""
    monkeypatch.setenv(OTHER, TOKEN)
    monkeypatch.setattr(fetched_structure, "_PATIENCE", 0.4)
    monkeypatch.setattr(fetched_structure, "_SLOW", 0.01)
    monkeypatch.setattr(retries, "sleep", lambda *_: None)
    patience = []

    def fetch(name: str, redcap: REDCapResource) -> str:
        patience.append(redcap.read_timeout)
        return fetch_structure(name, redcap)

    monkeypatch.setattr(fetched_structure, "fetch_structure", fetch)
    server.say("project", Reply(end="never"))
    redcap = REDCapResource(url=server.url, token=dg.EnvVar(OTHER))
    for number in range(6):
        loaded = build_redcap_definitions(name=f"p{number}", redcap=redcap)
        assert not loaded.resolve_all_asset_keys()

    assert patience == [0.4, 0.2, 0.1, 0.1, 0.1, 0.1]
    server.wait_for("project", 3 + 5)  # the first one is retried
    assert len(server.requests) == 3 + 5
    assert "sent nothing within the time limit" in caplog.text
    assert "To load it without REDCap, give its structure as project." in caplog.text


def test_a_wrong_token_does_not_make_others_wait_less(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OTHER, "0" * 32)
    _both(study, project=None)
    assert not fetched_structure._failures[study.sandbox.url]


def test_a_renamed_instrument_takes_its_project_out_of_a_loop(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = dg.Definitions.merge(
        study.definitions(instruments=["renamed"]), study.definitions(name="other")
    )
    assert {key.path[0] for key in loaded.resolve_all_asset_keys()} == {"other"}
    assert "REDCap project study: no assets" in caplog.text
    assert "renamed" in caplog.text
