"""Projects of real servers on every kind of server: exported, made tables, imported, the same."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.api import REDCapClient
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import ACCESS_GROUP, SURVEY_IDENTIFIER, timestamp_column
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import DIALECTS, Dialect
from redcap_dagster.tables import CleaningRules, clean, split_by_instrument, to_frame
from tests.fixture_projects.conftest import SHARED

PROJECTS = sorted(SHARED.glob("projects/*/project*.xml"))
SERVERS = [*DIALECTS.values(), Dialect.draw(1)]
# A request for each of its many cells takes seconds.
SLOW = ("repeating-events", "longitudinal")
# Without records, and with values that were entered before their fields had validations.
NO_COPY = ("empty-rows", "problematic")


def _make_case(path: Path, server: Dialect, *, slow: bool) -> Any:
    name = f"{path.parent.name}-{path.stem}-{server.name}"
    marks = [pytest.mark.slow] * (slow or path.parent.name in SLOW)
    return pytest.param(path, server, id=name, marks=marks)


ALL = [
    # Each project on one server; all on all in CI.
    _make_case(path, server, slow=(number + other) % len(SERVERS) > 0)
    for number, path in enumerate(PROJECTS)
    for other, server in enumerate(SERVERS)
]
SOME = [
    _make_case(path, SERVERS[number % len(SERVERS)], slow=False)
    for number, path in enumerate(PROJECTS)
    if not any(name in path.parent.name for name in NO_COPY)
]


def _export(client: REDCapClient) -> pa.Table:
    return client.export_records_table(
        export_blank_for_gray_form_status=True,
        export_survey_fields=True,
        export_data_access_groups=True,
    )


@pytest.mark.parametrize(("path", "dialect"), ALL)
def test_a_project_is_the_same_after_its_tables_are_imported(path: Path, dialect: Dialect) -> None:
    with Sandbox(dialect=dialect) as server:
        client = REDCapClient(server.url, server.add_project(path), retries=0)
        before = _export(client)
        project = client.export_structure().project(header=before.column_names)

        for form, records in split_by_instrument(before, project).items():
            frame = to_frame(clean(records, form, project, CleaningRules()).table)
            if len(frame):
                assert client.records.import_(frame, dry_run=True).changes == ()
                client.records.import_(frame)

        assert _export(client) == before


@pytest.mark.parametrize(("path", "dialect"), SOME)
def test_a_copy_has_what_the_tables_hold(path: Path, dialect: Dialect, tmp_path: Path) -> None:
    with Sandbox(dialect=dialect) as server:
        client = REDCapClient(server.url, server.add_project(path), retries=0)
        (bare := tmp_path / "bare.xml").write_text(
            client.projects.export_xml(return_metadata_only=True)
        )
        copy = REDCapClient(server.url, server.add_project(bare), retries=0)
        export = _export(client)
        project = client.export_structure().project(header=export.column_names)
        left_out = _list_columns_of_servers(project)
        if not project.is_longitudinal:  # some records have no row in any table
            copy.records.import_(
                export.select([project.record_id_field])
                .group_by(project.record_id_field)
                .aggregate([])
            )

        for records in split_by_instrument(export, project).values():
            if records.num_rows:
                own = [name for name in records.column_names if name not in left_out]
                copy.records.import_(records.select(own))

        before, after = (one.export_records_table() for one in (client, copy))
        same = [name for name in before.column_names if name not in left_out]
        assert after.select(same) == before.select(same)


def _list_columns_of_servers(project: REDCapProject) -> set[str]:
    """Return the columns that only a server fills."""
    computed = {one.field_name for one in project.fields if one.field_type in ("file", "calc")}
    surveys = {timestamp_column(form) for form in project.surveys}
    return computed | surveys | {SURVEY_IDENTIFIER, ACCESS_GROUP}
