"""The specs of one project's assets: what Dagster knows of its tables without the ops."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict, Unpack

import dagster as dg
from dagster_shared.libraries import DagsterLibraryRegistry

from redcap_dagster.checks import CheckRules, Layer, with_rules
from redcap_dagster.project import Instrument, REDCapProject, StructureError
from redcap_dagster.recipe import TableSpecs
from redcap_dagster.tables import CleaningRules
from redcap_dagster.translator import DagsterREDCapTranslator, REDCapTableProps
from redcap_dagster.versions import code_version

_MOST_KINDS = 3  # of an asset; Dagster refuses more

# Dagster says which libraries a code location has.
DagsterLibraryRegistry.register(
    "redcap-dagster", version("redcap-dagster"), is_dagster_package=False
)


class SpecOptions(TypedDict, total=False):
    """How Dagster shows the assets of a project; by default as it does any other.

    Attributes:
        key_prefix: Comes before all keys.
        group_name: Instead of the project's name.
        owners: Of all assets.
        tags: Of all assets.
        freshness_policy: Of all assets; see `fresh_within`.
        automation_condition: Of all assets; see `on_change`.
        io_manager_key: The resource that keeps the tables, instead of ``NAME__io_manager``.
        url: The address of the API, for links to the project; `build_redcap_definitions` takes it
            from the resource, where it is written out.
        storage_kind: What Dagster shows as the kind of storage, such as ``duckdb``;
            `build_redcap_definitions` takes it from the IO manager, where it is one of this
            package.
    """

    key_prefix: str | Sequence[str]
    group_name: str
    owners: Sequence[str]
    tags: Mapping[str, str]
    freshness_policy: dg.FreshnessPolicy
    automation_condition: dg.AutomationCondition[Any]
    io_manager_key: str
    url: str
    storage_kind: str


def load_redcap_asset_specs(
    *,
    name: str,
    project: REDCapProject | str | Path,
    instruments: Sequence[str] | None = None,
    rules: CleaningRules | None = None,
    translator: DagsterREDCapTranslator | None = None,
    **options: Unpack[SpecOptions],
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
        **options: See `SpecOptions`.

    Returns:
        A spec for each table, with its upstream assets.

    Raises:
        StructureError: The project has no such form.
        ValueError: The name cannot be used, or the file is no project XML.

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
        project = REDCapProject.from_xml(project)
    rules = rules or CleaningRules()
    checks = CheckRules()
    return table_specs(name, project, instruments, rules, translator, checks, options).all


def check_name(name: str) -> None:
    """Refuse a name that cannot be the first part of keys, ops, schemas and resources."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
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
        props = REDCapTableProps(name, layer, table, instrument, project, options.get("url", ""))
        version = code_version(layer, project, instrument, rules)
        translated = _with_options(translator.get_asset_spec(props), version, options)
        form = None if instrument is None else instrument.instrument_name
        own = translator.get_check_specs(props, translated)
        checks.extend(with_rules(own, translated.key, check_rules, form))
        # All at once: Dagster checks a spec anew each time that something is added to it.
        return translated.merge_attributes(
            deps=[other.key for other in upstream],
            metadata={
                "dagster/io_manager_key": options.get("io_manager_key", f"{name}__io_manager"),
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
    return TableSpecs(name, metadata, census, records, clean, tuple(checks))


def _with_options(spec: dg.AssetSpec, version: str, options: SpecOptions) -> dg.AssetSpec:
    """Put what was asked for all assets onto one; owners and tags add to its own."""
    shown = ("group_name", "freshness_policy", "automation_condition")
    changed: dict[str, Any] = {name: value for name, value in options.items() if name in shown}
    if spec.code_version is None:
        changed["code_version"] = version
    if "key_prefix" in options:
        changed["key"] = spec.key.with_prefix(options["key_prefix"])
    if "storage_kind" in options and len(spec.kinds) < _MOST_KINDS:
        changed["kinds"] = spec.kinds | {options["storage_kind"]}
    if changed:
        spec = spec.replace_attributes(**changed)
    if "owners" in options or "tags" in options:
        owners, tags = options.get("owners", []), options.get("tags", {})
        spec = spec.merge_attributes(owners=owners, tags=tags)
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
