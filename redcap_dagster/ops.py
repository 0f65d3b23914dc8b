"""The two ops of a project: one exports its structure, the other its records, and cleans them."""

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import ProjectStructure, REDCapClient, REDCapError
from redcap_dagster.catalog import (
    data_version,
    describe,
    instrument_schema,
    plain_schema,
)
from redcap_dagster.intake import (
    as_seen,
    export_forms,
    has_header,
    left_over,
    still_there,
    stored_records,
)
from redcap_dagster.io_managers import to_frame
from redcap_dagster.project import (
    Event,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    REDCapProject,
    Repeating,
    StructureError,
)
from redcap_dagster.tables import (
    CleaningRules,
    census_table,
    choices_table,
    clean,
    duplicate_keys,
    hidden_columns,
    instrument_table,
    structure_table,
)


@dataclass(frozen=True)
class TableSpecs:
    """The assets of one project: the spec of each table, by its name."""

    name: str
    metadata: Mapping[str, dg.AssetSpec]
    census: dg.AssetSpec
    records: Mapping[str, dg.AssetSpec]
    clean: Mapping[str, dg.AssetSpec]


@dataclass(frozen=True)
class OpSettings:
    """How Dagster runs an op."""

    name: str
    pool: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    backfill_policy: dg.BackfillPolicy | None = None
    retry_policy: dg.RetryPolicy | None = None


# -- metadata -----------------------------------------------------------------------------------


def metadata_asset(tables: TableSpecs, settings: OpSettings) -> dg.AssetsDefinition:
    """Make the op ``NAME__metadata``: what REDCap says of the project, as exported."""
    resource = f"{tables.name}__redcap"

    @dg.multi_asset(
        name=settings.name,
        specs=list(tables.metadata.values()),
        can_subset=True,
        required_resource_keys={resource},
        pool=settings.pool,
        op_tags=settings.tags,
        backfill_policy=settings.backfill_policy,
        retry_policy=settings.retry_policy,
    )
    def metadata(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        client: REDCapClient = getattr(context.resources, resource).get_client()
        structure = client.export_structure()
        exported = {
            "project": structure_table([structure.info], ProjectInfo),
            "fields": structure_table(structure.metadata, Field),
            "choices": choices_table(structure.project()),
            "instruments": structure_table(structure.instruments, Instrument),
            "events": structure_table(structure.events, Event),
            "form_events": structure_table(structure.form_event_mapping, FormEvent),
            "repeating": structure_table(structure.repeating, Repeating),
        }
        for table_name, spec in tables.metadata.items():
            if spec.key in context.selected_asset_keys:
                table = exported[table_name]
                yield _result(client, spec, table, plain_schema(table))

    return metadata


# -- records and clean --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """What one run of the op has at hand: one moment's structure and, if asked for, records."""

    client: REDCapClient
    structure: ProjectStructure
    export: pa.Table | None = field(repr=False)


def tables_asset(
    tables: TableSpecs, settings: OpSettings, known: REDCapProject, rules: CleaningRules
) -> dg.AssetsDefinition:
    """Make the op ``NAME__tables``: the census, and the records and clean table of each form.

    One export is one moment for all forms. A form that fails stops no other: what succeeded is
    stored, and the op fails at its end, naming the forms and the reasons. Where a table cannot be
    stored, Dagster itself ends the op: that is the warehouse's failure, not the form's.

    Args:
        tables: The assets.
        settings: How Dagster runs the op.
        known: The structure when definitions were loaded; see `redcap_dagster.intake.as_seen`.
        rules: How records become clean tables.
    """
    resource = f"{tables.name}__redcap"

    @dg.multi_asset(
        name=settings.name,
        specs=[tables.census, *tables.records.values(), *tables.clean.values()],
        can_subset=True,
        required_resource_keys={resource},
        pool=settings.pool,
        op_tags=settings.tags,
        backfill_policy=settings.backfill_policy,
        retry_policy=settings.retry_policy,
    )
    def records_and_clean(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        client: REDCapClient = getattr(context.resources, resource).get_client()
        structure = client.export_structure()
        forms = _selected(context, tables.records)
        export = None
        if forms or tables.census.key in context.selected_asset_keys:
            present = still_there(structure, forms)
            lost: Mapping[str, int] = {}
            if present:
                exported = export_forms(client, structure, present)
                export, census = exported.table, exported.census
                lost = left_over(context, structure, export, known, rules)
            else:
                census = client.export_census()
            if tables.census.key in context.selected_asset_keys:
                table = census_table(census, as_seen(structure, census, known))
                yield _result(
                    client, tables.census, table, plain_schema(table), belongs_nowhere=lost
                )
        run = _Run(client, structure, export)
        failed: dict[str, str] = {}
        for form in dict.fromkeys([*forms, *_selected(context, tables.clean)]):
            try:
                yield from _instrument(context, tables, run, form, known, rules)
            except (StructureError, REDCapError) as error:
                failed[form] = str(error)
            except Exception as error:  # noqa: BLE001 other libraries' texts may hold cell values
                failed[form] = _place(error)
        if failed:
            reasons = "; ".join(f"{form}: {reason}" for form, reason in failed.items())
            raise dg.Failure(
                f"Instruments that failed, while all others asked for are stored: {reasons}",
                allow_retries=False,
            )

    return records_and_clean


def _instrument(
    context: dg.AssetExecutionContext,
    tables: TableSpecs,
    run: _Run,
    form: str,
    known: REDCapProject,
    rules: CleaningRules,
) -> Iterator[dg.MaterializeResult[Any]]:
    """Give the tables of one instrument that are selected: from the export, or from storage."""
    if not still_there(run.structure, [form]):
        raise StructureError("REDCap no longer has this instrument; reload the code location.")
    spec = tables.records[form]
    if run.export is not None and spec.key in context.selected_asset_keys:
        project = as_seen(run.structure, run.export, known)
        records = instrument_table(
            run.export,
            project,
            form,
            blank_status=project.honours_blank_status,
            keep_unsaved=rules.keep_unsaved,
        )
        twins = duplicate_keys(records, project, form)
        if twins:
            raise StructureError(
                f"{twins} rows have the key of another row, as if REDCap had sent them twice. Run "
                "again; if it stays so, the repeating set-up is not what REDCap says of it."
            )
        schema = instrument_schema(records, project, form)
        hidden: list[str] = []
        if has_header(run.export):
            hidden = hidden_columns(run.export.column_names, project, form)
        yield _result(run.client, spec, records, schema, hidden_columns=hidden)
    else:
        records = stored_records(context, spec.key)
        project = as_seen(run.structure, records, known)
    spec = tables.clean[form]
    if spec.key in context.selected_asset_keys:
        cleaned = clean(records, form, project, rules)
        yield _result(
            run.client,
            spec,
            cleaned.table,
            instrument_schema(cleaned.table, project, form),
            replaced=cleaned.replaced,
            unfit=cleaned.unfit,
            inferred_types=cleaned.inferred,
        )


def _place(error: Exception) -> str:
    """Say where an error came up in this package, and its type, but not its text."""
    here = Path(__file__).parent
    frames = [
        (Path(frame.filename).relative_to(here), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(here)
    ]
    file, line = frames[-1]
    return f"unexpected {type(error).__name__} at {file}:{line}"


def _selected(context: dg.AssetExecutionContext, specs: Mapping[str, dg.AssetSpec]) -> list[str]:
    return [table for table, spec in specs.items() if spec.key in context.selected_asset_keys]


def _result(
    client: REDCapClient,
    spec: dg.AssetSpec,
    table: pa.Table,
    schema: dg.TableSchema,
    **entries: Any,
) -> dg.MaterializeResult[Any]:
    return dg.MaterializeResult(
        asset_key=spec.key,
        value=to_frame(table),
        metadata=describe(table, schema, **entries),
        data_version=data_version(table, client.digest_key),
    )
