"""The records changed since a given time, by the server's log and clock."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from redcap_dagster.api.calls.parameters import call_parameters, write_server_time
from redcap_dagster.api.calls.rows import export_rows
from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.verification.census import list_rows
from redcap_dagster.api.http.retries import never_retry
from redcap_dagster.api.http.transport import Transport

logger = logging.getLogger("redcap_dagster.api")

OVERLAP: Final = timedelta(hours=26)
"""How far back to look where the server's time zone is unknown: across all time zones."""

_SLACK: Final = timedelta(minutes=2)
"""The log has minutes only, and a long action is logged before or after it is done."""

_EPOCH: Final = datetime(1970, 1, 2)  # noqa: DTZ001 in the server's time zone
"""An earlier time of a log entry is wrong."""

_CLOSE: Final = timedelta(minutes=30)
"""A server whose clock differs by less from a time zone may be in that zone."""


@dataclass(frozen=True)
class ServerClock:
    """The difference between the server's local time and this machine's UTC.

    Attributes:
        ahead: How far the server's local time was ahead, or a little less. None if unknown.
        at: When that was determined.
        slow: How far the server's clock is behind this machine's, or a little more. Defaults to
            zero.
    """

    ahead: timedelta | None
    at: datetime
    slow: timedelta = timedelta()

    def earliest_local_time(self, moment: datetime) -> datetime:
        """Return the server's local time of a moment, or a little earlier.

        Where daylight saving time began or ended in between, in any zone that may be the server's,
        the earlier of both times is returned.
        """
        utc = moment.astimezone(UTC).replace(tzinfo=None)
        if self.ahead is None:
            return max(utc - OVERLAP - self.slow, _EPOCH)
        shifts = [timedelta()]
        for zone in _list_zones():
            offsets = [_offset(zone, when) for when in (moment, self.at, datetime.now(UTC))]
            near = [offset for offset in offsets if abs(offset - self.ahead) < _CLOSE]
            shifts += [min(offsets) - offset for offset in near]
        return utc + self.ahead - _SLACK + min(shifts)


@cache
def _list_zones() -> tuple[ZoneInfo, ...]:
    return tuple(map(ZoneInfo, available_timezones()))


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def list_changed_records(
    transport: Transport,
    record_id_field: str,
    selection: Mapping[str, str],
    since: datetime,
    clock: ServerClock,
) -> list[str]:
    """Return the ids of records created or changed since a moment, and perhaps some more.

    Deleted and renamed records are not among them; a census shows those.

    Args:
        transport: The connection.
        record_id_field: The record id field.
        selection: API parameters that select events.
        since: The moment, by this machine's clock.
        clock: The server's clock.

    Raises:
        REDCapError: The request failed. The type says why.
    """
    dates = {"dateRangeBegin": write_server_time("since", clock.earliest_local_time(since))}
    rows = list_rows(transport, record_id_field, {**selection, **dates}, groups=False)
    return [str(record) for record in rows[record_id_field].unique().to_pylist()]


def read_server_clock(transport: Transport) -> ServerClock:
    """Return how far the server's local time is ahead of this machine's UTC, or a little less.

    REDCap's API exports neither its clock nor its time zone. But an export was logged just now, so
    the minute of the newest log entry for an export is at most a little behind the server's clock.
    That entry is first in the log, even after the clock was set back. An entry of a later time than
    any time zone has is skipped. Errors of both clocks cancel out. The log is requested once, or
    twice if it has no entry of the last day. Without it, the clock is that of the last response, in
    any time zone, and more records are exported again.
    """
    now = datetime.now(UTC)
    utc = now.replace(tzinfo=None)
    ahead: timedelta | None = None
    for begin in (f"{now - OVERLAP:%Y-%m-%d %H:%M}", ""):
        parameters = call_parameters("log", logtype="export", beginTime=begin or None)
        try:
            rows = export_rows(transport, "log export", parameters, "timestamp", never_retry)
        except REDCapError as error:
            logger.info("the server's clock is unknown (%s)", type(error).__name__)
            break
        shown = (_find_time(row["timestamp"]) for row in rows)
        possible = (one for one in shown if one is not None and _EPOCH < one < utc + OVERLAP)
        if (newest := next(possible, None)) is not None:
            ahead = newest - utc
            break
    slow = now - transport.server_time if transport.server_time else timedelta()
    return ServerClock(ahead, now, max(slow, timedelta()))


def _find_time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except (ValueError, TypeError):
        return None
