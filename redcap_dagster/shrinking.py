"""A refresh never destroys: what a run would lose of the stored tables, before it replaces any."""

import dagster as dg

from redcap_dagster.history import earlier_materializations, told
from redcap_dagster.instrument import Run
from redcap_dagster.intake import has_header
from redcap_dagster.project import StructureError
from redcap_dagster.tables import hidden_columns

ALLOW_SHRINK = "redcap/allow_shrink"
"""The tag of a run that may replace tables by ones that lack much of them."""


def refuse_to_shrink(run: Run) -> None:
    """Refuse to replace tables where records or columns are gone that nobody need have deleted.

    A token whose user was put into an access group, or lost export rights, sees less, and REDCap
    does not say so. Only what is stored can be lost: the first run is never refused.

    Raises:
        StructureError: It says how many records are gone and which columns are hidden.
    """
    if run.recipe.allow_shrink or run.context.run.tags.get(ALLOW_SHRINK, "").lower() == "true":
        return
    if not run.selection.assets:
        return
    lost = [*_lost_records(run), *_lost_columns(run)]
    if lost:
        raise StructureError(
            f"{' '.join(lost)} Nothing was replaced. Look at the rights and the access group of "
            "the token's user. If it is meant to be so, run again with the tag "
            f"{ALLOW_SHRINK}: true."
        )


def _lost_records(run: Run) -> list[str]:
    made = earlier_materializations(run.context, run.recipe.tables.census.key)
    before = told(made[0], "redcap/listed") if made else None
    most = run.recipe.checks.max_drop
    if run.listed is None or before is None or run.listed >= before * (1 - most):
        return []
    gone = f"more than {most:.0%} are gone"
    return [f"REDCap lists {run.listed} records, by event, after {before} last time: {gone}."]


def _lost_columns(run: Run) -> list[str]:
    if run.export is None or not has_header(run.export.table):
        return []
    lost = []
    for form, spec in run.recipe.tables.records.items():
        if run.selection.has(spec) and form in run.forms:
            made = earlier_materializations(run.context, spec.key, run.selection.buckets)
            hidden = hidden_columns(run.export.table.column_names, run.project, form)
            lost += [name for name in hidden if made and _was_there(made[0], name)]
    return [f"The token's user no longer sees columns: {', '.join(lost)}."] if lost else []


def _was_there(made: dg.AssetMaterialization, column: str) -> bool:
    schema: dg.TableSchema = told(made, "dagster/column_schema")
    stored = {one.name for one in schema.columns}
    return column in stored and column not in (told(made, "redcap/hidden_columns") or ())
