"""Two runs at once: only one of them continues the history of queries that both have loaded."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from redcap_dagster.execution.run import Run
from redcap_dagster.project import StructureError
from redcap_dagster.project.name_lists import list_names

STORES_QUERIES: Final = "redcap/stores_queries"
"""The metadata entry of an observation by a run that is about to store the history: its buckets."""

_LONGEST: Final = timedelta(hours=1)
"""How long storing may take. A run that ended does not store any more, but one that was killed may
be in progress for Dagster until somebody terminates it there."""

_MOST_RECORDS: Final = 1000
"""How many events of one table are read from Dagster's log."""


def find_last_stored(run: Run) -> int:
    """Return the id of the event with which the history was last stored; 0 before the first run.

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
        StructureError: Another run stored it since, or is about to. The message has its id.
    """
    claim = {STORES_QUERIES: list(run.selection.buckets)}
    key = run.recipe.tables.queries["history"].key
    run.context.log_event(dg.AssetObservation(key, metadata=claim))
    last = _fetch_last(run)
    if last is not None and (last.storage_id != loaded or _began_later(last, run)):
        raise _refusal("another run stored the queries since this run began")
    if others := _find_earlier_claims(run):
        raise _refusal(
            f"another run is about to store the queries ({list_names(others)}; if it was killed, "
            "terminate it in Dagster)"
        )


def _refusal(cause: str) -> StructureError:
    return StructureError(
        f"{cause}, so this run did not replace them. Materialize queries/open and queries/history "
        "again. To keep runs of this project from overlapping, give their ops a pool with a limit "
        "of 1."
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


def _find_earlier_claims(run: Run) -> Sequence[str]:
    """Return the runs that said before this one that they will store its buckets, and still may."""
    instance, key = run.context.instance, run.recipe.tables.queries["history"].key
    since = datetime.now(UTC) - _LONGEST
    recent = dg.AssetRecordsFilter(key, after_timestamp=since.timestamp())
    claims: dict[str, int] = {}
    for record in instance.fetch_observations(recent, _MOST_RECORDS, ascending=True).records:
        if record.run_id == run.context.run.run_id:
            break
        if _claims_buckets(record, run.selection.buckets):
            claims[record.run_id] = record.storage_id
    if not claims:
        return []
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(claims)))
    in_progress = [one.run_id for one in runs if not one.is_finished]
    if not in_progress:
        return []
    later = dg.AssetRecordsFilter(key, after_storage_id=min(claims.values()))
    stored: dict[str, int] = {}
    for record in instance.fetch_materializations(later, _MOST_RECORDS, ascending=True).records:
        stored[record.run_id] = record.storage_id
    return [one for one in in_progress if stored.get(one, 0) < claims[one]]


def _claims_buckets(record: dg.EventLogRecord, buckets: Sequence[str]) -> bool:
    """Whether an observation says that its run will store any of some buckets."""
    observation = record.asset_observation
    metadata: Any = {} if observation is None else observation.metadata
    if STORES_QUERIES not in metadata:
        return False
    return not buckets or not set(metadata[STORES_QUERIES].value).isdisjoint(buckets)
