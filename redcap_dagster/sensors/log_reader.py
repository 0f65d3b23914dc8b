"""The entries of REDCap's log since a cursor, also where the server's clock was changed.

Each export of the log is an entry of the log itself. So the newest entry shows the server's clock,
unless that was put back: then a request that begins at the cursor returns older entries alone.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from redcap_dagster.sensors.cursor import Cursor
from redcap_dagster.sensors.log_entries import TIME_FORMAT, LogEntry, read_minute
from redcap_dagster.sensors.watched_project import (
    MAX_AHEAD,
    MAX_BEHIND,
    OVERLAP,
    WatchedProject,
    to_minute,
)

Row = Mapping[str, Any]

_PIECE = timedelta(hours=6)
"""How much of the log one request exports; a long log times out."""

_TOLERANCE = timedelta(minutes=2)
"""How much slower the log's clock may be than ours since the last query, as it has only minutes."""

_STEPS = (MAX_AHEAD + MAX_BEHIND, timedelta(days=8), None)
"""How far back the server's clock is looked for; None for the whole log."""

_SLACK = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 2)  # noqa: DTZ001 in the server's time zone


class LogError(Exception):
    """The log can be exported, but does not show what changed since a cursor."""


def read_log(
    watched: WatchedProject, cursor: Cursor, until: float
) -> Iterator[tuple[Sequence[Row], Cursor]]:
    """Yield the rows of each piece of the log, newest first, and the cursor after it.

    A request of this client was logged just before.

    Args:
        watched: The project.
        cursor: Cursor of the last query; without a minute, for entries from its time on.
        until: Time by `time.monotonic` after which no more of the log is read.

    Raises:
        LogError: The log does not show the server's clock.
        REDCapError: A request failed.
    """
    now, log = watched.clock(), watched.client.log
    passed = max(now - datetime.fromtimestamp(cursor.looked, UTC), timedelta())
    behind = passed
    while cursor.since and behind > _PIECE:
        begin = read_minute(cursor.since) - OVERLAP
        end = begin + OVERLAP + _PIECE
        looked = cursor.looked + _PIECE.total_seconds()
        rows = log.export(begin_time=begin, end_time=end)
        cursor = replace(cursor, since=end.strftime(TIME_FORMAT), looked=looked)
        yield rows, cursor
        if time.monotonic() > until:
            return
        behind -= _PIECE
    begin = (read_minute(cursor.since) if cursor.since else to_minute(now)) - OVERLAP
    rows = log.export(begin_time=begin) if cursor.since else []
    newest = _find_newest(rows, now)
    if newest is None or _may_be_outdated(watched, rows, newest, cursor, behind):
        newest = _find_server_time(watched, min(begin, to_minute(now)), now)
        changed = max(newest.minute - passed - OVERLAP, _EPOCH)
        rows = log.export(begin_time=min(begin, changed) if cursor.since else changed)
    yield (
        rows,
        replace(
            cursor,
            since=newest.minute.strftime(TIME_FORMAT),
            newest=_digest_count(watched, newest.row, _count(rows, newest.row)),
            looked=now.timestamp(),
        ),
    )


@dataclass(frozen=True)
class _Newest:
    """The newest row whose time the server's clock may show, and that time."""

    row: Row
    minute: datetime


def _find_newest(rows: Sequence[Row], now: datetime) -> _Newest | None:
    latest = to_minute(now) + MAX_AHEAD + _SLACK
    for row in rows:
        minute = LogEntry.from_row(row).minute
        if minute is not None and _EPOCH <= minute <= latest:
            return _Newest(row, minute)
    return None


def _may_be_outdated(
    watched: WatchedProject,
    rows: Sequence[Row],
    newest: _Newest,
    cursor: Cursor,
    behind: timedelta,
) -> bool:
    """Return whether rows may lack the newest entries, as the server's clock was put back."""
    since = read_minute(cursor.since)
    if behind - (newest.minute - since) > _TOLERANCE:
        return True
    if newest.minute > since:
        return False
    # Within the same minute, the request just before is the entry of the cursor once more.
    counts = range(1, _count(rows, newest.row))
    return all(_digest_count(watched, newest.row, count) != cursor.newest for count in counts)


def _find_server_time(watched: WatchedProject, begin: datetime, now: datetime) -> _Newest:
    """Return the newest entry of the log, after which the next request added another one.

    Raises:
        LogError: The log does not show it.
    """
    for step in _STEPS:
        since = None if step is None else begin - step
        # Only one type of entry, as the log of a day is long.
        before = watched.client.log.export(begin_time=since, logtype="manage")
        latest = _find_newest(before, now)
        if latest is None:
            continue
        # An old entry is not the clock: only one that this request finds in addition is.
        after = watched.client.log.export(begin_time=latest.minute, logtype="manage")
        newest = _find_newest(after, now)
        if newest is not None and _count(after, newest.row) > _count(before, newest.row):
            return latest
    raise LogError(
        "It does not show the requests of the sensor. The token's user may see only the records of "
        "a data access group, or the server's clock is wrong."
    )


def _count(rows: Sequence[Row], row: Row) -> int:
    return sum(other == row for other in rows)


def _digest_count(watched: WatchedProject, row: Row, count: int) -> str:
    """Return a digest of a row and of how many rows are the same."""
    return watched.digest(str(count), *map(str, row.values()))
