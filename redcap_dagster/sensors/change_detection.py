"""The changes of a project since a cursor: by its log, else by dates, else everything."""

from collections.abc import Iterator
from dataclasses import replace

from redcap_dagster.api import (
    BlockedError,
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    NotUTF8Error,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.failures import reason
from redcap_dagster.sensors.census_digests import digest_census
from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.cursor import Cursor
from redcap_dagster.sensors.date_changes import find_date_changes
from redcap_dagster.sensors.log_changes import find_log_changes
from redcap_dagster.sensors.log_reader import LogError
from redcap_dagster.sensors.watched_project import WatchedProject

FULL_LOOK_AFTER = 3600.0
"""Seconds between two requests of everything, where neither the log nor dates can be used."""

MAX_AGE = 30 * 86_400
"""Seconds after which everything is requested, rather than so long a log."""

_NO_CURSOR = (
    "Everything is requested, as the changes are unknown: the cursor cannot be read, is older than "
    "30 days, or is that of other partitions."
)

_UNREADABLE = (NotUTF8Error, MalformedResponseError, EmptyResponseError, ServerMemoryError)
"""Errors of a response that the next one is likely to have too."""

_UNAVAILABLE = (NetworkError, ServerError, WebPageError)
"""Errors that may pass until the next query."""

_NO_LOG = (LogError, RightsError, RefusedError, BlockedError, WrongURLError, *_UNREADABLE)
"""Errors that the log is likely to have again, where another request has just succeeded."""


def start_cursor(watched: WatchedProject) -> Iterator[Cursor]:
    """Yield a cursor at the present state: first without the census, which may be slow, then with.

    Args:
        watched: The project.

    Raises:
        REDCapError: A request failed.
    """
    blank = _build_blank_cursor(watched)
    watched.client.export_project_info()
    try:
        cursor, _ = next(find_log_changes(watched, blank, blank.looked))
        yield cursor
        structure = watched.digest_structure()
        yield replace(cursor, structure=structure, census=digest_census(watched))
        return
    except (*_NO_LOG, *_UNAVAILABLE):
        pass
    try:
        for cursor, _ in find_date_changes(watched, blank):
            yield cursor
    except (RefusedError, *_UNREADABLE):
        yield blank


def find_changes(
    watched: WatchedProject, cursor: Cursor | None, *, until: float
) -> Iterator[tuple[Cursor, Changes]]:
    """Yield the next cursor and all changes so far, again and again, each time more complete.

    The last pair replaces those before. Each cursor is a valid place to continue from. Where the
    log cannot be used, changes are found by dates; where these cannot be used either, everything
    may have changed, at most once an hour. The note of the changes says so. Everything may have
    changed, too, since a cursor that is older than 30 days or of other partitions.

    Args:
        watched: The project.
        cursor: Cursor of the last query; None where it cannot be read.
        until: Time by `time.monotonic` after which no more of the log is read.

    Raises:
        REDCapError: A request failed.
    """
    now = watched.clock().timestamp()
    if cursor is None or cursor.buckets != watched.buckets or now - cursor.looked >= MAX_AGE:
        for started in start_cursor(watched):
            yield started, Changes(structure=True, note=_NO_CURSOR)
        return
    # The log shows this request, and with it the server's clock; and it fails if the server does.
    watched.client.export_project_info()
    since = watched.clock().timestamp() - cursor.looked
    try:
        yield from find_log_changes(watched, cursor, until)
        return
    except _NO_LOG as error:
        cause = f"{error}" if isinstance(error, LogError) else reason(error)
    except _UNAVAILABLE as error:
        if cursor.since and since < FULL_LOOK_AFTER:
            raise
        cause = reason(error)
    note = f"The log was not used, but the dates of changed records: {cause}"
    try:
        for reached, changes in find_date_changes(watched, cursor):
            yield reached, replace(changes, note=note)
        return
    except (RefusedError, *_UNREADABLE) as error:
        note = f"Neither the log nor the dates of changed records could be used: {reason(error)}"
    if cursor.is_blank and since < FULL_LOOK_AFTER:
        yield cursor, Changes(note=f"{note} Everything was requested less than an hour ago.")
    else:
        all_ = Changes(structure=True, note=f"{note} So everything is requested.")
        yield _build_blank_cursor(watched), all_


def _build_blank_cursor(watched: WatchedProject) -> Cursor:
    return Cursor(watched.clock().timestamp(), "", "", watched.buckets, "", None, ())
