"""A refresh never destroys: what a run would lose of the stored tables, before it replaces any."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from redcap_dagster.catalog.event_log import Told, last_told
from redcap_dagster.execution.record_source import has_header
from redcap_dagster.execution.run import Run
from redcap_dagster.project import StructureError
from redcap_dagster.tables import hidden_columns

ALLOW_SHRINK = "redcap/allow_shrink"
"""The tag of a run that may replace tables by ones that lack much of them."""


def refuse_to_shrink(run: Run) -> None:
    """Refuse to replace tables where records or columns are gone that nobody need have deleted.

    A token whose user was put into an access group, or lost export rights, sees less, and REDCap
    does not say so. Each table that is asked for is held against what was told when it was stored.
    Only what is stored can be lost: the first run is never refused.

    Raises:
        StructureError: It says how many records are gone and which columns are hidden.
    """
    if (
        run.recipe.checks.allow_shrink
        or run.context.run.tags.get(ALLOW_SHRINK, "").lower() == "true"
    ):
        return
    tables = run.recipe.tables
    census = _stored(run, tables.census)
    records = {form: _stored(run, tables.records[form]) for form in run.exported}
    everything = (told for stored in (census, *records.values()) for told in stored)
    lost = [*_lost_records(run, everything), *_lost_columns(run, records)]
    if lost:
        raise StructureError(
            f"{' '.join(lost)} Nothing was replaced. Look at the rights and the access group of "
            "the token's user. If it is meant to be so, run again with the tag "
            f"{ALLOW_SHRINK}: true."
        )


def _stored(run: Run, spec: dg.AssetSpec) -> Sequence[Told]:
    """Give what was told of a table when what is to be replaced of it was stored.

    A bucket that is new may replace those of another number, so that any is told of then.
    """
    if not run.selection.has(spec):
        return []
    own = last_told(run.context, spec.key, "redcap/listed", run.selection.buckets)
    return own or last_told(run.context, spec.key, "redcap/listed", [])


def _lost_records(run: Run, stored: Iterable[Told]) -> Iterator[str]:
    before = max((int(told["redcap/listed"].value) for told in stored), default=0)
    most = run.recipe.checks.max_drop
    if run.listed is not None and run.listed < before * (1 - most):
        gone = f"more than {most:.0%} are gone"
        yield f"REDCap lists {run.listed} records, by event, after {before} last time: {gone}."


def _lost_columns(run: Run, stored: Mapping[str, Sequence[Told]]) -> Iterator[str]:
    if run.export is None or not has_header(run.export.table):
        return
    lost: list[str] = []
    for form, each in stored.items():
        hidden = hidden_columns(run.export.table.column_names, run.project, form)
        seen = {name for told in each for name in _seen(told)}
        lost += [name for name in hidden if name in seen]
    if lost:
        yield f"The token's user no longer sees columns: {', '.join(lost)}."


def _seen(told: Told) -> set[str]:
    """Name the columns of a stored table that were not hidden when it was made."""
    schema: dg.TableSchema = told["dagster/column_schema"].value
    return {column.name for column in schema.columns} - {*told["redcap/hidden_columns"].value}
