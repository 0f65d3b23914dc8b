"""Which records were changed since a moment, by the server's log and in the server's time."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from redcap_dagster.api.calls.parameters import call_parameters, write_server_time
from redcap_dagster.api.calls.rows import export_rows
from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.verification.census import list_rows
from redcap_dagster.api.http.retries import never_retry
from redcap_dagster.api.http.transport import Transport

logger = logging.getLogger("redcap_dagster.api")

OVERLAP: Final = timedelta(hours=26)
"""How far back to look where the server's time zone is unknown: across all of them."""

_SLACK: Final = timedelta(minutes=2)
"""The log tells minutes, and whatever takes long is logged before or after it is done."""

_CLOSE: Final = timedelta(minutes=30)
"""A server whose clock is off by less is taken to be of the zones that are so near."""


@dataclass(frozen=True)
class ServerClock:
    """What is known of the server's clock.

    Attributes:
        ahead: How far its local time was ahead of UTC by this machine's clock, or a little less;
            None if that is not known.
        at: When.
    """

    ahead: timedelta | None
    at: datetime

    def at_least(self, moment: datetime) -> datetime:
        """Give the local time from which on all is logged that was changed since a moment.

        Where summer time began or ended in between, in any zone that may be the server's, it is
        that of the clock that was behind.
        """
        utc = moment.astimezone(UTC).replace(tzinfo=None)
        if self.ahead is None:
            return utc - OVERLAP
        shifts = [timedelta()]
        for zone in _zones():
            offsets = [_ahead(zone, when) for when in (moment, self.at, datetime.now(UTC))]
            near = [offset for offset in offsets if abs(offset - self.ahead) < _CLOSE]
            shifts += [min(offsets) - offset for offset in near]
        return utc + self.ahead - _SLACK + min(shifts)


@cache
def _zones() -> tuple[ZoneInfo, ...]:
    return tuple(map(ZoneInfo, available_timezones()))


def _ahead(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def changed_records(
    transport: Transport,
    record_id_field: str,
    selection: Mapping[str, str],
    since: datetime,
    clock: ServerClock,
) -> list[str]:
    """List the records that were created or changed since a moment, and perhaps some more.

    Those that were deleted or renamed are not among them: a census tells.

    Args:
        transport: The connection.
        record_id_field: The record id field.
        selection: Which events, as parameters of the API.
        since: The moment, by this machine's clock.
        clock: The server's.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    dates = {"dateRangeBegin": write_server_time("since", clock.at_least(since))}
    rows = list_rows(transport, record_id_field, {**selection, **dates}, groups=False)
    return [str(record) for record in rows[record_id_field].unique().to_pylist()]


def server_clock(transport: Transport) -> ServerClock:
    """Tell how far the server's local time is ahead of this machine's UTC, or a little less.

    REDCap's API tells neither its clock nor its time zone; but an export was logged just now, with
    its minute. The newest such entry is of then or later, so that what it is ahead of now is never
    too much; both clocks may be wrong, that cancels out. It comes first, whatever its time: a clock
    that was put back has older entries of later times. It is asked for once: without it, more is
    exported again, and that is all.
    """
    begin = datetime.now(UTC) - OVERLAP
    wanted = call_parameters("log", logtype="export", beginTime=f"{begin:%Y-%m-%d %H:%M}")
    ahead: timedelta | None = None
    try:
        newest, *_ = export_rows(transport, "log export", wanted, "timestamp", never_retry)
        ahead = datetime.fromisoformat(newest["timestamp"]) - datetime.now(UTC).replace(tzinfo=None)
    except (REDCapError, ValueError, TypeError) as error:
        logger.info("the server's clock is not known (%s)", type(error).__name__)
    return ServerClock(ahead, datetime.now(UTC))
