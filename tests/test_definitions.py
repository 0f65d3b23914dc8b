"""Definitions: what they are made of, and what is refused before anything is sent."""

import warnings
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import CleaningRules, REDCapProject, REDCapResource, build_redcap_definitions

PROJECT = REDCapProject.from_exports(
    metadata=[
        {"field_name": "id", "form_name": "base"},
        {"field_name": "weight", "form_name": "visit"},
    ]
)
REDCAP = REDCapResource(url="https://redcap.example.edu/api/", token=dg.EnvVar("NOT_SET_ANYWHERE"))


def _build(**options: Any) -> dg.Definitions:
    return build_redcap_definitions(
        **{"name": "study", "redcap": REDCAP, "project": PROJECT, **options}
    )


def test_definitions_load_without_the_token_being_there() -> None:
    assert len(_build().resolve_all_asset_keys()) == 9


def test_two_projects_never_collide() -> None:
    both = dg.Definitions.merge(_build(name="a"), _build(name="a_clean"))
    dg.Definitions.validate_loadable(both)
    assert len(both.resolve_all_asset_keys()) == 18
    assert set(both.resources or {}) == {
        "a__redcap",
        "a__io_manager",
        "a_clean__redcap",
        "a_clean__io_manager",
    }


def test_a_project_xml_is_a_structure(fixtures: Path) -> None:
    definitions = _build(project=fixtures / "projects/simple/project.xml")
    assert dg.AssetKey(["study", "clean", "race_and_ethnicity"]) in (
        definitions.resolve_all_asset_keys()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "My-Study"}, "'My-Study'"),
        ({"name": ""}, "name"),
        ({"instruments": ["visits"]}, r"\['visits'\]"),
        ({"instruments": "visit"}, "list"),
        ({"rules": CleaningRules(types={"wieght": "text"})}, r"\['wieght'\]"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        _build(**options)


def test_a_token_that_is_written_out_is_warned_of_once() -> None:
    literal = REDCapResource(url=REDCAP.url, token="0" * 32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        _build(redcap=literal)
    (warning,) = caught
    assert "EnvVar" in str(warning.message)
    assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _build()


def test_tables_are_parquet_under_the_instance_by_default(tmp_path: Path) -> None:
    manager = (_build().resources or {})["study__io_manager"]
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        context = dg.build_init_resource_context(instance=instance)
        with manager.from_resource_context_cm(context) as ready:
            assert ready.get_base() == str(tmp_path / "storage" / "redcap")
