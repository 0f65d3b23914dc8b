"""The token of another project under the same name replaces nothing unasked."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from redcap_dagster import ParquetTableIOManager
from redcap_dagster.catalog.source import ProjectSource
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.sandbox import Sandbox
from tests.checks.conftest import reasons
from tests.dagster_runs import TOKEN_VARIABLE, Study, entry, materializations, studying
from tests.execution.test_buckets import METADATA, definitions, run

RunOther = Callable[..., dg.ExecuteInProcessResult]

ALLOWED = {"redcap/allow_other_project": "true"}
TITLES = ("Heart trial", "Other people")


def project(number: int) -> dict[str, Any]:
    """Return a project of 10 or more people, whose ages tell which project they are of."""
    records = [
        {"record_id": str(n), "age": str(20 * number), "dose": "1.5"} for n in range(1, 10 + number)
    ]
    info = {"project_title": TITLES[number - 1]}
    return {"exports": {"metadata": METADATA, "project": info}, "records": records}


@pytest.fixture(params=["duckdb", "parquet"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param == "duckdb":
        return {}
    return {"storage": ParquetTableIOManager(base_path=str(tmp_path / "tables"))}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with studying(tmp_path, **project(1)) as study:
        yield study


@pytest.fixture
def other(study: Study) -> str:
    """The token of another project on the same server, which has more records."""
    return study.sandbox.add_project(**project(2))


def rerun(
    study: Study, options: dict[str, Any], instance: dg.DagsterInstance | None = None, **given: Any
) -> dg.ExecuteInProcessResult:
    job = study.definitions(**options).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance or study.instance, raise_on_error=False, **given
    )


@pytest.fixture
def run_other(study: Study, other: str, monkeypatch: pytest.MonkeyPatch) -> RunOther:
    """Materialize one asset with the token of the other project, which stays set."""

    def run_one(selected: str, **given: Any) -> dg.ExecuteInProcessResult:
        monkeypatch.setenv(TOKEN_VARIABLE, other)
        key = dg.AssetKey.from_user_string(selected)
        return rerun(study, {}, asset_selection=[key], **given)

    return run_one


def stored(study: Study, options: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Load every table of the study."""
    defs = study.definitions(**options)
    frames: dict[str, Any] = {
        key.to_user_string(): defs.load_asset_value(key, instance=study.instance)
        for key in defs.resolve_all_asset_keys()
    }
    return frames


@pytest.mark.parametrize(
    "history", [pytest.param("kept", marks=pytest.mark.slow), pytest.param("gone")]
)
def test_nothing_is_replaced_and_both_projects_are_named(
    study: Study,
    other: str,
    storage: dict[str, Any],
    history: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert rerun(study, storage).success
    before = stored(study, storage)
    monkeypatch.setenv(TOKEN_VARIABLE, other)
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as new:
        instance = study.instance if history == "kept" else new
        result = rerun(study, storage, instance)
        assert not result.success
        assert not materializations(result)
        text = reasons(result)
        for number, title in enumerate(TITLES, start=1):
            assert f'{title}" (id {number}) at {study.sandbox.url}' in text
        assert "study/metadata/project" in text
        for key, table in stored(study, storage).items():
            pd.testing.assert_frame_equal(table, before[key])
        assert rerun(study, storage, instance, tags=ALLOWED).success
    assert set(stored(study, storage)["study/records/visit"]["age"]) == {"40"}
    assert rerun(study, storage).success
    monkeypatch.setenv(TOKEN_VARIABLE, study.token)
    assert not rerun(study, storage).success


@pytest.mark.parametrize(
    "selected",
    [
        pytest.param("study/metadata/fields", marks=pytest.mark.slow),
        pytest.param("study/records/_census", marks=pytest.mark.slow),
        pytest.param("study/records/drug", marks=pytest.mark.slow),
        "study/clean/visit",
    ],
)
def test_one_asset_alone_is_not_replaced_either(
    study: Study, run_other: RunOther, selected: str
) -> None:
    assert study.run().success
    result = run_other(selected)
    assert not materializations(result)
    assert "stored tables were made of" in reasons(result)


@pytest.mark.slow
def test_tables_of_two_projects_do_not_stand_side_by_side(
    study: Study, run_other: RunOther
) -> None:
    assert study.run(select=["study/records/_census"]).success
    assert "study/records/_census" in reasons(run_other("study/records/visit"))
    assert run_other("study/records/visit", tags=ALLOWED).success


@pytest.mark.slow
def test_a_clean_table_is_never_made_from_records_of_another_project(
    study: Study, run_other: RunOther
) -> None:
    assert study.run(select=["study/records/visit"]).success
    result = run_other("study/clean/visit", tags=ALLOWED)
    assert not materializations(result)
    assert "study/records/visit" in reasons(result)
    found = study.check(study.definitions(), [("study/records/visit", "keys_unique")])
    assert "stored tables were made of" in reasons(found)


@pytest.mark.slow
def test_buckets(
    study: Study, other: str, storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = definitions(study, 2, **storage)
    one, two = bucket_keys(2)
    assert all(run(study, [bucket], defs).success for bucket in (one, two))
    monkeypatch.setenv(TOKEN_VARIABLE, other)
    assert "stored tables were made of" in reasons(run(study, [one], defs))
    assert run(study, [one], defs, tags=ALLOWED).success
    refused = run(study, [one], defs)  # the other bucket is still that of the first project
    assert f"(id 1) at {study.sandbox.url}" in reasons(refused)
    assert run(study, [two], defs, tags=ALLOWED).success
    assert run(study, [one], defs).success


@pytest.mark.slow
def test_fewer_records_are_lost_within_one_project_only(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert study.run().success
    small = project(2)
    token = study.sandbox.add_project(**{**small, "records": small["records"][:2]})
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    result = rerun(study, {}, tags=ALLOWED)
    assert result.success
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert "no earlier materialization" in str(checks["rows_not_dropping"].description)


@pytest.mark.slow
def test_tables_that_were_removed_are_replaced_by_any_project(
    study: Study, other: str, storage: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    assert rerun(study, storage).success
    study.database.unlink(missing_ok=True)
    shutil.rmtree(tmp_path / "tables", ignore_errors=True)
    monkeypatch.setenv(TOKEN_VARIABLE, other)
    assert rerun(study, storage).success


def test_the_history_tells_where_the_storage_cannot(
    study: Study, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = {"storage": MemoryIOManager()}
    assert rerun(study, memory).success
    monkeypatch.setenv(TOKEN_VARIABLE, other)
    assert "stored tables were made of" in reasons(rerun(study, memory))
    assert rerun(study, memory, tags=ALLOWED).success
    assert rerun(study, memory).success


class MemoryIOManager(dg.ConfigurableIOManager):
    """Stores nothing; the definitions of this test make every clean table from an export."""

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        pass

    def load_input(self, context: dg.InputContext) -> None:
        pytest.fail(f"{context.asset_key.to_user_string()} is loaded.")


@pytest.mark.slow
def test_one_id_on_two_servers_is_two_projects(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = materializations(study.run())["study/clean/visit"]
    source = entry(made, "redcap/source")
    with Sandbox() as moved:
        monkeypatch.setenv(TOKEN_VARIABLE, moved.add_project(**project(1)))
        result = rerun(replace(study, sandbox=moved), {})
        assert not materializations(result)
        assert source["url"] in reasons(result)
        assert moved.url in reasons(result)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("https://a.edu/api/", "https://A.edu:443/api", False),
        ("https://a.edu/api/", "https://a.edu./api/", False),
        ("http://localhost/api/", "https://127.0.0.1/api/", False),
        ("http://localhost:8001/api/", "http://localhost:8002/api/", True),
        ("https://a.edu/api/", "https://b.edu/api/", True),
        ("https://a.edu/api/", "https://a.edu/test/api/", True),
        ("https://a.edu/api/", "https://a.edu:8443/api/", True),
    ],
)
def test_one_url_has_many_spellings(one: str, other: str, differ: bool) -> None:
    assert ProjectSource(one, 12).differs(ProjectSource(other, 12)) is differ
    assert ProjectSource(one, 12).differs(ProjectSource(other, None)) is differ
    assert ProjectSource(one, 12).differs(ProjectSource(other, 34))


def test_what_is_unknown_does_not_differ() -> None:
    known = ProjectSource("https://a.edu/api/", 12, "Trial")
    for text in ("", "{", "[]", '{"unknown": 1}', "null"):
        assert not known.differs(ProjectSource.from_text(text))
