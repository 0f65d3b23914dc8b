"""Snippets of assets: they load, and have the assets that their comments name."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from dagster.components.testing.utils import create_defs_folder_sandbox

from redcap_dagster import REDCapProjectComponent
from redcap_dagster.api import REDCapClient
from redcap_dagster.api.snippets import METHODS, Value, find_method, snippet
from redcap_dagster.dagster_private import get_local_state_path
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field

STUDY: dict[str, Any] = {
    "exports": {
        "metadata": [field("record_id"), field("age"), field("dose", "drug")],
        "arm": [{"arm_num": 1, "name": "One"}],
        "event": [{"event_name": "First", "arm_num": 1, "unique_event_name": "first_arm_1"}],
        "formEventMapping": [
            {"arm_num": 1, "unique_event_name": "first_arm_1", "form": form}
            for form in ("visit", "drug")
        ],
        "repeatingFormsEvents": [{"event_name": "first_arm_1", "form_name": "drug"}],
    }
}
ALL = {"visit", "drug"}
CHOSEN: list[tuple[str, Mapping[str, Value], set[str]]] = [
    *((method.title, {}, ALL) for method in METHODS if method.tables),
    ("Export Records", {"forms": ["drug"], "fields": ["record_id"]}, {"drug"}),
    ("Export Records", {"forms": ["drug"], "fields": ["record_id", "age"]}, ALL),
    ("Export Records", {"events": ["first_arm_1"]}, ALL),
]


@pytest.mark.parametrize(("title", "values", "instruments"), CHOSEN)
def test_both_have_the_assets_that_their_comment_names(
    title: str,
    values: Mapping[str, Value],
    instruments: set[str],
    sandbox: Sandbox,
    token: str,
    redcap: REDCapClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    method = find_method(title)
    code = snippet(method, values, "definitions", url=sandbox.url)
    names: dict[str, Any] = {}
    exec(str(code), names)  # noqa: S102
    definitions = names["defs"].load_fn()
    text = snippet(method, values, "yaml", url=sandbox.url)
    assert text is not None
    by_yaml = load_yaml(text, redcap)

    comment = text.splitlines()[0]
    assert comment == str(code).splitlines()[0]
    named = {
        key.replace("INSTRUMENT", form)
        for key in comment.removeprefix("# Assets: ").split(", ")
        for form in ALL
    }
    keys = {key.to_user_string() for key in definitions.resolve_all_asset_keys()}
    assert named <= keys
    assert by_yaml == keys
    clean = {f"study/clean/{instrument}" for instrument in instruments}
    assert {key for key in keys if "/clean/" in key} == clean
    assert method.content != "record" or {key for key in named if "/clean/" in key} == clean
    assert ("in an asset of your own" in text) == bool(values)


def load_yaml(text: str, redcap: REDCapClient) -> set[str]:
    """Return the keys of the assets of a component, whose structure was fetched before."""
    with create_defs_folder_sandbox() as folder:
        path = folder.scaffold_component(
            component_cls=REDCapProjectComponent, defs_yaml_contents=yaml.safe_load(text)
        )
        with folder.build_component_tree():
            state = get_local_state_path("REDCapProjectComponent[study]", folder.project_root)
        state.write_text(redcap.export_project().to_json())
        with folder.load_component_and_build_defs(defs_path=path) as (_, definitions):
            return {key.to_user_string() for key in definitions.resolve_all_asset_keys()}


def test_other_methods_have_no_assets() -> None:
    for method in METHODS:
        for language in ("yaml", "definitions"):
            assert (snippet(method, {}, language) is not None) == bool(method.tables)
