"""Where a component keeps the structure of its project, and what it can load."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing.utils import create_defs_folder_sandbox
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster import REDCapProjectComponent
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    get_local_state_path,
)
from redcap_dagster.failures import ProjectNotLoadedError
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.sandbox import Sandbox
from tests.dagster_runs import TOKEN_VARIABLE
from tests.dictionary import field

OLD_STATE = Path(__file__).with_name("state.json")
"""What version 0.1.0 wrote. Leave it as it is: users' disks hold such files."""

TABLES = {
    *("trial/metadata/" + name for name in ("project", "fields", "choices", "instruments")),
    *("trial/metadata/" + name for name in ("events", "form_events", "repeating")),
    "trial/records/_census",
    *(
        f"trial/{layer}/{form}"
        for layer in ("records", "clean")
        for form in ("base", "visit", "drug")
    ),
}


def _attributes(url: str = "https://redcap.example.edu/api/", **more: Any) -> dict[str, Any]:
    return {
        "type": "redcap_dagster.REDCapProjectComponent",
        "attributes": {
            "name": "trial",
            "url": url,
            "token": f"{{{{ env.{TOKEN_VARIABLE} }}}}",
            **more,
        },
    }


def _loaded(state: str) -> set[str]:
    """Load a component whose state is this text, and name its assets."""
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent, defs_yaml_contents=_attributes()
        )
        with sandbox.build_component_tree():
            key = "REDCapProjectComponent[trial]"
            get_local_state_path(key, sandbox.project_root).write_text(state)
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            definitions.get_repository_def()
            return {key.to_user_string() for key in definitions.resolve_all_asset_keys()}


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.delenv("DAGSTER_IS_DEV_CLI", raising=False)


def test_state_of_an_older_version_loads() -> None:
    assert _loaded(OLD_STATE.read_text()) == TABLES
    project = REDCapProject.from_json(OLD_STATE.read_text())
    assert project.key_columns("drug")[-1] == "redcap_repeat_instance"
    assert [column.name for column in project.columns("visit")] == [
        "visit_timestamp",
        "symptoms___1",
        "symptoms____2",
        "symptoms___unk",
        "visit_complete",
    ]
    assert project.context_columns == ("redcap_data_access_group", "redcap_survey_identifier")


def test_what_a_later_version_adds_is_passed_over() -> None:
    state = json.loads(OLD_STATE.read_text())
    state["something_new"] = [1]
    for rows in (value for value in state.values() if isinstance(value, list)):
        for row in rows:
            if isinstance(row, dict):
                row["something_new"] = 1
    assert _loaded(json.dumps(state)) == TABLES


def test_what_an_earlier_version_lacked_has_a_default() -> None:
    state = json.loads(OLD_STATE.read_text())
    needed = {"fields", "instruments", "events", "form_events", "repeating", "format"}
    assert _loaded(json.dumps({name: state[name] for name in needed})) == TABLES


# -- versioned storage -----------------------------------------------------------------------------


@pytest.fixture
def redcap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        metadata = [field("id", "base")]
        monkeypatch.setenv(TOKEN_VARIABLE, sandbox.add_project(exports={"metadata": metadata}))
        yield sandbox


def test_versioned_storage_keeps_the_state(
    redcap: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clean = dg.AssetKey(["trial", "clean", "base"])
    with dg.instance_for_test() as instance, create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent,
            defs_yaml_contents=_attributes(
                redcap.url,
                max_age="0m",
                defs_state={"management_type": "VERSIONED_STATE_STORAGE"},
            ),
        )

        def loaded() -> set[dg.AssetKey]:
            with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
                return set(definitions.resolve_all_asset_keys())

        assert loaded() == set()
        assert redcap.requests == ()
        monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
        assert clean in loaded()
        monkeypatch.delenv("DAGSTER_IS_DEV_CLI")
        monkeypatch.delenv(TOKEN_VARIABLE)
        asked = len(redcap.requests)
        assert clean in loaded()
        assert len(redcap.requests) == asked
        storage = instance.defs_state_storage
        assert storage is not None
        assert storage.get_latest_version("REDCapProjectComponent[trial]") is not None
        monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
        caplog.clear()
        assert clean in loaded()  # too old, and no token to fetch it with
        assert "structure not fetched" in caplog.text


def test_a_full_disk_leaves_the_old_state(
    redcap: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.write_text("as it was")

    def write_half(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text.encode(encoding)[:10])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", write_half)
    component = REDCapProjectComponent(
        name="trial", url=redcap.url, token=dg.EnvVar(TOKEN_VARIABLE)
    )
    with pytest.raises(OSError, match="no space"):
        component.write_state_to_path(state)
    assert state.read_text() == "as it was"


# -- state that cannot be used, and several writers ------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["fields", "field_name"]), inner)
    ),
)
DAMAGED = [b"", OLD_STATE.read_bytes()[:1000], b"[" * 100_000, b"\xff", None]


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda rows: json.dumps({"fields": rows})))
def test_any_text_is_a_structure_or_a_structure_error(text: str) -> None:
    try:
        project = REDCapProject.from_json(text)
    except StructureError:
        return
    assert project.record_id_field


@pytest.mark.parametrize(
    ("state", "strict"), [*((state, False) for state in DAMAGED), (b"", True), (None, True)]
)
def test_a_state_that_cannot_be_used_stops_no_other_project(
    state: bytes | None,
    strict: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with create_defs_folder_sandbox() as sandbox:
        for name in ("trial", "other"):
            attributes = _attributes(name=name, strict=strict and name == "other")
            sandbox.scaffold_component(
                component_cls=REDCapProjectComponent,
                defs_path=name,
                defs_yaml_contents=attributes,
            )
            key = f"REDCapProjectComponent[{name}]"
            with sandbox.build_component_tree():
                path = get_local_state_path(key, sandbox.project_root)
            path.write_text(OLD_STATE.read_text())
        path.unlink()
        if state is not None:
            path.write_bytes(state)
        if strict:
            with pytest.raises(ComponentTreeException, match="other"), sandbox.build_all_defs():
                pass
            return
        with sandbox.build_all_defs() as definitions:
            assert {key.to_user_string() for key in definitions.resolve_all_asset_keys()} == TABLES
    (warning,) = [one.getMessage() for one in caplog.records if one.name == "redcap_dagster"]
    assert warning.startswith("REDCap project other: no assets")
    assert "dg utils refresh-defs-state" in warning


def test_a_pipe_in_the_place_of_a_state_is_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=REDCapProjectComponent, defs_yaml_contents=_attributes()
        )
        with sandbox.build_component_tree():
            os.mkfifo(get_local_state_path("REDCapProjectComponent[trial]", sandbox.project_root))
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, definitions):
            assert not definitions.resolve_all_asset_keys()
    assert "its stored structure is not a file" in caplog.text


def test_writers_at_the_same_time_leave_a_complete_state(
    redcap: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each writes half, waits until the other has done so too, and writes the rest."""
    both = threading.Barrier(2)

    def write_slowly(path: Path, text: str, encoding: str) -> None:
        with path.open("w", encoding=encoding) as file:
            file.write(text[:10])
            file.flush()
            both.wait(60)
            file.write(text[10:])

    monkeypatch.setattr(Path, "write_text", write_slowly)
    component = REDCapProjectComponent(
        name="trial", url=redcap.url, token=dg.EnvVar(TOKEN_VARIABLE)
    )
    failed = []

    def write() -> None:
        try:
            component.write_state_to_path(tmp_path / "state")
        except Exception as error:  # noqa: BLE001 a thread would only print it
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert REDCapProject.from_json((tmp_path / "state").read_text()).record_id_field == "id"


def test_a_refresh_that_fails_names_the_project(tmp_path: Path) -> None:
    component = REDCapProjectComponent(
        name="trial", url="https://redcap.example.edu/api/", token=dg.EnvVar(TOKEN_VARIABLE)
    )
    with pytest.raises(ProjectNotLoadedError, match=f"REDCap project trial: .*{TOKEN_VARIABLE}"):
        component.write_state_to_path(tmp_path / "state")


def test_a_first_load_tells_how_far_it_is(
    redcap: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    with create_defs_folder_sandbox() as sandbox:
        for name in ("a", "b", "c"):
            sandbox.scaffold_component(
                component_cls=REDCapProjectComponent,
                defs_path=name,
                defs_yaml_contents=_attributes(redcap.url, name=name),
            )
        with sandbox.build_all_defs() as definitions:
            assert {key.path[0] for key in definitions.resolve_all_asset_keys()} == {*"abc"}
    told = [one.getMessage() for one in caplog.records if one.name == "redcap_dagster"]
    assert told == [
        f"REDCap project {name} ({number} of 3): its structure is being fetched."
        for number, name in enumerate("abc", 1)
    ]


def test_state_in_memory_that_cannot_be_fetched_stops_no_other_project(
    redcap: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    in_memory = {"management_type": "LEGACY_CODE_SERVER_SNAPSHOTS"}
    with create_defs_folder_sandbox() as sandbox:
        for name, token in (("a", TOKEN_VARIABLE), ("b", "NOT_SET_ANYWHERE")):
            given = _attributes(redcap.url, name=name, defs_state=in_memory)
            given["attributes"]["token"] = f"{{{{ env.{token} }}}}"
            sandbox.scaffold_component(
                component_cls=REDCapProjectComponent, defs_path=name, defs_yaml_contents=given
            )
        loading = DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)
        with DefinitionsLoadContext.scoped(loading), sandbox.build_all_defs() as definitions:
            assert {key.path[0] for key in definitions.resolve_all_asset_keys()} == {"a"}
    assert "REDCap project b: structure not fetched." in caplog.text


def test_a_state_is_the_same_whatever_the_locale(tmp_path: Path) -> None:
    """In a Latin-1 locale, labels in UTF-8 would be other ones; in that of C, an error."""
    project = REDCapProject.from_exports(metadata=[field("id", label="Größe")])
    state = project.to_json()
    path = tmp_path / "state"
    written_before = json.dumps(json.loads(state), ensure_ascii=False)
    path.write_text(written_before, encoding="utf-8")
    code = (
        "from pathlib import Path; import sys\n"
        "from redcap_dagster.component.state import read_state, write_state\n"
        "project = read_state(Path(sys.argv[1]))\n"
        "write_state(Path(sys.argv[1]), project.to_json())"
    )
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=os.environ | locale)

    assert state.isascii()
    assert path.read_text(encoding="ascii") == state
