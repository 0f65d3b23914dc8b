"""The two ops of a project: one exports its structure, the other its records, and cleans them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from redcap_dagster.api import REDCapClient
from redcap_dagster.catalog.column_schema import plain_schema
from redcap_dagster.catalog.metadata import asset_result, exported_at, origin
from redcap_dagster.checks.findings import dictionary_drift
from redcap_dagster.execution.bucket_checks import over_buckets
from redcap_dagster.execution.instrument import (
    Result,
    Run,
    checks_in,
    instrument_results,
    is_asked_of_redcap,
)
from redcap_dagster.execution.op_failures import failure, is_tried_again, unanswered
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.execution.record_source import (
    as_seen,
    export_forms,
    left_over,
    of_buckets,
    still_there,
)
from redcap_dagster.execution.shrink_guard import refuse_to_shrink
from redcap_dagster.failures import reason
from redcap_dagster.partitions import buckets
from redcap_dagster.project import (
    Event,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    Repeating,
    changes,
)
from redcap_dagster.tables import census_table, choices_table, structure_table


@dataclass(frozen=True)
class OpSettings:
    """How Dagster runs an op."""

    name: str
    description: str | None = None
    pool: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    backfill_policy: dg.BackfillPolicy | None = None
    retry_policy: dg.RetryPolicy | None = None


# -- metadata -----------------------------------------------------------------------------------


def metadata_asset(recipe: Recipe, settings: OpSettings) -> dg.AssetsDefinition:
    """Make the op ``NAME__metadata``: what REDCap says of the project, as exported."""
    tables = recipe.tables
    resource = f"{tables.name}__redcap"
    keys = {spec.key for spec in tables.metadata.values()}

    @dg.multi_asset(
        name=settings.name,
        description=settings.description,
        specs=list(tables.metadata.values()),
        check_specs=[check for check in tables.checks if check.asset_key in keys],
        can_subset=True,
        required_resource_keys={resource},
        pool=settings.pool,
        op_tags=settings.tags,
        backfill_policy=settings.backfill_policy,
        retry_policy=settings.retry_policy,
    )
    def metadata(context: dg.AssetExecutionContext) -> Iterator[Result]:
        client: REDCapClient = getattr(context.resources, resource).get_client()
        selection = Selection.of(context)
        began = datetime.now(UTC)
        try:
            structure = client.export_structure()
        except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
            if not is_tried_again(context, settings.retry_policy, error):
                yield from unanswered(recipe, selection, tables.metadata.values(), error)
            raise failure(error) from None
        project = structure.project()
        told = {**origin(client.url, project), **exported_at(began)}
        exported = {
            "project": structure_table([structure.info], ProjectInfo),
            "fields": structure_table(structure.metadata, Field),
            "choices": choices_table(project),
            "instruments": structure_table(structure.instruments, Instrument),
            "events": structure_table(structure.events, Event),
            "form_events": structure_table(structure.form_event_mapping, FormEvent),
            "repeating": structure_table(structure.repeating, Repeating),
        }
        for table_name, spec in tables.metadata.items():
            results = []
            if selection.checks_of(spec):
                found = changes(recipe.known, project)
                drift = dictionary_drift(found, in_use=tables.records)
                results = [recipe.judged(spec, drift)]
            if selection.has(spec):
                table = exported[table_name]
                yield asset_result(
                    spec,
                    table,
                    plain_schema(table),
                    client.digest_key,
                    metadata=told,
                    check_results=results,
                )
            else:
                yield from results

    return metadata


# -- records and clean --------------------------------------------------------------------------


def tables_asset(recipe: Recipe, settings: OpSettings) -> dg.AssetsDefinition:
    """Make the op ``NAME__tables``: the census, and the records and clean table of each form.

    One export is one moment for all forms. A form that fails stops no other: what succeeded is
    stored, and the op fails at its end, naming the forms and the reasons. Where a table cannot be
    stored, Dagster itself ends the op: that is the warehouse's failure, not the form's.

    Each check that is asked for gives one result. Where only checks are asked for, nothing is
    stored: those of clean tables, and `keys_unique` and `rows_not_dropping`, judge the stored
    records; `export_complete` and `nothing_hidden` judge an export that is made for them. What
    cannot be judged, because its form failed or is not in storage, does not pass.
    """
    tables = recipe.tables
    resource = f"{tables.name}__redcap"
    specs = [tables.census, *tables.records.values(), *tables.clean.values()]
    keys = {spec.key for spec in specs}

    @dg.multi_asset(
        name=settings.name,
        description=settings.description,
        specs=specs,
        check_specs=[check for check in tables.checks if check.asset_key in keys],
        can_subset=True,
        required_resource_keys={resource},
        pool=settings.pool,
        op_tags=settings.tags,
        partitions_def=buckets(tables.buckets) if tables.buckets else None,
        backfill_policy=settings.backfill_policy,
        retry_policy=settings.retry_policy,
    )
    def records_and_clean(context: dg.AssetExecutionContext) -> Iterator[Result]:
        client: REDCapClient = getattr(context.resources, resource).get_client()
        selection = Selection.of(context, tables.buckets)
        results = made(context, client, selection)
        if tables.buckets:
            results = over_buckets(context, recipe, selection, results)
        yield from results

    def made(
        context: dg.AssetExecutionContext, client: REDCapClient, selection: Selection
    ) -> Iterator[Result]:
        try:
            run = _taken_in(context, recipe, selection, client)
        except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
            if not is_tried_again(context, settings.retry_policy, error):
                yield from unanswered(recipe, selection, specs, error)
            raise failure(error) from None
        if selection.has(tables.census) and run.census is not None:
            table = census_table(run.census, as_seen(run.project, run.census, recipe.known))
            yield asset_result(
                tables.census,
                table,
                plain_schema(table),
                client.digest_key,
                metadata={**run.origin, "redcap/belongs_nowhere": run.lost},
            )
        yield from _each_instrument(run)

    return records_and_clean


def _taken_in(
    context: dg.AssetExecutionContext, recipe: Recipe, selection: Selection, client: REDCapClient
) -> Run:
    """Ask REDCap for what is needed: the structure always, census and records if asked for."""
    began = datetime.now(UTC)
    structure = client.export_structure()
    run = Run(context, recipe, selection, client, structure.project(), began)
    tables = recipe.tables
    forms = [form for form in tables.records if is_asked_of_redcap(recipe, selection, form)]
    present = still_there(run.project, forms)
    if not (present or selection.has(tables.census)):
        return run
    among = of_buckets(structure.record_id_field, tables.buckets, selection.buckets)
    if not present:
        whole = client.export_census()
        run = replace(run, census=among(whole) if among else whole, listed=whole.num_rows)
    else:
        export = export_forms(client, structure, run.project, present, context.log, among)
        project = as_seen(run.project, export.table, recipe.known)
        lost = left_over(context, export.table, project, recipe.rules)
        run = replace(
            run,
            project=project,
            census=export.census,
            listed=export.listed,
            forms=present,
            export=export,
            lost=lost,
        )
    refuse_to_shrink(run)
    return run


def _each_instrument(run: Run) -> Iterator[Result]:
    """Give what is asked for of every instrument, whether or not others fail.

    Raises:
        Failure: Some failed; it names them.
    """
    tables, selection = run.recipe.tables, run.selection
    failed: dict[str, str] = {}
    for form, *specs in zip(
        tables.records, tables.records.values(), tables.clean.values(), strict=True
    ):
        if not any(selection.has(spec) or selection.checks_of(spec) for spec in specs):
            continue
        answered: set[tuple[dg.AssetKey | None, str | None]] = set()
        try:
            for result in instrument_results(run, form):
                answered |= checks_in(result)
                yield result
        except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
            failed[form] = reason(error)
            yield from unanswered(run.recipe, selection, specs, error, answered)
    if failed:
        reasons = "; ".join(f"{form}: {reason}" for form, reason in failed.items())
        raise dg.Failure(
            f"Instruments that failed, while all others asked for are stored: {reasons}",
            allow_retries=False,
        )
