"""Changes by the log: its new entries, with structure and census where an entry is unclear."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sensors.census_digests import (
    add_census_changes,
    add_record,
    digest_census,
    remove_record,
)
from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.cursor import MAX_SEEN, Cursor
from redcap_dagster.sensors.log_entries import TIME_FORMAT, LogEntry, read_minute
from redcap_dagster.sensors.watched_project import (
    KEY_COLUMNS,
    MAX_AHEAD,
    MAX_BEHIND,
    OVERLAP,
    WatchedProject,
    to_minute,
)

_CLOCK_CHANGE = timedelta(minutes=65)
"""How far back the log is read where the server's clock was put back."""

_PIECE = timedelta(hours=6)
"""How much of the log one request exports; a long log times out."""


def start_log_cursor(watched: WatchedProject) -> Cursor:
    """Return a cursor at the newest entry of the log, with structure and census unknown.

    Raises:
        REDCapError: A request failed; a `RightsError` if the token may not read the log.
    """
    now = watched.clock()
    watched.client.export_project_info()
    # Only one type of entry, as the log of a day is long: the request above is the newest of it.
    begin = to_minute(now) - MAX_BEHIND - OVERLAP
    newest = watched.client.log.export(begin_time=begin, logtype="manage")[:1]
    since = "".join(str(row["timestamp"])[:16] for row in newest)
    cursor = Cursor(now.timestamp(), since, "", watched.buckets, "", None, ())
    cursor, _ = next(find_log_changes(watched, cursor, time.monotonic()))
    return cursor


def find_log_changes(
    watched: WatchedProject, cursor: Cursor, until: float
) -> Iterator[tuple[Cursor, Changes]]:
    """Yield the next cursor and all changes so far, after each piece of the log.

    Where the structure may have changed, or a record been renamed, the last pair is known only
    after one more request for each; until then, everything may have changed.

    Args:
        watched: The project.
        cursor: Cursor of the last query.
        until: Time by `time.monotonic` after which no more of the log is read.

    Raises:
        REDCapError: A request failed; a `RightsError` if the token may not read the log.
    """
    changes, is_unclear = Changes(), False
    instrument_of_field = _map_fields(watched.project)
    seen = set(cursor.seen)
    for rows, reached in _read_pieces(watched, cursor, until):
        entries = list(_digest_entries(watched, rows))
        census = None if cursor.census is None else dict(cursor.census)
        for digest, entry in entries:
            if digest in seen:
                continue
            # Some logs show the renaming of a record as an edit of its id.
            is_renamed = entry.kind == "edit" and watched.project.record_id_field in entry.fields
            is_unclear |= is_renamed or entry.kind == "design"
            if entry.kind == "design":
                continue
            (bucket,) = watched.assign_buckets([entry.record])
            age = (read_minute(reached.since) - entry.minute).total_seconds()
            instruments = _find_instruments(watched, entry, instrument_of_field)
            changes.add(bucket, instruments, reached.looked - age, digest)
            if entry.kind != "edit" and census is not None:
                count = add_record if entry.kind == "add" else remove_record
                count(watched, census, bucket, entry.record)
        seen = {digest for digest, _ in entries[-MAX_SEEN:]}
        cursor = replace(reached, census=census, seen=tuple(sorted(seen)))
        if is_unclear:
            yield replace(cursor, structure="", census=None), Changes(structure=True)
        else:
            yield cursor, deepcopy(changes)
    if is_unclear:
        structure, census = watched.digest_structure(), digest_census(watched)
        changes.structure = structure != cursor.structure
        add_census_changes(watched, cursor.census, census, changes)
        yield replace(cursor, structure=structure, census=census), changes


def _read_pieces(
    watched: WatchedProject, cursor: Cursor, until: float
) -> Iterator[tuple[Sequence[dict[str, Any]], Cursor]]:
    """Yield the rows of each piece of the log, newest first, and the cursor after it."""
    now, log = watched.clock(), watched.client.log
    begin = read_minute(cursor.since) if cursor.since else to_minute(now) - MAX_BEHIND
    begin -= OVERLAP
    behind = now - datetime.fromtimestamp(cursor.looked, UTC)
    while cursor.since and behind > _PIECE:
        end = begin + OVERLAP + _PIECE
        rows = log.export(begin_time=begin, end_time=end)
        looked = cursor.looked + _PIECE.total_seconds()
        cursor = replace(cursor, since=end.strftime(TIME_FORMAT), looked=looked)
        yield rows, cursor
        if time.monotonic() > until:
            return
        begin, behind = end - OVERLAP, behind - _PIECE
    watched.client.export_project_info()
    rows = log.export(begin_time=begin)
    newest = _digest_newest(watched, rows)
    if newest == cursor.newest or _measure_lag(rows, cursor, behind) > OVERLAP:
        # The request just above is not the newest entry, or too little time passed by the server's
        # clock: it was put back.
        rows = log.export(begin_time=begin - _CLOCK_CHANGE) or log.export(
            begin_time=begin - MAX_AHEAD - MAX_BEHIND
        )
        newest = _digest_newest(watched, rows)
    since = str(rows[0]["timestamp"])[:16] if rows else cursor.since
    yield rows, replace(cursor, since=since, newest=newest, looked=now.timestamp())


def _measure_lag(rows: Sequence[Mapping[str, Any]], cursor: Cursor, passed: timedelta) -> timedelta:
    """Return how much less time passed by the log than by our clock."""
    if not rows or not cursor.since:
        return timedelta()
    newest = read_minute(str(rows[0]["timestamp"])[:16])
    return passed - (newest - read_minute(cursor.since))


def _digest_newest(watched: WatchedProject, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a digest of the newest row and of how many rows are the same."""
    newest = [row for row in rows if row == rows[0]]
    texts = [str(text) for row in newest[:1] for text in row.values()]
    return watched.digest(str(len(newest)), *texts)


def _digest_entries(
    watched: WatchedProject, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, LogEntry]]:
    """Yield the entries of changes with their digests, oldest first; equal entries are numbered."""
    count: Counter[str] = Counter()
    for row in reversed(rows):
        entry = LogEntry.from_row(row)
        if entry.kind:
            digest = watched.digest(*map(str, row.values()))
            count[digest] += 1
            yield f"{digest}{count[digest] if count[digest] > 1 else ''}", entry


def _find_instruments(
    watched: WatchedProject, entry: LogEntry, instrument_of_field: Mapping[str, str]
) -> set[str]:
    """Return the instruments that an entry may have changed; all if that is unclear."""
    fields = {name.partition("___")[0] for name in entry.fields}  # of a checkbox's column
    fields -= {watched.project.record_id_field}
    known = {instrument_of_field[name] for name in fields & instrument_of_field.keys()}
    # A field that was added since the definitions were loaded may be of any instrument.
    unknown = fields - instrument_of_field.keys() - {*KEY_COLUMNS}
    return watched.instruments if entry.kind == "delete" or unknown or not known else known


def _map_fields(project: REDCapProject) -> Mapping[str, str]:
    """Return the instrument of each field, except the record id, which every instrument has."""
    fields = {field.field_name: field.form_name for field in project.fields[1:]}
    names = [instrument.instrument_name for instrument in project.instruments]
    return {**fields, **{status_column(name): name for name in names}}
