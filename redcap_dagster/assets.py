"""The assets of one project: metadata, records, clean."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from redcap_dagster.checks.rules import CheckRules, check_rules
from redcap_dagster.execution.ops import OpSettings, metadata_asset, tables_asset
from redcap_dagster.execution.recipe import Recipe
from redcap_dagster.partitions import bucket_count
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.specs.asset_specs import SpecOptions, rules_for, table_specs
from redcap_dagster.specs.translator import DagsterREDCapTranslator
from redcap_dagster.tables import CleaningRules


def build_redcap_assets_definitions(
    *,
    name: str,
    project: REDCapProject,
    instruments: Sequence[str] | None = None,
    rules: CleaningRules | None = None,
    translator: DagsterREDCapTranslator | None = None,
    checks: CheckRules | None = None,
    buckets: int | None = None,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    allow_shrink: bool = False,
    preview_rows: int = 0,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str | None = None,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    io_manager_key: str | None = None,
    url: str | None = None,
    storage_kind: str | None = None,
    op_name: str | None = None,
    op_description: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    pool: str | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    retry_policy: dg.RetryPolicy | None = None,
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
        checks: What is changed about the checks.
        buckets: Spreads the records over that many partitions, by their ids; metadata are not
            partitioned. Each bucket is exported, cleaned and stored by itself. Types are then
            given by dictionary and rules alone and never inferred: no bucket sees all values.
        partitions_def: The same, as `redcap_dagster.partitions.buckets` gives it for a number.
        allow_shrink: Lets tables be replaced although much of them is gone, or hidden by the
            rights of the token's user. For one run, the run tag ``redcap/allow_shrink`` does
            the same.
        preview_rows: How many of its first rows each table of an instrument shows in Dagster. By
            default none: they are people's health data, which Dagster would keep in its own
            database and show to all who may see its pages, as long as it remembers the run.
        key_prefix: Comes before all keys.
        group_name: Instead of the project's name.
        owners: Of all assets, besides those that the translator gives.
        tags: Of all assets, likewise.
        freshness_policy: Of all assets; see `fresh_within`.
        automation_condition: Of all assets; see `on_change`.
        io_manager_key: The resource that keeps the tables, instead of ``NAME__io_manager``.
        url: The address of the API, for links to the project.
        storage_kind: What Dagster shows as the kind of storage, such as ``duckdb``.
        op_name: The op of records and clean tables, instead of ``NAME__tables``; that of metadata
            is then called ``OP_NAME__metadata``.
        op_description: Of the two ops.
        op_tags: Of the two ops.
        pool: The pool whose limit the two ops share.
        backfill_policy: Of the two ops.
        retry_policy: When an op fails as a whole and trying again may help: the network, a server
            that fails or is too busy, an answer that is broken or incomplete. What REDCap refuses
            is not tried again, nor is a form that fails alone.

    Returns:
        Two multi-assets, ``NAME__metadata`` and ``NAME__tables``; any subset of either can be
        materialized.

    Raises:
        StructureError: The project has no such form, or the rules name a field or form that it
            lacks.
        ValueError: The name or the partitions cannot be used.
    """
    shown = SpecOptions(
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
    run = OpSettings(
        name=op_name or f"{name}__tables",
        description=op_description,
        pool=pool,
        tags=op_tags or {},
        backfill_policy=backfill_policy,
        retry_policy=retry_policy,
    )
    rules = rules_for(rules, shown.buckets)
    checks = checks or CheckRules()
    _check_fields(project, rules)
    check_rules(checks, project)
    tables = table_specs(name, project, instruments, rules, translator, checks, shown)
    recipe = Recipe(tables, project, rules, checks, preview_rows, allow_shrink)
    return [
        metadata_asset(recipe, replace(run, name=f"{op_name or name}__metadata")),
        tables_asset(recipe, run),
    ]


def _check_fields(project: REDCapProject, rules: CleaningRules) -> None:
    known = {
        field.field_name
        for form in project.instruments
        for field in project.form_fields(form.instrument_name)
    }
    if project.record_id_field in rules.types:
        raise StructureError(
            f"The rules give a type to {project.record_id_field!r}; a record id is always text."
        )
    unknown = sorted(set(rules.types) - known)
    if unknown:
        raise StructureError(f"The rules give types to fields that the project lacks: {unknown}.")
