"""Protection of stored tables: a run that would lose much of them fails before it replaces any."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import dagster as dg

from redcap_dagster.catalog.event_log import Metadata, last_metadata
from redcap_dagster.execution.record_source import has_header
from redcap_dagster.execution.run import Run
from redcap_dagster.execution.run_records import count_exported_rows
from redcap_dagster.project import StructureError
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.tables import hidden_columns

ALLOW_SHRINK = "redcap/allow_shrink"
"""Tag of a run that may replace tables although many rows are gone or columns are hidden."""


def refuse_to_shrink(run: Run) -> None:
    """Raise an error if too many records or rows are gone, or columns are newly hidden.

    A token whose user joins an access group or loses export rights sees less, and REDCap does not
    say so; nor does it where an instrument is not designated for any event any more. Each selected
    table is compared with the metadata of its last materialization, if that was of the same
    project, so that the first run is never refused.

    Raises:
        StructureError: Records, rows or columns are gone; the message counts the records and
            rows, and names the instruments and columns.
    """
    if (
        run.recipe.checks.allow_shrink
        or run.context.run.tags.get(ALLOW_SHRINK, "").lower() == "true"
    ):
        return
    tables = run.recipe.tables
    records = {name: _find_stored(run, tables.records[name]) for name in run.exported_instruments}
    known = {name: _add_other_buckets(run, tables.records[name], records[name]) for name in records}
    census = _add_other_buckets(run, tables.census, _find_stored(run, tables.census))
    everything = (metadata for stored in (census, *known.values()) for metadata in stored)
    losses = [
        *_find_lost_records(run, everything),
        *_find_lost_rows(run, records),
        *_find_lost_columns(run, known),
    ]
    if losses:
        raise StructureError(
            f"{' '.join(losses)} No records or clean table was replaced. Possible causes: the "
            "token's user lost rights or joined an access group, records were deleted, or "
            "instruments were removed from events. If the loss is intended, run again with the tag "
            f"{ALLOW_SHRINK}: true."
        )


def _find_stored(run: Run, spec: dg.AssetSpec) -> Sequence[Metadata]:
    """Return the metadata of what the run would replace of a table."""
    if not run.selection.has(spec):
        return []
    return last_metadata(run.context, spec.key, "redcap/listed", run.selection.buckets, run.source)


def _add_other_buckets(
    run: Run, spec: dg.AssetSpec, stored: Sequence[Metadata]
) -> Sequence[Metadata]:
    """Return the metadata of a table also if the number of its buckets changed.

    The new buckets are not stored yet: then that of the last materialization of any bucket.
    """
    if stored or not (run.selection.buckets and run.selection.has(spec)):
        return stored
    return last_metadata(run.context, spec.key, "redcap/listed", [], run.source)


def _find_lost_records(run: Run, stored: Iterable[Metadata]) -> Iterator[str]:
    before = max((int(metadata["redcap/listed"].value) for metadata in stored), default=0)
    max_drop = run.recipe.checks.max_drop
    if run.listed is None or run.listed >= before:
        return
    text = f"REDCap lists {run.listed} records by event; the last materialization had {before}"
    if run.listed < before * (1 - max_drop):
        yield f"{text}: more than {max_drop:.0%} are gone."
    else:  # an export cannot tell a deleted record from one that every response lacks
        run.context.log.warning(f"{text}. If no record was deleted, look at the token's rights.")


def _find_lost_rows(run: Run, stored: Mapping[str, Sequence[Metadata]]) -> Iterator[str]:
    max_drop = run.recipe.checks.max_drop
    lost: list[str] = []
    for instrument, each in stored.items():
        before = sum(int(metadata["dagster/row_count"].value) for metadata in each)
        if not before:
            continue
        with suppress(StructureError):  # the instrument fails by itself, and is not replaced
            now = count_exported_rows(run, instrument)
            # Of few rows, as a bucket has them too, some may be gone, but not all.
            few = not run.has_all_buckets or before - now == 1
            if now < before * (1 - max_drop) and not (few and now):
                lost.append(f"{instrument} ({now} rows, {before} before)")
    if lost:
        yield f"Instruments lost more than {max_drop:.0%} of their rows: {list_names(lost)}."


def _find_lost_columns(run: Run, stored: Mapping[str, Sequence[Metadata]]) -> Iterator[str]:
    if run.export is None or not has_header(run.export.table):
        return
    lost: list[str] = []
    for instrument, each in stored.items():
        hidden = hidden_columns(run.export.table.column_names, run.project, instrument)
        visible = {name for metadata in each for name in _visible_columns(metadata)}
        lost += [name for name in hidden if name in visible]
    if lost:
        yield f"The token's user no longer sees columns: {list_names(lost)}."


def _visible_columns(stored: Metadata) -> set[str]:
    schema: dg.TableSchema = stored["dagster/column_schema"].value
    return {column.name for column in schema.columns} - {*stored["redcap/hidden_columns"].value}
