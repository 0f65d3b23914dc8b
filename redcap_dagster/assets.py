"""The assets of one project: metadata, records, clean; two ops make them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from redcap_dagster.translator import DagsterREDCapTranslator, Layer, REDCapTableProps


@dataclass(frozen=True)
class _Tables:
    """The assets of one project, by table."""

    name: str
    metadata: dict[str, dg.AssetSpec]
    census: dg.AssetSpec
    records: dict[str, dg.AssetSpec]
    clean: dict[str, dg.AssetSpec]


def build_redcap_assets_definitions(
    *,
    name: str,
    project: REDCapProject,
    instruments: Sequence[str] | None = None,
    rules: CleaningRules | None = None,
    translator: DagsterREDCapTranslator | None = None,
) -> list[dg.AssetsDefinition]:
    """Build the assets of one project, for people who compose their own `Definitions`.

    They need the resources ``NAME__redcap``, a `REDCapResource`, and ``NAME__io_manager``, which
    keeps pandas DataFrames.

    Args:
        name: What the project is called in Dagster: first part of all keys and group name; lower
            case letters, digits and underscores.
        project: The structure; it says which assets there are. What types a table is the structure
            that a run fetches.
        instruments: The forms to have assets of; all by default.
        rules: How records become clean tables.
        translator: Makes the specs; override it to change them.

    Returns:
        Two multi-assets, ``NAME__metadata`` and ``NAME__tables``; any subset of either can be
        materialized.

    Raises:
        StructureError: The project has no such form, or the rules name a field that it lacks.
        ValueError: The name cannot be used.
    """
    check_name(name)
    rules = rules or CleaningRules()
    _check_fields(project, rules)
    tables = _specs(
        name, project, _chosen(project, instruments), translator or DagsterREDCapTranslator()
    )
    return [_metadata_asset(tables), _tables_asset(tables, project, rules)]


def check_name(name: str) -> None:
    """Refuse a name that cannot be the first part of keys, ops, schemas and resources."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"The name {name!r} cannot be used: begin with a lower case letter, go on with lower "
            "case letters, digits and underscores."
        )


def _check_fields(project: REDCapProject, rules: CleaningRules) -> None:
    unknown = sorted(set(rules.types) - {field.field_name for field in project.fields})
    if unknown:
        raise StructureError(f"The rules give types to fields that the project lacks: {unknown}.")


def _chosen(project: REDCapProject, names: Sequence[str] | None) -> list[Instrument]:
    if isinstance(names, str):
        raise TypeError("instruments is a list of form names; got a single text.")
    known = {instrument.instrument_name: instrument for instrument in project.instruments}
    unknown = sorted(set(names or ()) - known.keys())
    if unknown:
        raise StructureError(f"The project has no instruments {unknown}; it has {list(known)}.")
    return [form for name, form in known.items() if names is None or name in names]


def _specs(
    name: str,
    project: REDCapProject,
    instruments: list[Instrument],
    translator: DagsterREDCapTranslator,
) -> _Tables:
    def spec(layer: Layer, table: str, instrument: Instrument | None = None) -> dg.AssetSpec:
        props = REDCapTableProps(name, layer, table, instrument, project)
        translated = translator.get_asset_spec(props)
        return translated.with_io_manager_key(f"{name}__io_manager")

    def after(own: dg.AssetSpec, *upstream: dg.AssetSpec) -> dg.AssetSpec:
        return own.merge_attributes(deps=[other.key for other in upstream])

    metadata = {table: spec("metadata", table) for table in _metadata_tables(project)}
    fields = metadata["fields"]
    records = {
        form.instrument_name: after(spec("records", form.instrument_name, form), fields)
        for form in instruments
    }
    return _Tables(
        name,
        metadata,
        after(spec("records", "_census"), fields),
        records,
        {
            form.instrument_name: after(
                spec("clean", form.instrument_name, form), records[form.instrument_name], fields
            )
            for form in instruments
        },
    )


def _metadata_tables(project: REDCapProject) -> list[str]:
    """Name the metadata tables that a project has."""
    return [
        "project",
        "fields",
        "choices",
        "instruments",
        *(["events", "form_events"] if project.is_longitudinal else []),
        *(["repeating"] if project.has_repeating else []),
    ]


# -- metadata -----------------------------------------------------------------------------------


def _metadata_asset(tables: _Tables) -> dg.AssetsDefinition:
    resource = f"{tables.name}__redcap"

    @dg.multi_asset(
        name=f"{tables.name}__metadata",
        specs=list(tables.metadata.values()),
        can_subset=True,
        required_resource_keys={resource},
    )
    def metadata(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        client: REDCapClient = getattr(context.resources, resource).get_client()
        structure = client.export_structure()
        exported = {
            "project": lambda: structure_table([structure.info], ProjectInfo),
            "fields": lambda: structure_table(structure.metadata, Field),
            "choices": lambda: choices_table(structure.project()),
            "instruments": lambda: structure_table(structure.instruments, Instrument),
            "events": lambda: structure_table(structure.events, Event),
            "form_events": lambda: structure_table(structure.form_event_mapping, FormEvent),
            "repeating": lambda: structure_table(structure.repeating, Repeating),
        }
        for table_name, spec in tables.metadata.items():
            if spec.key in context.selected_asset_keys:
                table = exported[table_name]()
                yield _result(client, spec, table, plain_schema(table))

    return metadata


# -- records and clean --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """What one run of the op has at hand: one moment's structure and, if asked for, records."""

    client: REDCapClient
    structure: ProjectStructure
    export: pa.Table | None


def _tables_asset(
    tables: _Tables, known: REDCapProject, rules: CleaningRules
) -> dg.AssetsDefinition:
    resource = f"{tables.name}__redcap"

    @dg.multi_asset(
        name=f"{tables.name}__tables",
        specs=[tables.census, *tables.records.values(), *tables.clean.values()],
        can_subset=True,
        required_resource_keys={resource},
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
            if forms:
                export = _export(client, structure, forms, census)
        run = _Run(client, structure, export)
        failed: dict[str, str] = {}
        for form in dict.fromkeys([*forms, *_selected(context, tables.clean)]):
            try:
                yield from _instrument(context, tables, run, form, known, rules)
            except (StructureError, REDCapError) as error:
                failed[form] = str(error)
            except Exception as error:  # noqa: BLE001 other libraries' texts may hold cell values
                failed[form] = f"unexpected {type(error).__name__}"
        if failed:
            reasons = "; ".join(f"{form}: {reason}" for form, reason in failed.items())
            raise dg.Failure(
                f"Instruments that failed: {len(failed)}; the others are stored. {reasons}",
                allow_retries=False,
            )

    return records_and_clean


def _instrument(
    context: dg.AssetExecutionContext,
    tables: _Tables,
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
    present = _still_there(structure, forms)
    export = client.export_records_table(
        forms=None if len(present) == len(structure.instruments) else present,
        export_survey_fields=True,
        # The census has them, if this token may see them; to ask all the same would be refused.
        export_data_access_groups="redcap_data_access_group" in census.column_names,
        export_blank_for_gray_form_status=project.honours_blank_status,
    )
    client.check_complete(export, census)
    return export


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
