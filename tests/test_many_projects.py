"""Several projects in one code location: what is wrong with one of them leaves the others alone."""

from typing import Any

import dagster as dg
import pytest

from redcap_dagster import DuckDBTableIOManager, REDCapResource
from redcap_dagster.failures import ProjectNotLoadedError
from redcap_dagster.project import REDCapProject
from tests.dagster_runs import Study
from tests.dictionary import field

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


def test_a_renamed_instrument_takes_its_project_out_of_a_loop(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = dg.Definitions.merge(
        study.definitions(instruments=["renamed"]), study.definitions(name="other")
    )
    assert {key.path[0] for key in loaded.resolve_all_asset_keys()} == {"other"}
    assert "REDCap project study: no assets" in caplog.text
    assert "renamed" in caplog.text
