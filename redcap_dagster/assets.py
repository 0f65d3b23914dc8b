"""The assets of one project: metadata, records, clean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import dagster as dg

from redcap_dagster.checks import CheckRules, Layer, check_rules, with_rules
from redcap_dagster.ops import OpSettings, metadata_asset, tables_asset
from redcap_dagster.project import Instrument, REDCapProject, StructureError
from redcap_dagster.recipe import Recipe, TableSpecs
from redcap_dagster.tables import CleaningRules
from redcap_dagster.translator import DagsterREDCapTranslator, REDCapTableProps


class AssetOptions(TypedDict, total=False):
    """How Dagster shows and runs the assets of a project; by default as it does any other.

    Attributes:
        key_prefix: Comes before all keys.
        group_name: Instead of the project's name.
        owners: Of all assets.
        tags: Of all assets.
        freshness_policy: Of all assets.
        automation_condition: Of all assets.
        op_name: The op of records and clean tables, instead of ``NAME__tables``; that of metadata
            is then called ``OP_NAME__metadata``.
        pool: The pool whose limit the two ops share.
        op_tags: Of the two ops.
        backfill_policy: Of the two ops.
        retry_policy: When an op fails as a whole; a form that fails alone is not tried again.
        io_manager_key: The resource that keeps the tables, instead of ``NAME__io_manager``.
        checks: What is changed about the checks.
    """

    key_prefix: str | Sequence[str]
    group_name: str
    owners: Sequence[str]
    tags: Mapping[str, str]
    freshness_policy: dg.FreshnessPolicy
    automation_condition: dg.AutomationCondition[Any]
    op_name: str
    pool: str
    op_tags: Mapping[str, Any]
    backfill_policy: dg.BackfillPolicy
    retry_policy: dg.RetryPolicy
    io_manager_key: str
    checks: CheckRules


def build_redcap_assets_definitions(
    *,
    name: str,
    project: REDCapProject,
    instruments: Sequence[str] | None = None,
    rules: CleaningRules | None = None,
    translator: DagsterREDCapTranslator | None = None,
    **options: Unpack[AssetOptions],
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
        **options: See `AssetOptions`.

    Returns:
        Two multi-assets, ``NAME__metadata`` and ``NAME__tables``; any subset of either can be
        materialized.

    Raises:
        StructureError: The project has no such form, or the rules name a field or form that it
            lacks.
        ValueError: The name cannot be used.
    """
    check_name(name)
    rules = rules or CleaningRules()
    _check_fields(project, rules)
    checks = options.get("checks", CheckRules())
    check_rules(checks, project)
    tables = _specs(
        name,
        project,
        _chosen(project, instruments),
        translator or DagsterREDCapTranslator(),
        options,
    )
    settings = OpSettings(
        name=options.get("op_name", f"{name}__tables"),
        pool=options.get("pool"),
        tags=options.get("op_tags", {}),
        backfill_policy=options.get("backfill_policy"),
        retry_policy=options.get("retry_policy"),
    )
    of_metadata = replace(settings, name=f"{options.get('op_name', name)}__metadata")
    recipe = Recipe(tables, project, rules, checks)
    return [metadata_asset(recipe, of_metadata), tables_asset(recipe, settings)]


def check_name(name: str) -> None:
    """Refuse a name that cannot be the first part of keys, ops, schemas and resources."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"The name {name!r} cannot be used: begin with a lower case letter, go on with lower "
            "case letters, digits and underscores."
        )


def _check_fields(project: REDCapProject, rules: CleaningRules) -> None:
    known = {
        field.field_name
        for form in project.instruments
        for field in project.fields_of(form.instrument_name)
    }
    if project.record_id_field in rules.types:
        raise StructureError(
            f"The rules give a type to {project.record_id_field!r}; a record id is always text."
        )
    unknown = sorted(set(rules.types) - known)
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
    options: AssetOptions,
) -> TableSpecs:
    rules = options.get("checks", CheckRules())
    checks: list[dg.AssetCheckSpec] = []

    def spec(layer: Layer, table: str, instrument: Instrument | None = None) -> dg.AssetSpec:
        props = REDCapTableProps(name, layer, table, instrument, project)
        translated = _with_options(translator.get_asset_spec(props), options)
        form = None if instrument is None else instrument.instrument_name
        own = translator.get_check_specs(props, translated)
        checks.extend(with_rules(own, translated.key, rules, form))
        if "dagster/io_manager_key" in translated.metadata:
            return translated  # the translator's own choice
        return translated.with_io_manager_key(options.get("io_manager_key", f"{name}__io_manager"))

    def after(own: dg.AssetSpec, *upstream: dg.AssetSpec) -> dg.AssetSpec:
        return own.merge_attributes(deps=[other.key for other in upstream])

    metadata = {table: spec("metadata", table) for table in _metadata_tables(project)}
    fields = metadata["fields"]
    records = {
        form.instrument_name: after(spec("records", form.instrument_name, form), fields)
        for form in instruments
    }
    clean = {
        form.instrument_name: after(
            spec("clean", form.instrument_name, form), records[form.instrument_name], fields
        )
        for form in instruments
    }
    census = after(spec("records", "_census"), fields)
    return TableSpecs(name, metadata, census, records, clean, tuple(checks))


def _with_options(spec: dg.AssetSpec, options: AssetOptions) -> dg.AssetSpec:
    """Put what was asked for all assets onto one; owners and tags add to its own."""
    key = spec.key.with_prefix(options["key_prefix"]) if "key_prefix" in options else spec.key
    return spec.replace_attributes(
        key=key,
        group_name=options.get("group_name", spec.group_name),
        freshness_policy=options.get("freshness_policy", spec.freshness_policy),
        automation_condition=options.get("automation_condition", spec.automation_condition),
    ).merge_attributes(owners=options.get("owners", []), tags=options.get("tags", {}))


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
