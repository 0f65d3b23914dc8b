"""Two runs at once: only one of them continues the history of queries that both have loaded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from redcap_dagster.execution.run import Run
from redcap_dagster.project import StructureError

STORES_QUERIES: Final = "redcap/stores_queries"
"""The metadata entry of an observation by a run that is about to store the history: its buckets."""

_LONGEST: Final = timedelta(minutes=10)
"""How long storing may take; a run that takes longer was killed."""

_MOST_CLAIMS: Final = 100


def find_last_stored(run: Run) -> int:
    """Return what tells which history is stored now, to compare it later.

    Args:
        run: The run.
    """
    last = _fetch_last(run)
    return 0 if last is None else int(last.storage_id)


def refuse_other_histories(run: Run, loaded: int) -> None:
    """Raise an error if storing a history would remove what another run has added.

    Dagster's event log gives the runs an order: each says that it is about to store the history,
    then looks for others that said so before.

    Args:
        run: The run.
        loaded: What `find_last_stored` returned before the run loaded the history.

    Raises:
        StructureError: Another run stored it since, or is about to.
    """
    claim = {STORES_QUERIES: list(run.selection.buckets)}
    key = run.recipe.tables.queries["history"].key
    run.context.log_event(dg.AssetObservation(key, metadata=claim))
    last = _fetch_last(run)
    is_changed = last is not None and (last.storage_id != loaded or _began_later(last, run))
    if is_changed or any(_find_earlier_claims(run)):
        raise StructureError(
            "another run stored the queries since this run began, so this run did not replace "
            "them. Materialize queries/open and queries/history again. To keep runs of "
            "this project from overlapping, give their ops a pool with a limit of 1."
        )


def _fetch_last(run: Run) -> dg.EventLogRecord | None:
    """Return the last materialization of the history in the buckets of a run."""
    key, buckets = run.recipe.tables.queries["history"].key, run.selection.buckets
    query = dg.AssetRecordsFilter(key, asset_partitions=list(buckets) or None)
    records = run.context.instance.fetch_materializations(query, limit=1).records
    return records[0] if records else None


def _began_later(stored: dg.EventLogRecord, run: Run) -> bool:
    """Whether a stored history is of a run that knew newer values than this one."""
    made = stored.asset_materialization
    metadata: Any = {} if made is None else made.metadata
    exported_at = metadata.get("redcap/exported_at")
    return exported_at is not None and exported_at.value > run.began.timestamp()


def _find_earlier_claims(run: Run) -> Iterator[str]:
    """Yield the other runs that said before this one that they are about to store its buckets."""
    instance, key = run.context.instance, run.recipe.tables.queries["history"].key
    since = datetime.now(UTC) - _LONGEST
    query = dg.AssetRecordsFilter(key, after_timestamp=since.timestamp())
    claims = instance.fetch_observations(query, limit=_MOST_CLAIMS, ascending=True).records
    for claim in claims:
        if claim.run_id == run.context.run.run_id:
            return
        observation = claim.asset_observation
        metadata: Any = {} if observation is None else observation.metadata
        if STORES_QUERIES not in metadata:
            continue
        buckets = set(metadata[STORES_QUERIES].value)
        overlaps = not run.selection.buckets or not buckets.isdisjoint(run.selection.buckets)
        if overlaps and not _is_settled(run, claim):
            yield claim.run_id


def _is_settled(run: Run, claim: dg.EventLogRecord) -> bool:
    """Whether the run of a claim has stored the history since, or has ended without it."""
    instance, key = run.context.instance, run.recipe.tables.queries["history"].key
    stored = dg.AssetRecordsFilter(key, after_storage_id=claim.storage_id)
    of_runs = {one.run_id for one in instance.fetch_materializations(stored, _MOST_CLAIMS).records}
    other = instance.get_run_by_id(claim.run_id)
    return claim.run_id in of_runs or other is None or other.is_finished
