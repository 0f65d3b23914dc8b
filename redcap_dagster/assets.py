"""The assets of one project: metadata, records, clean."""

from collections.abc import Sequence
from typing import Any, Literal

import dagster as dg

from redcap_dagster.automation import FreshnessSettings
from redcap_dagster.checks.query_settings import QuerySettings
from redcap_dagster.checks.rules import CheckRules, check_rules, load_own_rules
from redcap_dagster.execution.op_settings import OpSettings
from redcap_dagster.execution.ops import metadata_asset, tables_asset
from redcap_dagster.execution.recipe import Recipe
from redcap_dagster.io_managers import Storage
from redcap_dagster.options import refuse_mistakes
from redcap_dagster.partitions import PartitionSettings
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.specs.asset_specs import table_specs
from redcap_dagster.specs.spec_options import SpecOptions, cleaning_rules, spec_options
from redcap_dagster.specs.translator import DagsterREDCapTranslator
from redcap_dagster.tables import CleaningRules


@refuse_mistakes
def build_redcap_assets_definitions(
    *,
    name: str,
    project: REDCapProject,
    instruments: Sequence[str] | None = None,
    cleaning: CleaningRules | None = None,
    checks: CheckRules | None = None,
    partitions: PartitionSettings | None = None,
    storage: Storage | None = None,
    freshness: FreshnessSettings | dg.FreshnessPolicy | None = None,
    automation: dg.AutomationCondition[Any] | Literal["on_change"] | None = None,
    op: OpSettings | None = None,
    translator: DagsterREDCapTranslator | None = None,
    queries: QuerySettings | bool = False,
    status: bool = False,
) -> list[dg.AssetsDefinition]:
    """Return the assets of one project, for people who compose their own `Definitions`.

    They need the resources ``NAME__redcap``, a `REDCapResource`, and ``NAME__io_manager``, an IO
    manager for pandas DataFrames.

    Args:
        name: Name of the project in Dagster: first part of all keys and groups. Lower case letters,
            digits and underscores.
        project: Structure; it decides which assets exist. The types of tables come from the
            structure that each run fetches.
        instruments: Names of the instruments that get assets. Defaults to all.
        cleaning: How records become clean tables. Defaults to `CleaningRules()`.
        checks: Settings of the checks. Defaults to `CheckRules()`.
        partitions: Partitions of the records. Defaults to none.
        storage: Where the tables are stored: the IO manager itself, for the kind that Dagster's UI
            shows, or `StorageSettings` for a resource of another key. Defaults to the resource
            ``NAME__io_manager``.
        freshness: How old the tables may be: `FreshnessSettings`, or a policy of Dagster's.
            Defaults to no policy.
        automation: Automation condition of all assets, or ``on_change``; see `on_change`. Defaults
            to none.
        op: How Dagster runs the two ops. Defaults to `OpSettings()`.
        translator: Names and attributes of the assets. Defaults to `DagsterREDCapTranslator()`.
        queries: True or `QuerySettings` for lists of queries: what to mend, with links, and its
            history. Defaults to False.
        status: Whether there is a table of the status of each form. Defaults to False.

    Returns:
        Two multi-assets, ``NAME__metadata`` and ``NAME__tables``; any subset of either can be
        materialized.

    Raises:
        StructureError: The project does not have an instrument or a field that an option names.
        TypeError: An option is misspelled.
        ValueError: The name cannot be used.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "record_id", "form_name": "visit"}])
        >>> [assets.op.name for assets in build_redcap_assets_definitions(
        ...     name="trial", project=project, op=OpSettings(pool="redcap_example_edu"))]
        ['trial__metadata', 'trial__tables']
    """
    return build_assets(
        name,
        project,
        instruments,
        cleaning,
        checks or CheckRules(),
        op or OpSettings(),
        spec_options(
            partitions, storage, freshness, automation, translator, queries, status=status
        ),
    )


def build_assets(
    name: str,
    project: REDCapProject,
    instruments: Sequence[str] | None,
    cleaning: CleaningRules | None,
    checks: CheckRules,
    op: OpSettings,
    options: SpecOptions,
) -> list[dg.AssetsDefinition]:
    """Return the assets of one project; see `build_redcap_assets_definitions`."""
    rules = cleaning_rules(cleaning, options.buckets)
    _check_fields(project, rules)
    check_rules(checks, project, rules)
    checks = load_own_rules(checks)
    tables = table_specs(name, project, instruments, rules, checks, options)
    if options.queries is not None:
        options.queries.check_rules([rule.name for rule in checks.own_rules])
    recipe = Recipe(
        tables, project, rules, checks, op.preview_rows, options.frames, options.queries
    )
    return [
        metadata_asset(recipe, op, f"{op.name or name}__metadata"),
        tables_asset(recipe, op, op.name or f"{name}__tables"),
    ]


def _check_fields(project: REDCapProject, rules: CleaningRules) -> None:
    known = {
        field.field_name
        for form in project.instruments
        for field in project.instrument_fields(form.instrument_name)
    }
    if project.record_id_field in rules.types:
        raise StructureError(
            f"cleaning: types has the record id field {project.record_id_field!r}, which is always "
            "text. Leave it out."
        )
    unknown = sorted(set(rules.types) - known)
    if unknown:
        raise StructureError(
            f"cleaning: types has fields that the project does not have: {unknown}. Correct their "
            "names, or leave them out."
        )
