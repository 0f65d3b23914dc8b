"""An export of a real project in many requests is the export in one."""

from pathlib import Path

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.fixture_projects.conftest import SHARED

PROJECTS = sorted(SHARED.glob("projects/*/project*.xml"))


SIZES = [(1, 1), (60, 4), (700, 2)]
CASES = [
    pytest.param(
        *(path, max_cells, concurrency),
        # A request for each of its cells takes half a minute.
        marks=[pytest.mark.slow] * (path.parent.name == "repeating-events" and max_cells < 700),
        id=f"{path.parent.name}-{path.stem}-{max_cells}-{concurrency}",
    )
    for path in PROJECTS
    for max_cells, concurrency in SIZES
]


@pytest.mark.parametrize(("path", "max_cells", "concurrency"), CASES)
@pytest.mark.usefixtures("fixtures")
def test_pieces_make_the_whole(
    sandbox: Sandbox, path: Path, max_cells: int, concurrency: int
) -> None:
    token = sandbox.add_project(path)
    asked = {
        "export_survey_fields": True,
        "export_data_access_groups": True,
        "export_blank_for_gray_form_status": True,
    }
    whole = REDCapClient(sandbox.url, token, max_cells=None).export_records_table(**asked)  # type: ignore[arg-type]
    client = REDCapClient(sandbox.url, token, max_cells=max_cells, concurrency=concurrency)

    export = client.export_snapshot(**asked)  # type: ignore[arg-type]

    assert export.table.column_names == whole.column_names
    assert export.table.equals(whole)
    assert export.consistent
    assert not export.notes
    if max_cells == 1 and whole.num_rows > 1:
        assert export.requests > whole.num_rows
    (form,) = {client.export_instruments()[-1]["instrument_name"]}
    some = REDCapClient(sandbox.url, token, max_cells=None).export_records_table(forms=[form])
    assert client.export_records_table(forms=[form]).equals(some)
