"""The two ops of a project: one exports its structure, the other its records, and cleans them."""

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from redcap_dagster.api import ProjectStructure, REDCapClient, REDCapError
from redcap_dagster.catalog import (
    data_version,
    describe,
    from_frame,
    instrument_schema,
    plain_schema,
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
    export: pa.Table | None


def tables_asset(
    tables: TableSpecs, settings: OpSettings, known: REDCapProject, rules: CleaningRules
) -> dg.AssetsDefinition:
    """Make the op ``NAME__tables``: the census, and the records and clean table of each form.

    One export is one moment for all forms. A form that fails stops no other: what succeeded is
    stored, and the op fails at its end, naming the forms and the reasons.

    Args:
        tables: The assets.
        settings: How Dagster runs the op.
        known: The structure when definitions were loaded; see `_as_seen`.
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
            census = client.export_census()
            if tables.census.key in context.selected_asset_keys:
                table = census_table(census, _as_seen(structure, census, known))
                yield _result(client, tables.census, table, plain_schema(table))
            present = _still_there(structure, forms)
            if present:
                export = _export(client, structure, present, census)
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
                f"Instruments that failed: {len(failed)}; the others are stored. {reasons}",
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
    if not _still_there(run.structure, [form]):
        raise StructureError("REDCap no longer has this instrument; reload the code location.")
    spec = tables.records[form]
    if run.export is not None and spec.key in context.selected_asset_keys:
        project = _as_seen(run.structure, run.export, known)
        records = instrument_table(
            run.export,
            project,
            form,
            blank_status=project.honours_blank_status,
            keep_unsaved=rules.keep_unsaved,
        )
        schema = instrument_schema(records, project, form)
        hidden = hidden_columns(run.export.column_names, project, form)
        yield _result(run.client, spec, records, schema, hidden_columns=hidden)
    else:
        stored = context.load_asset_value(spec.key, python_type=pd.DataFrame)
        records = from_frame(stored)
        project = _as_seen(run.structure, records, known)
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


def _export(
    client: REDCapClient, structure: ProjectStructure, forms: list[str], census: pa.Table
) -> pa.Table:
    """Export the records of forms, all as of one moment, and hold them against the census."""
    project = structure.project()
    export = client.export_records_table(
        forms=None if len(forms) == len(structure.instruments) else forms,
        export_survey_fields=True,
        # The census has them, if this token may see them; to ask all the same would be refused.
        export_data_access_groups="redcap_data_access_group" in census.column_names,
        export_blank_for_gray_form_status=project.honours_blank_status,
    )
    client.check_complete(export, census)
    return export


def _place(error: Exception) -> str:
    *_, frame = traceback.extract_tb(error.__traceback__)
    return f"unexpected {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def _selected(context: dg.AssetExecutionContext, specs: Mapping[str, dg.AssetSpec]) -> list[str]:
    return [table for table, spec in specs.items() if spec.key in context.selected_asset_keys]


def _still_there(structure: ProjectStructure, forms: list[str]) -> list[str]:
    present = {row["instrument_name"] for row in structure.instruments}
    return [form for form in forms if form in present]


def _as_seen(structure: ProjectStructure, rows: pa.Table, known: REDCapProject) -> REDCapProject:
    """Build the project of this run; the header of its rows tells of access groups and surveys.

    A server that sends no header for no rows leaves both as they were when definitions loaded.
    """
    if rows.column_names:
        return structure.project(header=rows.column_names)
    return replace(
        structure.project(),
        has_access_groups=known.has_access_groups,
        has_survey_identifier=known.has_survey_identifier,
        surveys=known.surveys,
    )


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
