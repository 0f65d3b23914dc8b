"""Which records were changed since a moment, by the server's log and in the server's time."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from redcap_dagster.api.calls import export_rows
from redcap_dagster.api.census import list_rows
from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.parameters import asking, server_time
from redcap_dagster.api.transport import Transport

logger = logging.getLogger("redcap_dagster.api")

OVERLAP: Final = timedelta(hours=26)
"""How far back to look where the server's time zone is unknown: across all of them."""

_SLACK: Final = timedelta(minutes=2)
"""The log tells minutes, and whatever takes long is logged before or after it is done."""


def changed_records(
    transport: Transport,
    record_id_field: str,
    selection: Mapping[str, str],
    since: datetime,
    offset: timedelta | None,
) -> list[str]:
    """List the records that were created or changed since a moment, and perhaps some more.

    Those that were deleted or renamed are not among them: a census tells.

    Args:
        transport: The connection.
        record_id_field: The record id field.
        selection: Which events, as parameters of the API.
        since: The moment, by this machine's clock.
        offset: What `server_offset` gave.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    begin = since.astimezone(UTC).replace(tzinfo=None)
    begin = begin - OVERLAP if offset is None else begin + offset - _SLACK
    dates = {"dateRangeBegin": server_time("since", begin)}
    rows = list_rows(transport, record_id_field, {**selection, **dates}, groups=False)
    return [str(record) for record in rows[record_id_field].unique().to_pylist()]


def server_offset(transport: Transport) -> timedelta | None:
    """Tell how far the server's local time is ahead of this machine's UTC, or a little less.

    REDCap's API tells neither its clock nor its time zone; but an export was logged just now, with
    its minute. The newest such entry is of then or later, so that what it is ahead of now is
    never too much; both clocks may be wrong, that cancels out.

    Returns:
        None where the token's user may not see the log, or nothing is in it.
    """
    begin = datetime.now(UTC) - OVERLAP
    wanted = asking("log", logtype="export", beginTime=f"{begin:%Y-%m-%d %H:%M}")
    try:
        entries = export_rows(transport, "log export", wanted, "timestamp")
        newest = max(datetime.fromisoformat(entry["timestamp"]) for entry in entries)
    except (REDCapError, ValueError, TypeError) as error:
        logger.info("the server's clock is not known (%s)", type(error).__name__)
        return None
    return newest - datetime.now(UTC).replace(tzinfo=None)
