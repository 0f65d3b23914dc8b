"""A demo: made-up records in tables of their own, where the environment asks for it."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing.utils import create_defs_folder_sandbox

from redcap_dagster import (
    DemoSettings,
    QuerySettings,
    REDCapProjectComponent,
    REDCapResource,
)
from redcap_dagster.demo import DEMO_VARIABLE
from redcap_dagster.failures import ProjectNotLoadedError
from redcap_dagster.project import REDCapProject
from tests.dagster_runs import Study, materializations, studying
from tests.dictionary import field

METADATA = [
    field("id"),
    field("smokes", type="yesno"),
    field("packs", validation="integer", branching_logic="[smokes] = '1'", required_field="y"),
]
PROJECT = REDCapProject.from_exports(
    metadata=METADATA, info={"project_id": 1, "project_title": "Trial"}, version="14.7.3"
)
REAL: list[dict[str, object]] = [{"id": "real", "smokes": "0", "visit_complete": "2"}]
TABLES = ["trial/clean/visit", "trial/records/visit", "trial/metadata/fields"]


@pytest.fixture(autouse=True)
def _demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEMO_VARIABLE, "1")


def make_demo(study: Study, **options: Any) -> dg.Definitions:
    given = {"name": "trial", "project": PROJECT, "demo": DemoSettings(records=30), **options}
    return study.definitions(**given)


def test_a_demo_has_tables_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with studying(tmp_path, exports={"metadata": METADATA}, records=REAL) as study:
        monkeypatch.delenv(DEMO_VARIABLE)
        real = study.run(make_demo(study))
        assert real.success
        assert set(TABLES) <= set(materializations(real))
        asked = len(study.contents())

        monkeypatch.setenv(DEMO_VARIABLE, "1")
        definitions = make_demo(study, change_sensor=True)
        assert not list(definitions.sensors or ())
        for spec in definitions.resolve_all_asset_specs():
            assert spec.key.path[0] == "demo_trial"
            assert spec.tags["redcap/demo"] == "true"
        first, again = study.run(definitions), study.run(make_demo(study))
        assert first.success
        assert again.success
        assert len(study.contents()) == asked  # nothing was requested from the real project
        made_up = study.table("demo_trial_clean.visit")
        assert made_up.num_rows == 30
        assert study.table("trial_clean.visit")["id"].to_pylist() == ["real"]
        by_answer = zip(made_up["smokes"].to_pylist(), made_up["packs"].to_pylist(), strict=True)
        assert {smokes for smokes, packs in by_answer if packs is not None} == {True}
        assert materializations(first).keys() == materializations(again).keys()


def test_the_queries_of_a_demo_have_folders_of_their_own(tmp_path: Path) -> None:
    """What sites get and send back is of the project's own records."""
    sent, returned = tmp_path / "to_mend", tmp_path / "came_back"
    returned.mkdir()
    (returned / "unreadable.csv").write_text("of real queries")
    queries = QuerySettings(workbook=str(sent), confirmations=str(returned))
    with studying(tmp_path, exports={"metadata": METADATA}) as study:
        assert study.run(make_demo(study, queries=queries)).success
    assert {path.name for path in tmp_path.glob("*_*") if path.is_dir()} == {
        "demo_to_mend",
        "came_back",
        "demo_came_back",
    }
    assert [path.name for path in (tmp_path / "demo_to_mend").iterdir()] == [
        "demo_trial_queries.xlsx"
    ]


@pytest.mark.parametrize("real_first", [True, False])
def test_neither_replaces_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_first: bool
) -> None:
    """A real project of the same name: one refuses the tables of the other."""
    with studying(tmp_path, exports={"metadata": METADATA}, records=REAL) as study:
        demo = make_demo(study)
        monkeypatch.delenv(DEMO_VARIABLE)
        real = study.definitions(name="demo_trial", project=PROJECT)
        first, second = (real, demo) if real_first else (demo, real)
        monkeypatch.setenv(DEMO_VARIABLE, "1")
        assert study.run(first).success
        before = study.table("demo_trial_clean.visit")
        assert not study.run(second).success
        assert study.table("demo_trial_clean.visit").equals(before)


def test_a_demo_that_is_not_declared(tmp_path: Path) -> None:
    with (
        studying(tmp_path, exports={"metadata": METADATA}) as study,
        pytest.raises(ProjectNotLoadedError, match=r"REDCAP_DEMO is set.*no option demo.*unset"),
    ):
        make_demo(study, demo=None)


def load(folder: Path | None, **attributes: Any) -> dg.Definitions:
    """Return the definitions of a component without state; a dictionary is in its project."""
    given = {
        "name": "trial",
        "url": "https://redcap.example.edu/api/",
        "token": "{{ env.NOT_SET_HERE }}",
        **attributes,
    }
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent,
            defs_yaml_contents={
                "type": "redcap_dagster.REDCapProjectComponent",
                "attributes": given,
            },
        )
        (sandbox.project_root / "trial.json").write_text(PROJECT.to_json())
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            if folder is not None:
                with dg.DagsterInstance.ephemeral(tempdir=str(folder)) as instance:
                    job = definitions.resolve_implicit_global_asset_job_def()
                    assert job.execute_in_process(instance=instance).success
            return definitions


@pytest.mark.parametrize(
    ("given", "problem"),
    [({"records": -1}, "records should be greater"), ({"errors": 2}, "errors should be less")],
)
def test_numbers_out_of_range_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        DemoSettings(**given)


def test_a_demo_from_yaml(tmp_path: Path) -> None:
    """Neither a token nor a state is needed if a file has the structure."""
    definitions = load(
        tmp_path,
        demo={"records": 20, "errors": 0.05, "structure": "trial.json"},
        storage={"parquet": str(tmp_path / "tables")},
    )
    assert dg.AssetKey(["demo_trial", "clean", "visit"]) in definitions.resolve_all_asset_keys()
    assert list((tmp_path / "tables").rglob("*.parquet"))


def test_a_demo_from_yaml_that_is_not_declared() -> None:
    with pytest.raises(ComponentTreeException) as caught:
        load(None)
    assert isinstance(caught.value.__cause__, ProjectNotLoadedError)
    assert "no option demo" in str(caught.value.__cause__)


def test_the_resource_of_a_demo_is_no_real_one(tmp_path: Path) -> None:
    """The URL and token of the real project are not needed."""
    with studying(tmp_path, exports={"metadata": METADATA}) as study:
        url = "https://redcap.example.edu/api/"
        redcap = REDCapResource(url=url, token=dg.EnvVar("NOT_SET_HERE"))
        assert study.run(make_demo(study, redcap=redcap)).success
