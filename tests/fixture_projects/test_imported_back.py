"""Projects of real servers: their clean tables are imported back, and nothing changes."""

from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.frames import to_frame
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables import CleaningRules, clean, split_by_instrument
from tests.fixture_projects.conftest import SHARED

FILES = [*SHARED.glob("projects/*/project*.xml"), *SHARED.glob("*/*.xml")]
CODES = CleaningRules(labels="codes", checkboxes="lists")


@pytest.mark.parametrize("path", sorted(str(path.relative_to(SHARED)) for path in FILES))
def test_a_clean_table_changes_nothing(path: str, fixtures: Path, sandbox: Sandbox) -> None:
    token = sandbox.add_project(fixtures / path)
    client = REDCapClient(sandbox.url, token, retries=0, rate_limit=None)
    asked: dict[str, Any] = {"export_blank_for_gray_form_status": True}
    before = client.export_records_table(**asked)
    export = client.export_records_table(export_survey_fields=True)
    project = client.export_structure().project(header=export.column_names)

    for form, table in split_by_instrument(export, project).items():
        if table.num_rows:
            labeled = to_frame(clean(table, form, project, CleaningRules()).table)
            coded = clean(table, form, project, CODES).table
            for data in (labeled, coded):
                assert client.records.import_(data, dry_run=True).changes == ()
                client.records.import_(data)
    if export.num_rows:
        client.records.import_(export, overwrite_behavior="overwrite")

    assert client.export_records_table(**asked).equals(before)
