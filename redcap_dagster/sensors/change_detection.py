"""The changes of a project since a cursor: by its log, or by dates if the log is not allowed."""

from collections.abc import Iterator
from dataclasses import replace

from redcap_dagster.api import RefusedError, RightsError
from redcap_dagster.sensors.census_digests import digest_census
from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.cursor import Cursor
from redcap_dagster.sensors.date_changes import find_date_changes
from redcap_dagster.sensors.log_changes import find_log_changes, start_log_cursor
from redcap_dagster.sensors.watched_project import WatchedProject


def start_cursor(watched: WatchedProject) -> Iterator[Cursor]:
    """Yield a cursor at the present state: first without the census, which may be slow, then with.

    Args:
        watched: The project.

    Raises:
        REDCapError: A request failed.
    """
    try:
        cursor = start_log_cursor(watched)
    except (RightsError, RefusedError):
        empty = Cursor(watched.clock().timestamp(), "", "", watched.buckets, "", None, ())
        for cursor, _ in find_date_changes(watched, empty):
            yield cursor
        return
    yield cursor
    structure = watched.digest_structure()
    yield replace(cursor, structure=structure, census=digest_census(watched))


def find_changes(
    watched: WatchedProject, cursor: Cursor, *, until: float
) -> Iterator[tuple[Cursor, Changes]]:
    """Yield the next cursor and all changes so far, again and again, each time more complete.

    The last pair replaces those before. Each cursor is a valid place to continue from.

    Args:
        watched: The project.
        cursor: Cursor of the last query.
        until: Time by `time.monotonic` after which no more of the log is read.

    Raises:
        REDCapError: A request failed.
    """
    try:
        yield from find_log_changes(watched, cursor, until)
    except (RightsError, RefusedError):
        yield from find_date_changes(watched, cursor)
