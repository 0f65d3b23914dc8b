"""The table of the forms' status, after the last instrument of a run."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from redcap_dagster.catalog.column_schema import plain_schema
from redcap_dagster.catalog.metadata import asset_result, project_metadata, time_metadata
from redcap_dagster.execution.all_forms.forms import AllForms
from redcap_dagster.execution.guards.new_columns import refuse_new_columns
from redcap_dagster.execution.record_source import observe_groups_and_surveys
from redcap_dagster.execution.run import Result, Run
from redcap_dagster.execution.stored_tables import load_history
from redcap_dagster.tables import census_table, read_contents
from redcap_dagster.tables.status import STATUS_DESCRIPTIONS, build_status, draw_completeness


def status_results(run: Run, forms: AllForms, queries: pa.Table | None) -> Iterator[Result]:
    """Yield the table of the forms' status.

    Args:
        run: The run.
        forms: All instruments of the run, after the last one.
        queries: The open list of queries that the run made; None if it did not.

    Raises:
        StructureError: The census is not stored, or the table cannot be stored.
    """
    tables = run.recipe.tables
    spec = tables.status["forms"]
    forms.collect(judged=False)
    census = forms.find_census()
    project = observe_groups_and_surveys(run.project, census, run.recipe.known)
    if queries is None and tables.queries:
        stored = load_history(run.context, tables.queries["open"], run.selection.buckets)
        queries = pa.concat_tables(stored, promote_options="default") if stored else None
    table = build_status(
        census_table(census, project),
        {name: records.table for name, records in forms.records.items()},
        run.project,
        hidden=[name for records in forms.records.values() for name in records.hidden],
        queries=queries,
    )
    schema = plain_schema(table, STATUS_DESCRIPTIONS)
    refuse_new_columns(run.context, spec, schema, tables.buckets)
    metadata = {
        **project_metadata(run.client.url, run.project),
        **time_metadata(run.began),
        "redcap/completeness": dg.MetadataValue.md(draw_completeness(table, run.project)),
        "redcap/not_judged": dict(forms.failed),
    }
    yield asset_result(spec, read_contents(table), schema, run.client.digest_key, metadata=metadata)
