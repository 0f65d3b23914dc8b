"""The assets of one project: metadata, records, clean."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import dagster as dg

from redcap_dagster.checks import CheckRules, check_rules
from redcap_dagster.ops import OpSettings, metadata_asset, tables_asset
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.recipe import Recipe
from redcap_dagster.specs import SpecOptions, table_specs
from redcap_dagster.tables import CleaningRules
from redcap_dagster.translator import DagsterREDCapTranslator


class AssetOptions(SpecOptions, total=False):
    """How Dagster shows and runs the assets of a project; by default as it does any other.

    Besides those of `SpecOptions`:

    Attributes:
        op_name: The op of records and clean tables, instead of ``NAME__tables``; that of metadata
            is then called ``OP_NAME__metadata``.
        op_description: Of the two ops.
        pool: The pool whose limit the two ops share.
        op_tags: Of the two ops.
        backfill_policy: Of the two ops.
        retry_policy: When an op fails as a whole and trying again may help: the network, a server
            that fails or is too busy, an answer that is broken or incomplete. What REDCap refuses
            is not tried again, nor is a form that fails alone.
        checks: What is changed about the checks.
        preview_rows: How many of its first rows each table of an instrument shows in Dagster. By
            default none: they are people's health data, which Dagster would keep in its own
            database and show to all who may see its pages, as long as it remembers the run.
        buckets: Spreads the records over that many partitions, by their ids; metadata are not
            partitioned. Each bucket is exported, cleaned and stored by itself. Types are then
            given by dictionary and rules alone and never inferred: no bucket sees all values.
        allow_shrink: Lets tables be replaced although much of them is gone, or hidden by the
            rights of the token's user. For one run, the run tag ``redcap/allow_shrink`` does
            the same.
    """

    op_name: str
    op_description: str
    pool: str
    op_tags: Mapping[str, Any]
    backfill_policy: dg.BackfillPolicy
    retry_policy: dg.RetryPolicy
    checks: CheckRules
    preview_rows: int
    buckets: int
    allow_shrink: bool


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
    rules = rules or CleaningRules()
    if options.get("buckets"):
        rules = replace(rules, infer_types=False)  # no bucket sees all values
    _check_fields(project, rules)
    checks = options.get("checks", CheckRules())
    check_rules(checks, project)
    tables = replace(
        table_specs(name, project, instruments, rules, translator, checks, options),
        buckets=options.get("buckets", 0),
    )
    settings = OpSettings(
        name=options.get("op_name", f"{name}__tables"),
        description=options.get("op_description"),
        pool=options.get("pool"),
        tags=options.get("op_tags", {}),
        backfill_policy=options.get("backfill_policy"),
        retry_policy=options.get("retry_policy"),
    )
    of_metadata = replace(settings, name=f"{options.get('op_name', name)}__metadata")
    recipe = Recipe(
        tables,
        project,
        rules,
        checks,
        options.get("preview_rows", 0),
        options.get("allow_shrink", False),
    )
    return [metadata_asset(recipe, of_metadata), tables_asset(recipe, settings)]


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
