"""The sensor that asks REDCap what changed, and requests just the tables concerned."""

import hashlib
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from redcap_dagster.api import REDCapClient
from redcap_dagster.failures import reason
from redcap_dagster.project import REDCapProject
from redcap_dagster.sensors.change_detection import find_changes, start_cursor
from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.cursor import Cursor
from redcap_dagster.sensors.requested_runs import Unfinished, are_on_their_way, unfinished
from redcap_dagster.sensors.watched_project import WatchedProject

BUDGET = 30.0
"""Seconds after which a tick begins to read nothing more, and goes on from there next time."""

DEADLINE = 45.0
"""Seconds after which a tick gives up whatever REDCap does; Dagster gives it 60."""

_DOUBT = 120
"""Seconds between a change and an export after which it is surely in: the log tells minutes."""


def build_redcap_change_sensor(
    *,
    name: str,
    project: REDCapProject,
    assets: Sequence[dg.AssetsDefinition],
    every: int = 300,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Build the sensor that keeps the tables of a project up with what changes in REDCap.

    Each tick asks REDCap what changed since the last one: of the log, if the token may read it (two
    small requests), else of the records changed in the last 26 hours, as nobody tells the server's
    time zone, and of a census. It requests the instruments and buckets concerned, those of deleted
    and renamed records too, and everything where the dictionary changed. What a run of Dagster took
    in after it changed is not requested again, and while runs of this sensor are on their way, it
    waits. What a run of this sensor failed to store is requested again, an hour after it failed.
    The first tick requests nothing.

    The cursor holds times and keyed digests: no record id, and no value.

    Args:
        name: What the project is called in Dagster. The sensor is ``NAME__changes``, and needs
            the resource ``NAME__redcap``.
        project: The structure.
        assets: What `build_redcap_assets_definitions` gave for it.
        every: Seconds between ticks, to which up to a fifth is added by name, so that the sensors
            of many projects ask at different times.
        default_status: ``RUNNING`` starts it without being switched on in the UI.

    Returns:
        The sensor.

    Example:
        >>> from redcap_dagster import build_redcap_assets_definitions
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "record_id", "form_name": "visit"}])
        >>> assets = build_redcap_assets_definitions(name="trial", project=project)
        >>> build_redcap_change_sensor(name="trial", project=project, assets=assets).name
        'trial__changes'
    """
    resource = f"{name}__redcap"
    tables = _Tables.of(assets)

    @dg.sensor(
        name=f"{name}__changes",
        description=f"Requests the tables of {name} that are concerned by changes in REDCap.",
        target=dg.AssetSelection.assets(*tables.keys),
        minimum_interval_seconds=every + zlib.crc32(name.encode()) % (every // 5 + 1),
        required_resource_keys={resource},
        default_status=default_status,
    )
    def changes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        if are_on_their_way(context):
            return dg.SensorResult(skip_reason="Runs that were requested are on their way.")
        client: REDCapClient = getattr(context.resources, resource).get_client()
        look = _Look(WatchedProject(client, project, len(tables.partitions)), context.cursor)
        look.start()
        look.join(DEADLINE)
        if look.is_alive():
            client.stop()
        elif look.failure:
            return dg.SensorResult(skip_reason=look.failure)
        if look.found is None:
            return dg.SensorResult(
                skip_reason=f"REDCap took longer than {DEADLINE:g} s; it is asked again next time."
            )
        reached, found = look.found
        requests = [] if found is None else list(_requests(context, tables, found))
        requests += [_again(failed) for failed in unfinished(context, datetime.now(UTC))]
        return dg.SensorResult(
            run_requests=requests,
            cursor=reached.to_json(),
            skip_reason=None if requests else _nothing(found),
        )

    return changes


@dataclass(frozen=True)
class _Tables:
    """The assets of a project, by what they are of."""

    metadata: Sequence[dg.AssetKey]
    census: dg.AssetKey
    forms: Mapping[str, Sequence[dg.AssetKey]]
    partitions: Sequence[str]

    @classmethod
    def of(cls, assets: Sequence[dg.AssetsDefinition]) -> "_Tables":
        forms: dict[str, list[dg.AssetKey]] = {}
        metadata, census = [], dg.AssetKey("_census")
        partitions: Sequence[str] = ()
        for made in assets:
            for spec in made.specs:
                if "redcap/layer" not in spec.metadata:
                    continue
                if spec.metadata["redcap/layer"] == "metadata":
                    metadata.append(spec.key)
                    continue
                partitions = spec.partitions_def.get_partition_keys() if spec.partitions_def else ()
                if spec.metadata["redcap/table"] == "_census":
                    census = spec.key
                else:
                    forms.setdefault(str(spec.metadata["redcap/table"]), []).append(spec.key)
        return cls(metadata, census, forms, partitions)

    @property
    def keys(self) -> list[dg.AssetKey]:
        return [*self.metadata, self.census, *(key for own in self.forms.values() for key in own)]


class _Look(threading.Thread):
    """One look at REDCap, in a thread, so that nothing that hangs can hold the tick."""

    def __init__(self, watched: WatchedProject, cursor: str | None) -> None:
        super().__init__(daemon=True)
        self._watched = watched
        self._cursor = cursor
        self.found: tuple[Cursor, Changes | None] | None = None
        """The best so far."""
        self.failure = ""

    def run(self) -> None:
        cursor = Cursor.from_json(self._cursor)
        try:
            if cursor is not None and cursor.buckets == self._watched.buckets:
                until = time.monotonic() + BUDGET
                for found in find_changes(self._watched, cursor, until=until):
                    self.found = found
            else:
                # What changed since a cursor that cannot be read is not known.
                lost = Changes(structure=True) if self._cursor else None
                for started in start_cursor(self._watched):
                    self.found = started, lost
        except Exception as error:  # noqa: BLE001 a thread prints what it does not catch, values too
            self.failure = reason(error)


def _requests(
    context: dg.SensorEvaluationContext, tables: _Tables, found: Changes
) -> Iterator[dg.RunRequest]:
    """Request what is concerned, a run for each bucket."""
    if found.structure:
        yield _request(context, found, "", tables.metadata)
    every = {bucket: set(tables.forms) for bucket in tables.partitions or [""]}
    for bucket, forms in sorted((every if found.structure else found.instruments).items()):
        concerned = [
            form
            for form in tables.forms
            if form in forms
            and (found.structure or not _are_taken_in(context, tables.forms[form], bucket, found))
        ]
        if concerned:
            keys = [key for form in concerned for key in tables.forms[form]]
            yield _request(context, found, bucket, [tables.census, *keys])


def _request(
    context: dg.SensorEvaluationContext,
    found: Changes,
    bucket: str,
    keys: Sequence[dg.AssetKey],
) -> dg.RunRequest:
    """Request a run. Its key tells the mark: a change that comes a second time is another one."""
    return _run(bucket, keys, context.cursor or "", *sorted(found.digests))


def _again(failed: Unfinished) -> dg.RunRequest:
    return _run(failed.bucket, failed.keys, failed.run_id)


def _run(bucket: str, keys: Sequence[dg.AssetKey], *reasons: str) -> dg.RunRequest:
    names = [*reasons, *(key.to_user_string() for key in keys)]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    return dg.RunRequest(
        run_key=f"{bucket}-{digest}" if bucket else digest,
        asset_selection=list(keys),
        partition_key=bucket or None,
    )


def _are_taken_in(
    context: dg.SensorEvaluationContext, keys: Sequence[dg.AssetKey], bucket: str, found: Changes
) -> bool:
    """Whether a run of Dagster exported an instrument after its last change, and stored all of it.

    Args:
        context: Of the tick.
        keys: The instrument's assets: the records first, then what is made of them.
        bucket: The partition; blank where there is none.
        found: What changed.
    """
    partitions = [bucket] if bucket else None
    filters = [dg.AssetRecordsFilter(key, asset_partitions=partitions) for key in keys]
    made = [context.instance.fetch_materializations(one, limit=1).records for one in filters]
    if not all(made):
        return False
    told: Any = made[0][0].asset_materialization.metadata  # type: ignore[union-attr]
    exported = told["redcap/exported_at"].value if "redcap/exported_at" in told else 0.0
    stored = min(one[0].timestamp for one in made)
    return exported > found.last[bucket] + _DOUBT and stored >= exported


def _nothing(found: Changes | None) -> str:
    if found is None:
        return "Set the mark from which on changes are looked for."
    return "Nothing changed." if not found.digests else "What changed has been taken in already."
