"""Projects of real servers, materialized by real runs."""

from pathlib import Path

import dagster as dg
import pytest

from redcap_dagster import REDCapResource, build_redcap_definitions
from redcap_dagster.api import REDCapClient
from redcap_dagster.tables import get_column_type, split_by_instrument
from tests.dagster_runs import (
    materializations,
    studying,
    summary,
)
from tests.fixture_projects.conftest import SHARED

# -- every project ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    sorted(SHARED.glob("projects/*/project*.xml")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_every_project_materializes(path: Path, tmp_path: Path) -> None:
    """Stored tables are those of an export taken apart from the op, typed by the dictionary."""
    with studying(tmp_path, path) as study:
        result = study.run()
        assert result.success
        made = materializations(result)
        client = REDCapClient(study.sandbox.url, study.token)
        export = client.export_records_table(
            export_survey_fields=True,
            export_data_access_groups=True,
            export_blank_for_gray_form_status=True,
        )
        project = client.export_structure().project(export.column_names)
        truth = split_by_instrument(export, project, blank_status=True)
        assert sum(map(len, truth.values())) >= export.num_rows
        for form, records in truth.items():
            assert study.table(f"study_records.{form}").to_pylist() == records.to_pylist()
            clean = study.table(f"study_clean.{form}")
            assert clean.num_rows == records.num_rows
            assert clean.column_names == records.column_names
            types = summary(made[f"study/clean/{form}"], "type")
            for column in project.columns(form):
                if not types[column.name].endswith("(inferred)"):
                    kind = clean.schema.field(column.name).type
                    assert kind == get_column_type(column.field).arrow, column.name
            keys = list(project.key_columns(form))
            assert clean.column_names[: len(keys)] == keys
            assert clean.select(keys).group_by(keys).aggregate([]).num_rows == clean.num_rows
        expected = ["project", "fields", "choices", "instruments"]
        expected += ["events", "form_events"] * project.is_longitudinal
        expected += ["repeating"] * project.has_repeating
        layers = {key for key in made if key.startswith("study/metadata/")}
        assert layers == {f"study/metadata/{table}" for table in expected}


def test_a_project_xml_is_a_structure(fixtures: Path) -> None:
    definitions = build_redcap_definitions(
        name="study",
        redcap=REDCapResource(url="https://redcap.example.edu/api/", token=dg.EnvVar("NOT_SET")),
        project=fixtures / "projects/simple/project.xml",
    )
    assert dg.AssetKey(["study", "clean", "race_and_ethnicity"]) in (
        definitions.resolve_all_asset_keys()
    )
