"""The two ops of a project: one for its metadata, one for its records and clean tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import ProjectStructure, REDCapClient
from redcap_dagster.catalog.column_schema import plain_schema
from redcap_dagster.catalog.how_to_request import (
    census_request_metadata,
    structure_request_metadata,
)
from redcap_dagster.catalog.metadata import asset_result, project_metadata, time_metadata
from redcap_dagster.catalog.source import ProjectSource
from redcap_dagster.checks.findings import dictionary_drift
from redcap_dagster.execution.all_tables import make_all_tables
from redcap_dagster.execution.bucket_checks import merge_bucket_checks
from redcap_dagster.execution.guards.new_columns import refuse_new_columns
from redcap_dagster.execution.guards.other_project import refuse_other_project
from redcap_dagster.execution.guards.shrinking import refuse_to_shrink
from redcap_dagster.execution.op_failures import op_failure, unevaluated_checks, will_be_retried
from redcap_dagster.execution.op_settings import OpSettings
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.execution.record_source import observe_groups_and_surveys
from redcap_dagster.execution.run import Result, Run, export_selected, start_run
from redcap_dagster.execution.stored_tables import IO_MANAGER_KEY, fit_to_io_manager
from redcap_dagster.markdown import build_markdown_table
from redcap_dagster.partitions import buckets
from redcap_dagster.project import (
    Event,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    REDCapProject,
    Repeating,
    compare_projects,
)
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.resource import get_project_client
from redcap_dagster.tables import (
    census_table,
    choices_table,
    list_logic_problems,
    read_contents,
    structure_table,
)

# -- metadata -----------------------------------------------------------------------------------


def metadata_asset(recipe: Recipe, settings: OpSettings, op_name: str) -> dg.AssetsDefinition:
    """Return the op ``NAME__metadata``, which exports the structure of the project as tables."""
    tables = recipe.tables

    def make_metadata(context: dg.AssetExecutionContext, client: REDCapClient) -> Iterator[Result]:
        selection = Selection.from_context(context)
        began = datetime.now(UTC)
        try:
            structure = client.export_structure()
            project = structure.project()
            source = ProjectSource.of(client.url, project)
            replaced = [spec for spec in tables.metadata.values() if selection.has(spec)]
            refuse_other_project(context, tables, source, replaced)
            exported = _metadata_tables(structure, project)
            for name, spec in tables.metadata.items():
                if selection.has(spec):
                    refuse_new_columns(context, spec, plain_schema(exported[name]))
        except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
            if not will_be_retried(context, settings.retry_policy, error):
                yield from unevaluated_checks(recipe, selection, tables.metadata.values(), error)
            raise op_failure(tables.name, error) from None
        for name, spec in tables.metadata.items():
            results = []
            if selection.checks_of(spec):
                found = compare_projects(recipe.known, project)
                drift = dictionary_drift(found, in_use=tables.records)
                results = [recipe.check_result(spec, drift)]
            if selection.has(spec):
                yield asset_result(
                    spec,
                    read_contents(exported[name]),
                    plain_schema(exported[name]),
                    client.digest_key,
                    metadata={
                        **project_metadata(client.url, project),
                        **time_metadata(began),
                        **structure_request_metadata(client.url, name),
                        **(_describe_logic(context, project) if name == "fields" else {}),
                    },
                    check_results=results,
                )
            else:
                yield from results

    specs = list(tables.metadata.values())
    return _build_op(recipe, settings, op_name, specs, make_metadata)


def _describe_logic(
    context: dg.AssetExecutionContext, project: REDCapProject
) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Return the fields whose logic cannot be evaluated as metadata, if there are any."""
    problems = list_logic_problems(project)
    if not problems:
        return {}
    names = list_names(list(dict.fromkeys(each.field for each in problems)))
    context.log.warning(
        f"Fields whose logic cannot be evaluated, so that it cannot be said whether they were "
        f"asked, or what they should hold: {names}. Correct it in REDCap's Online Designer."
    )
    rows = [(each.field, each.instrument, each.text) for each in problems]
    table = build_markdown_table(["field", "instrument", "problem"], rows)
    return {"redcap/logic_problems": dg.MetadataValue.md(table)}


def _metadata_tables(structure: ProjectStructure, project: REDCapProject) -> dict[str, pa.Table]:
    """Return all metadata tables by name, also those that the project has no asset of."""
    return {
        "project": structure_table([structure.info], ProjectInfo),
        "fields": structure_table(structure.metadata, Field),
        "choices": choices_table(project),
        "instruments": structure_table(structure.instruments, Instrument),
        "events": structure_table(structure.events, Event),
        "form_events": structure_table(structure.form_event_mapping, FormEvent),
        "repeating": structure_table(structure.repeating, Repeating),
    }


# -- records and clean --------------------------------------------------------------------------


def tables_asset(recipe: Recipe, settings: OpSettings, op_name: str) -> dg.AssetsDefinition:
    """Return the op ``NAME__tables``: the census, and each instrument's records and clean table.

    The export is one snapshot of all instruments. An instrument that fails does not stop the
    others: these are stored, and the op fails at its end with the names of the failed instruments
    and the reasons. If a table cannot be stored, Dagster itself ends the op.

    Each selected check has one result. If only checks are selected, no table is stored.
    `export_complete` and `nothing_hidden` then judge an export that is made for them, all other
    checks the stored records or a clean table that is made from these. A check that cannot be
    evaluated does not pass.
    """
    tables = recipe.tables
    specs = tables.of_records

    def make_tables(context: dg.AssetExecutionContext, client: REDCapClient) -> Iterator[Result]:
        selection = Selection.from_context(context, tables.buckets)
        results = make_selected(context, client, selection)
        if tables.buckets:
            results = merge_bucket_checks(context, recipe, selection, results)
        yield from results

    def make_selected(
        context: dg.AssetExecutionContext, client: REDCapClient, selection: Selection
    ) -> Iterator[Result]:
        try:
            run = start_run(context, recipe, selection, client)
            replaced = [spec for spec in specs if selection.has(spec)]
            loaded = [spec for name, spec in tables.records.items() if run.loads_records(name)]
            refuse_other_project(context, tables, run.source, replaced, loaded)
            run = export_selected(run)
            refuse_to_shrink(run)
            census = _census_results(run)
        except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
            if not will_be_retried(context, settings.retry_policy, error):
                yield from unevaluated_checks(recipe, selection, specs, error)
            raise op_failure(tables.name, error) from None
        yield from census
        yield from make_all_tables(run)

    partitions = buckets(tables.buckets) if tables.buckets else None
    return _build_op(recipe, settings, op_name, specs, make_tables, partitions)


def _census_results(run: Run) -> list[Result]:
    """Return the census to be stored, if it is selected.

    Raises:
        StructureError: It cannot be stored beside or in place of the stored one.
    """
    spec = run.recipe.tables.census
    if run.census is None or not run.selection.has(spec):
        return []
    project = observe_groups_and_surveys(run.project, run.census, run.recipe.known)
    table = census_table(run.census, project)
    refuse_new_columns(run.context, spec, plain_schema(table), run.recipe.tables.buckets)
    metadata = {
        **run.metadata,
        **census_request_metadata(
            run.client.url, run.project.record_id_field, ACCESS_GROUP in run.census.column_names
        ),
        "redcap/belongs_nowhere": run.unplaced_cells,
    }
    contents, schema = read_contents(table), plain_schema(table)
    return [asset_result(spec, contents, schema, run.client.digest_key, metadata=metadata)]


# -- both -----------------------------------------------------------------------------------------


def _build_op(
    recipe: Recipe,
    settings: OpSettings,
    name: str,
    specs: Sequence[dg.AssetSpec],
    make: Callable[[dg.AssetExecutionContext, REDCapClient], Iterator[Result]],
    partitions: dg.PartitionsDefinition[str] | None = None,
) -> dg.AssetsDefinition:
    """Return an op that makes any subset of some assets and evaluates any of their checks."""
    resource = f"{recipe.tables.name}__redcap"
    io_managers = {str(spec.metadata[IO_MANAGER_KEY]) for spec in recipe.tables.all}
    by_key = {spec.key: spec for spec in specs}

    @dg.multi_asset(
        name=name,
        description=settings.description,
        specs=specs,
        check_specs=[check for check in recipe.tables.checks if check.asset_key in by_key],
        can_subset=True,
        required_resource_keys={resource, *io_managers},
        pool=settings.pool,
        op_tags=dict(settings.tags),
        partitions_def=partitions,
        backfill_policy=settings.backfill_policy,
        retry_policy=settings.retry_policy,
    )
    def op(context: dg.AssetExecutionContext) -> Iterator[Result]:
        keys = {*context.selected_asset_keys}
        keys |= {check.asset_key for check in context.selected_asset_check_keys}
        if renamed := sorted(keys - by_key.keys()):
            raise _renamed_failure(recipe.tables.name, renamed)
        redcap = getattr(context.resources, resource)
        for result in make(context, get_project_client(recipe.tables.name, redcap)):
            if isinstance(result, dg.MaterializeResult) and result.asset_key is not None:
                spec = by_key[result.asset_key]
                result = fit_to_io_manager(context, spec, result, recipe.frames)
            yield result

    return op


def _renamed_failure(name: str, renamed: Sequence[dg.AssetKey]) -> dg.Failure:
    """Return the failure of an op whose assets have other keys than those that it makes."""
    return dg.Failure(
        f"REDCap project {name}: this op does not know {renamed[0].to_user_string()} (of "
        f"{len(renamed)} assets), as the assets were renamed after they were built, for example by "
        "key_prefix of load_assets_from_modules. Give "
        "translator=DagsterREDCapTranslator(key_prefix=...) instead.",
        allow_retries=False,
    )
