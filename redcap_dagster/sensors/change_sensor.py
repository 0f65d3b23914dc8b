"""The sensor that requests the tables of a project whose records changed in REDCap."""

import hashlib
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from redcap_dagster.automation import FOLLOWS_CHANGES
from redcap_dagster.failures import reason
from redcap_dagster.project import REDCapProject
from redcap_dagster.resource import get_project_client
from redcap_dagster.sensors.change_detection import find_changes, start_cursor
from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.cursor import Cursor
from redcap_dagster.sensors.requested_runs import FailedRun, find_failed_runs, has_active_runs
from redcap_dagster.sensors.watched_project import WatchedProject

BUDGET = 30.0
"""Seconds after which a tick does not read more of the log; the next tick continues there."""

DEADLINE = 45.0
"""Seconds after which a tick stops waiting for REDCap; Dagster allows 60."""

_MARGIN = 120
"""Seconds after a change when an export surely has it, as the log has only minutes."""


def build_redcap_change_sensor(
    *,
    name: str,
    project: REDCapProject,
    assets: Sequence[dg.AssetsDefinition],
    every: int = 300,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that requests the tables of a project whose records changed in REDCap.

    Each tick queries REDCap for the changes since the last one:

    - by the log, with two small requests, if the token may read it;
    - else by the records that were changed in the last 38 hours, as the server's time zone is
      unknown and its clock may be put back, and by a census;
    - if REDCap's responses to both cannot be read, or the cursor cannot, everything is requested,
      at most once an hour.

    The log of the tick, and the reason of a tick that requests nothing, say which of them was used
    instead of the log, and why.

    The sensor requests the instruments and buckets with changes, also of deleted and renamed
    records, and everything if the dictionary changed. It does not request what a run has exported
    since the change, and waits while its own runs are in progress. What one of its runs failed to
    store is requested again an hour later. The first tick does not request anything.

    The cursor holds times and keyed digests, without record ids or values.

    Args:
        name: Name of the project in Dagster. The sensor is ``NAME__changes``, and needs the
            resource ``NAME__redcap``.
        project: Structure of the project.
        assets: Assets of the project, from `build_redcap_assets_definitions`.
        every: Seconds between ticks; up to a fifth is added, by name, so that the sensors of many
            projects query at different times. Defaults to 300.
        default_status: ``RUNNING`` starts the sensor without the switch in Dagster's UI. Defaults
            to ``STOPPED``.

    Example:
        >>> from redcap_dagster import build_redcap_assets_definitions
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "record_id", "form_name": "visit"}])
        >>> assets = build_redcap_assets_definitions(name="trial", project=project)
        >>> build_redcap_change_sensor(name="trial", project=project, assets=assets).name
        'trial__changes'
    """
    resource = f"{name}__redcap"
    tables = _group_assets(assets)

    job = dg.define_asset_job(
        f"{name}__changed_tables",
        dg.AssetSelection.assets(*tables.keys),
        description=f"Materializes the tables of {name} whose records changed in REDCap.",
    )

    @dg.sensor(
        name=f"{name}__changes",
        description=f"Requests the tables of {name} whose records changed in REDCap.",
        target=job,
        minimum_interval_seconds=every + zlib.crc32(name.encode()) % (every // 5 + 1),
        required_resource_keys={resource},
        default_status=default_status,
    )
    def changes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        if has_active_runs(context):
            return dg.SensorResult(skip_reason="Runs that this sensor requested are in progress.")
        client = get_project_client(name, getattr(context.resources, resource))
        query = _Query(WatchedProject(client, project, len(tables.partitions)), context.cursor)
        query.start()
        query.join(DEADLINE)
        if query.is_alive():
            client.stop()
        elif query.failure:
            return dg.SensorResult(skip_reason=f"REDCap project {name}: {query.failure}")
        if query.found is None:
            return dg.SensorResult(
                skip_reason=f"REDCap took longer than {DEADLINE:g} s. The next tick tries again."
            )
        reached, found = query.found
        if found is not None and found.note:
            context.log.warning(found.note)
        requests = [] if found is None else list(_build_requests(context, tables, found))
        requests += [
            _request_again(failed) for failed in find_failed_runs(context, datetime.now(UTC))
        ]
        return dg.SensorResult(
            run_requests=requests,
            cursor=reached.to_json(),
            skip_reason=None if requests else _explain_skip(found),
        )

    return changes


@dataclass(frozen=True)
class _Tables:
    """The assets of a project.

    Attributes:
        metadata: Keys of the metadata tables.
        census: Key of the census.
        instruments: Instrument to the keys of its tables, the records first.
        partitions: Keys of the partitions; empty without partitions.
        lists: Keys of the tables over all instruments: queries and status.
    """

    metadata: Sequence[dg.AssetKey]
    census: dg.AssetKey
    instruments: Mapping[str, Sequence[dg.AssetKey]]
    partitions: Sequence[str]
    lists: Sequence[dg.AssetKey]

    @property
    def keys(self) -> list[dg.AssetKey]:
        by_instrument = (key for keys in self.instruments.values() for key in keys)
        return [*self.metadata, self.census, *by_instrument, *self.lists]


def _group_assets(assets: Sequence[dg.AssetsDefinition]) -> _Tables:
    """Return the assets of a project by their layer and instrument."""
    instruments: dict[str, list[dg.AssetKey]] = {}
    metadata, lists, census = [], [], dg.AssetKey("_census")
    partitions: Sequence[str] = ()
    for spec in (spec for definition in assets for spec in definition.specs):
        if "redcap/layer" not in spec.metadata:
            continue
        if spec.metadata["redcap/layer"] == "metadata":
            metadata.append(spec.key)
            continue
        partitions = spec.partitions_def.get_partition_keys() if spec.partitions_def else ()
        if spec.metadata["redcap/layer"] in ("queries", "status"):
            lists.append(spec.key)
        elif spec.metadata["redcap/table"] == "_census":
            census = spec.key
        else:
            instruments.setdefault(str(spec.metadata["redcap/table"]), []).append(spec.key)
    return _Tables(metadata, census, instruments, partitions, lists)


class _Query(threading.Thread):
    """A query for changes in its own thread, so that a server that hangs cannot hold a tick."""

    def __init__(self, watched: WatchedProject, cursor: str | None) -> None:
        super().__init__(daemon=True)
        self._watched = watched
        self._cursor = cursor
        self.found: tuple[Cursor, Changes | None] | None = None
        """The most complete result so far; None for changes if this is the first query."""
        self.failure = ""
        """Reason why the query failed; blank if it did not."""

    def run(self) -> None:
        try:
            if self._cursor:
                cursor = Cursor.from_json(self._cursor)
                until = time.monotonic() + BUDGET
                for found in find_changes(self._watched, cursor, until=until):
                    self.found = found
            else:
                for started in start_cursor(self._watched):
                    self.found = started, None
        except Exception as error:  # noqa: BLE001 a thread prints uncaught errors, and their values
            self.failure = reason(error)


def _build_requests(
    context: dg.SensorEvaluationContext, tables: _Tables, found: Changes
) -> Iterator[dg.RunRequest]:
    """Yield a request for the metadata if needed, and one for each bucket with changes."""
    if found.structure:
        yield _request_changed(context, found, "", tables.metadata)
    every = {bucket: set(tables.instruments) for bucket in tables.partitions or [""]}
    for bucket, changed in sorted((every if found.structure else found.instruments).items()):
        keys = [
            key
            for instrument, own in tables.instruments.items()
            if instrument in changed
            and (found.structure or not _is_up_to_date(context, own, bucket, found))
            for key in own
        ]
        if keys:
            yield _request_changed(context, found, bucket, [tables.census, *keys, *tables.lists])


def _request_changed(
    context: dg.SensorEvaluationContext,
    found: Changes,
    bucket: str,
    keys: Sequence[dg.AssetKey],
) -> dg.RunRequest:
    """Return a request for changed tables; the same changes since another cursor are other ones."""
    return _build_request(bucket, keys, context.cursor or "", *sorted(found.digests))


def _request_again(failed: FailedRun) -> dg.RunRequest:
    """Return a request for what a run failed to store."""
    return _build_request(failed.bucket, failed.keys, failed.run_id)


def _build_request(bucket: str, keys: Sequence[dg.AssetKey], *reasons: str) -> dg.RunRequest:
    """Return a request whose run key is a digest of its reasons and assets."""
    names = [*reasons, *(key.to_user_string() for key in keys)]
    text = "\n".join(names).encode(errors="surrogatepass")  # a cursor may be any text
    digest = hashlib.sha256(text).hexdigest()[:16]
    return dg.RunRequest(
        run_key=f"{bucket}-{digest}" if bucket else digest,
        asset_selection=list(keys),
        tags={FOLLOWS_CHANGES: "true"},
        partition_key=bucket or None,
    )


def _is_up_to_date(
    context: dg.SensorEvaluationContext, keys: Sequence[dg.AssetKey], bucket: str, found: Changes
) -> bool:
    """Return whether a run has exported an instrument since its last change, and stored it all.

    Args:
        context: Context of the tick.
        keys: Assets of the instrument, the records first.
        bucket: Partition; blank without partitions.
        found: Changes of the project.
    """
    partitions = [bucket] if bucket else None
    filters = [dg.AssetRecordsFilter(key, asset_partitions=partitions) for key in keys]
    fetch = context.instance.fetch_materializations
    latest = [fetch(asset_filter, limit=1).records for asset_filter in filters]
    if not all(latest):
        return False
    metadata: Any = latest[0][0].asset_materialization.metadata  # type: ignore[union-attr]
    exported = metadata["redcap/exported_at"].value if "redcap/exported_at" in metadata else 0.0
    stored = min(records[0].timestamp for records in latest)
    return exported > found.last_changed[bucket] + _MARGIN and stored >= exported


def _explain_skip(found: Changes | None) -> str:
    """Return why a tick does not request anything."""
    if found is None:
        return "Set the cursor: the next tick looks for changes since now."
    text = "The changes are already in the tables." if found.digests else "Nothing changed."
    return f"{text} {found.note}".strip()
