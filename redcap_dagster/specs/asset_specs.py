"""The specs of one project's assets: what Dagster knows of its tables without the ops."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.libraries import DagsterLibraryRegistry

from redcap_dagster.catalog.versions import code_version
from redcap_dagster.checks.rules import CheckRules, Layer, with_rules
from redcap_dagster.partitions import bucket_count, buckets
from redcap_dagster.project import Instrument, REDCapProject, StructureError, from_xml
from redcap_dagster.specs.table_specs import TableSpecs
from redcap_dagster.specs.translator import DagsterREDCapTranslator, REDCapTableProps
from redcap_dagster.tables import CleaningRules

NAME = re.compile(r"[a-z][a-z0-9_]*")
"""How a project can be called, so that keys, ops, schemas and resources can begin with it."""

_MOST_KINDS = 3  # of an asset; Dagster refuses more

# Dagster says which libraries a code location has.
DagsterLibraryRegistry.register(
    "redcap-dagster", version("redcap-dagster"), is_dagster_package=False
)


@dataclass(frozen=True)
class SpecOptions:
    """How Dagster shows the assets of a project; see `load_redcap_asset_specs`."""

    key_prefix: str | Sequence[str] | None = None
    group_name: str | None = None
    owners: Sequence[str] | None = None
    tags: Mapping[str, str] | None = None
    freshness_policy: dg.FreshnessPolicy | None = None
    automation_condition: dg.AutomationCondition[Any] | None = None
    io_manager_key: str | None = None
    url: str | None = None
    storage_kind: str | None = None
    buckets: int = 0


def load_redcap_asset_specs(
    *,
    name: str,
    project: REDCapProject | str | Path,
    instruments: Sequence[str] | None = None,
    rules: CleaningRules | None = None,
    translator: DagsterREDCapTranslator | None = None,
    buckets: int | None = None,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str | None = None,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    io_manager_key: str | None = None,
    url: str | None = None,
    storage_kind: str | None = None,
) -> list[dg.AssetSpec]:
    """Load the specs of one project's assets, without anything that makes them.

    Put into `dagster.Definitions` as they are, they are external assets: a code location shows,
    and hangs its own assets onto, what another one makes. Or make them by a `multi_asset` of yours.
    They need the resource ``NAME__io_manager``, which loads the tables where assets take them as
    inputs.

    Args:
        name: What the project is called in Dagster.
        project: The structure, or the path of a project XML. ``export_project()`` of a client
            fetches it.
        instruments: The forms to have assets of; all by default.
        rules: How records become clean tables, which is part of the version of an asset's code.
        translator: Makes the specs; override it to change them.
        buckets: How many partitions the records are spread over; none by default.
        partitions_def: The same, as `redcap_dagster.partitions.buckets` gives it for a number.
        key_prefix: Comes before all keys.
        group_name: Instead of the project's name.
        owners: Of all assets, besides those that the translator gives.
        tags: Of all assets, likewise.
        freshness_policy: Of all assets; see `fresh_within`.
        automation_condition: Of all assets; see `on_change`.
        io_manager_key: The resource that keeps the tables, instead of ``NAME__io_manager``.
        url: The address of the API, for links to the project.
        storage_kind: What Dagster shows as the kind of storage, such as ``duckdb``.

    Returns:
        A spec for each table, with its upstream assets.

    Raises:
        StructureError: The project has no such form.
        ValueError: The name or the partitions cannot be used, or the file is no project XML.

    Example:
        >>> specs = load_redcap_asset_specs(
        ...     name="trial",
        ...     project=REDCapProject.from_exports(
        ...         metadata=[{"field_name": "record_id", "form_name": "visit"}]))
        >>> specs[-1].key.to_user_string()
        'trial/clean/visit'
        >>> sorted(dep.asset_key.to_user_string() for dep in specs[-1].deps)
        ['trial/metadata/fields', 'trial/records/visit']
    """
    if not isinstance(project, REDCapProject):
        project = from_xml(project)
    options = SpecOptions(
        key_prefix=key_prefix,
        group_name=group_name,
        owners=owners,
        tags=tags,
        freshness_policy=freshness_policy,
        automation_condition=automation_condition,
        io_manager_key=io_manager_key,
        url=url,
        storage_kind=storage_kind,
        buckets=bucket_count(buckets, partitions_def),
    )
    rules = rules_for(rules, options.buckets)
    return table_specs(name, project, instruments, rules, translator, CheckRules(), options).all


def rules_for(rules: CleaningRules | None, buckets: int) -> CleaningRules:
    """Give the rules, by default as they are; no bucket sees all values to infer types from."""
    rules = rules or CleaningRules()
    return replace(rules, infer_types=False) if buckets else rules


def check_name(name: str) -> None:
    """Refuse a name that cannot be the first part of keys, ops, schemas and resources."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"The name {name!r} cannot be used: begin with a lower case letter, go on with lower "
            "case letters, digits and underscores."
        )


def _chosen(project: REDCapProject, names: Sequence[str] | None) -> list[Instrument]:
    if isinstance(names, str):
        raise TypeError("instruments is a list of form names; got a single text.")
    known = {instrument.instrument_name: instrument for instrument in project.instruments}
    unknown = sorted(set(names or ()) - known.keys())
    if unknown:
        raise StructureError(f"The project has no instruments {unknown}; it has {list(known)}.")
    return [form for name, form in known.items() if names is None or name in names]


def table_specs(
    name: str,
    project: REDCapProject,
    instruments: Sequence[str] | None,
    rules: CleaningRules,
    translator: DagsterREDCapTranslator | None,
    check_rules: CheckRules,
    options: SpecOptions,
) -> TableSpecs:
    """Make the specs of all tables and their checks."""
    check_name(name)
    forms = _chosen(project, instruments)
    translator = translator or DagsterREDCapTranslator()
    checks: list[dg.AssetCheckSpec] = []

    def spec(
        layer: Layer, table: str, instrument: Instrument | None = None, *upstream: dg.AssetSpec
    ) -> dg.AssetSpec:
        props = REDCapTableProps(name, layer, table, instrument, project, options.url or "")
        version = code_version(layer, project, instrument, rules)
        translated = _with_options(translator.get_asset_spec(props), layer, version, options)
        form = None if instrument is None else instrument.instrument_name
        own = translator.get_check_specs(props, translated)
        checks.extend(with_rules(own, translated.key, check_rules, form))
        # All at once: Dagster checks a spec anew each time that something is added to it.
        return translated.merge_attributes(
            deps=[other.key for other in upstream],
            metadata={
                "dagster/io_manager_key": options.io_manager_key or f"{name}__io_manager",
                **translated.metadata,  # the translator's own choice
                "redcap/layer": layer,
                "redcap/table": table,
            },
        )

    metadata = {table: spec("metadata", table) for table in _metadata_tables(project)}
    fields = metadata["fields"]
    records = {
        form.instrument_name: spec("records", form.instrument_name, form, fields) for form in forms
    }
    clean = {
        form.instrument_name: spec(
            "clean", form.instrument_name, form, records[form.instrument_name], fields
        )
        for form in forms
    }
    census = spec("records", "_census", None, fields)
    return TableSpecs(name, metadata, census, records, clean, tuple(checks), options.buckets)


def _with_options(
    spec: dg.AssetSpec, layer: Layer, version: str, options: SpecOptions
) -> dg.AssetSpec:
    """Put what was asked for all assets onto one; owners and tags add to its own."""
    is_spread = options.buckets and layer != "metadata"
    shows_kind = options.storage_kind and len(spec.kinds) < _MOST_KINDS
    asked: dict[str, Any] = {
        "group_name": options.group_name,
        "freshness_policy": options.freshness_policy,
        "automation_condition": options.automation_condition,
        "code_version": version if spec.code_version is None else None,
        "key": spec.key.with_prefix(options.key_prefix) if options.key_prefix else None,
        "partitions_def": buckets(options.buckets) if is_spread else None,
        "kinds": spec.kinds | {options.storage_kind} if shows_kind else None,
    }
    changed = {name: value for name, value in asked.items() if value is not None}
    if changed:
        spec = spec.replace_attributes(**changed)
    if options.owners or options.tags:
        spec = spec.merge_attributes(owners=options.owners or [], tags=options.tags or {})
    return spec


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
