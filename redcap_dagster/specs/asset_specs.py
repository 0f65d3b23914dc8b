"""The specs of one project's assets, declared without the ops that materialize them."""

import logging
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster_shared.libraries import DagsterLibraryRegistry

from redcap_dagster.automation import FreshnessSettings
from redcap_dagster.catalog.column_schema import clean_schema
from redcap_dagster.catalog.versions import code_version
from redcap_dagster.checks.checks import Layer, own_check_specs
from redcap_dagster.checks.query_settings import QuerySettings
from redcap_dagster.checks.rules import CheckRules, apply_rules
from redcap_dagster.io_managers import Storage, StorageSettings, place_metadata, storage_kind
from redcap_dagster.options import refuse_mistakes, shown_name
from redcap_dagster.partitions import BUCKET, PartitionSettings, buckets
from redcap_dagster.project import Instrument, REDCapProject, StructureError, from_xml
from redcap_dagster.specs.spec_options import SpecOptions, cleaning_rules, spec_options
from redcap_dagster.specs.table_specs import TableSpecs
from redcap_dagster.specs.translator import DagsterREDCapTranslator, REDCapTableProps
from redcap_dagster.tables import CleaningRules
from redcap_dagster.tables.quality import OwnRule, describe_problems, resolve_rules

logger = logging.getLogger("redcap_dagster")

NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Pattern of a project's name, with which keys, ops, schemas and resources begin."""

_TABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
"""Pattern of an instrument whose name can be part of the names that Dagster makes of its keys."""

_QUERIES = ("open", "history")
_STATUS = ("forms",)

_MOST_KINDS = 3  # of an asset; Dagster refuses more

# Dagster says which libraries a code location has.
DagsterLibraryRegistry.register(
    "redcap-dagster", version("redcap-dagster"), is_dagster_package=False
)


@refuse_mistakes
def load_redcap_asset_specs(
    *,
    name: str,
    project: REDCapProject | str | Path,
    instruments: Sequence[str] | None = None,
    cleaning: CleaningRules | None = None,
    partitions: PartitionSettings | None = None,
    storage: Storage | None = None,
    freshness: FreshnessSettings | dg.FreshnessPolicy | None = None,
    automation: dg.AutomationCondition[Any] | Literal["on_change"] | None = None,
    translator: DagsterREDCapTranslator | None = None,
    queries: QuerySettings | bool = False,
    status: bool = False,
) -> list[dg.AssetSpec]:
    """Return the specs of one project's assets, without the ops that materialize them.

    In `dagster.Definitions`, the specs are external assets: a code location shows the tables that
    another one materializes, and its own assets can depend on them. You can also materialize them
    with your own `multi_asset`. The resource ``NAME__io_manager`` loads the tables that assets take
    as inputs.

    Args:
        name: Name of the project in Dagster.
        project: Structure, or path of a project XML. ``export_project()`` of a client fetches it.
        instruments: Names of the instruments that get assets. Defaults to all.
        cleaning: Cleaning rules; they are part of each asset's code version. Defaults to
            `CleaningRules()`.
        partitions: Partitions of the records. Defaults to none.
        storage: Where the tables are stored. Defaults to the resource ``NAME__io_manager``.
        freshness: How old the tables may be. Defaults to no policy.
        automation: Automation condition of all assets; see `on_change`. Defaults to none.
        translator: Names and attributes of the assets. Defaults to `DagsterREDCapTranslator()`.
        queries: Whether there are lists of queries. Defaults to False.
        status: Whether there is a table of the forms' status. Defaults to False.

    Returns:
        One spec for each table, with its upstream assets.

    Raises:
        StructureError: The project does not have one of the instruments.
        TypeError: An option is misspelled.
        ValueError: The name cannot be used, or the file is not a project XML.

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
    options = spec_options(
        partitions, storage, freshness, automation, translator, queries, status=status
    )
    cleaning = cleaning_rules(cleaning, options.buckets)
    return table_specs(name, project, instruments, cleaning, CheckRules(), options).all


def check_name(name: str) -> None:
    """Raise `ValueError` for a name that keys, ops, schemas and resources cannot begin with."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"The name {shown_name(name)!r} cannot be used: begin with a lower case letter, go on "
            "with lower case letters, digits and underscores."
        )


def _select_instruments(
    project_name: str, project: REDCapProject, names: Sequence[str] | None
) -> list[Instrument]:
    """Return the instruments that get assets, without those whose names Dagster refuses."""
    known = {instrument.instrument_name: instrument for instrument in project.instruments}
    unknown = sorted(set(names or ()) - known.keys())
    if unknown:
        raise StructureError(
            f"instruments: the project does not have {unknown}; it has {list(known)}. Correct the "
            "names, or leave them out."
        )
    chosen = [name for name in known if names is None or name in names]
    if unusable := [name for name in chosen if not _TABLE.fullmatch(name)]:
        logger.warning(
            "REDCap project %s: no assets for the instruments %s. Dagster takes names of letters, "
            "digits and underscores that do not begin with an underscore. Rename them in REDCap; "
            "its own names are all like that.",
            project_name,
            unusable,
        )
    return [known[name] for name in chosen if name not in unusable]


def table_specs(
    name: str,
    project: REDCapProject,
    instruments: Sequence[str] | None,
    cleaning: CleaningRules,
    check_rules: CheckRules,
    options: SpecOptions,
) -> TableSpecs:
    """Return the specs of all tables and their checks."""
    check_name(name)
    forms = _select_instruments(name, project, instruments)
    translator = options.translator
    storage = options.storage
    own_key = storage.io_manager_key if isinstance(storage, StorageSettings) else None
    io_manager_key = own_key or f"{name}__io_manager"
    checks: list[dg.AssetCheckSpec] = []
    resolved = resolve_rules(check_rules.own_rules, project)
    if problems := describe_problems(resolved):
        logger.warning("REDCap project %s: %s", name, problems)
    own_rules = _assign_rules(resolved, forms)

    def spec(
        layer: Layer, table: str, instrument: Instrument | None = None, *upstream: dg.AssetSpec
    ) -> dg.AssetSpec:
        props = REDCapTableProps(name, layer, table, instrument, project, options.url)
        version = code_version(layer, project, instrument, cleaning)
        translated = _with_options(translator.get_asset_spec(props), layer, version, options)
        form = None if instrument is None else instrument.instrument_name
        own = translator.get_check_specs(props, translated)
        checks.extend(apply_rules(own, translated.key, check_rules, form))
        if layer == "clean" and form in own_rules:
            checks.extend(own_check_specs(own_rules[form], translated.key))
        # All at once: Dagster checks a spec again each time that something is added to it.
        return translated.merge_attributes(
            deps=[other.key for other in upstream],
            metadata={
                "dagster/io_manager_key": io_manager_key,
                **place_metadata(storage, translated.key),
                **_column_metadata(layer, project, instrument, cleaning),
                **({} if translated.partitions_def is None else {"partition_expr": BUCKET}),
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
    queries = {
        table: spec("queries", table, None, *clean.values())
        for table in (_QUERIES if options.queries else ())
    }
    of_status = (census, *records.values(), *queries.values())
    status = {
        table: spec("status", table, None, *of_status)
        for table in (_STATUS if options.status else ())
    }
    return TableSpecs(
        name,
        metadata,
        census,
        records,
        clean,
        tuple(checks),
        options.buckets,
        own_rules,
        queries,
        status,
    )


def _assign_rules(
    rules: Sequence[OwnRule], forms: Sequence[Instrument]
) -> dict[str, tuple[OwnRule, ...]]:
    """Return the rules by the first of their instruments that has assets."""
    names = {form.instrument_name for form in forms}
    assigned: dict[str, tuple[OwnRule, ...]] = {}
    for rule in rules:
        for instrument in [each for each in rule.instruments if each in names][:1]:
            assigned[instrument] = (*assigned.get(instrument, ()), rule)
    return assigned


def _column_metadata(
    layer: Layer, project: REDCapProject, instrument: Instrument | None, cleaning: CleaningRules
) -> Mapping[str, dg.TableSchema]:
    """Return the columns of a clean table as metadata.

    Records have the same fields; with their columns too, a large code location would nearly double.
    """
    if layer != "clean" or instrument is None:
        return {}
    return {"dagster/column_schema": clean_schema(project, instrument.instrument_name, cleaning)}


def _with_options(
    spec: dg.AssetSpec, layer: Layer, version: str, options: SpecOptions
) -> dg.AssetSpec:
    """Add the options of all assets to the spec of one."""
    is_partitioned = options.partitions is not None and layer != "metadata"
    kind = storage_kind(options.storage)
    shows_kind = kind is not None and len(spec.kinds) < _MOST_KINDS
    added: dict[str, Any] = {
        "freshness_policy": options.freshness,
        "automation_condition": options.automation,
        "code_version": version if spec.code_version is None else None,
        "partitions_def": buckets(options.buckets) if is_partitioned else None,
        "kinds": {*spec.kinds, kind} if shows_kind else None,
    }
    changed = {name: value for name, value in added.items() if value is not None}
    return spec.replace_attributes(**changed) if changed else spec


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
