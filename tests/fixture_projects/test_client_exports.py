"""Projects of real servers come out of the sandbox, through the client, as in their XML."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.xml.reader import read_odm
from redcap_dagster.sandbox import Sandbox
from tests.fixture_projects.conftest import SHARED

PROJECTS = sorted((SHARED / "projects").glob("*/*.xml"))


# -- whole projects -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_a_project_comes_out_as_it_is_in_its_xml(path: Path, sandbox: Sandbox) -> None:
    client = REDCapClient(sandbox.url, sandbox.add_project(str(path)))
    wanted = read_odm(path)

    project = client.export_project()
    frame = client.export_records(export_survey_fields=True, export_data_access_groups=True)
    streamed = pa.Table.from_batches(client.stream_records())
    census = client.export_census()

    assert project.fields == wanted.project.fields
    assert project.form_events == wanted.project.form_events
    assert project.record_id_field == wanted.project.record_id_field
    assert set(project.repeating) == set(wanted.project.repeating)
    assert project.surveys == wanted.project.surveys
    assert project.has_access_groups == wanted.project.has_access_groups
    assert REDCapProject.from_json(project.to_json()) == project
    assert set(streamed.column_names) <= set(frame.columns)
    assert streamed.num_rows == len(frame)
    ids = {point.record for point in wanted.points}
    assert set(frame[project.record_id_field]) == ids
    assert set(census[project.record_id_field].to_pylist()) == ids
    # An XML of an old server has times as XML writes them.
    stored = {
        (point.record, point.field_name, re.sub(r"^(\d{4}-\d\d-\d\d)T", r"\1 ", point.value))
        for point in wanted.points
        if point.field_name in frame.columns
    }
    assert bool(stored) == bool(wanted.points)
    got = {
        (record, field_name, value)
        for field_name in {name for _, name, _ in stored}
        for record, value in zip(frame[project.record_id_field], frame[field_name], strict=True)
    }
    assert stored <= got
