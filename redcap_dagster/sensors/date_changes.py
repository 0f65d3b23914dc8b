"""Changes by dates: the records that REDCap exports for a range of dates, and a census.

For tokens that may not read the log. The server's time zone is unknown, and its clock may be put
back by hours: each query reaches more than a day back, and the cursor's digests of records show
which changes were found before.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.sensors.census_digests import add_census_changes, digest_census
from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.cursor import MAX_SEEN, Cursor
from redcap_dagster.sensors.watched_project import (
    KEY_COLUMNS,
    MAX_BEHIND,
    OVERLAP,
    WatchedProject,
    to_minute,
)

_CLOCK_CHANGE = timedelta(hours=12)
"""How far the server's clock may be put back."""


def find_date_changes(watched: WatchedProject, cursor: Cursor) -> Iterator[tuple[Cursor, Changes]]:
    """Yield the next cursor and all changes so far, before the slow census and after it.

    Args:
        watched: The project.
        cursor: Cursor of the last query.

    Raises:
        REDCapError: A request failed.
    """
    now, changes = watched.clock(), Changes()
    structure = watched.digest_structure()
    begin = _find_begin(cursor, now, watched.client.server_time)
    rows = watched.client.export_records_table(date_range_begin=begin, export_survey_fields=True)
    states = _digest_states(watched, rows)
    for digest in states.keys() - set(cursor.seen):
        bucket, instrument = states[digest]
        changes.add(bucket, [instrument], now.timestamp(), digest)
    changes.structure = structure != cursor.structure
    seen = tuple(sorted(states))
    reached = Cursor(now.timestamp(), "", "", watched.buckets, structure, cursor.census, seen)
    yield reached, deepcopy(changes)
    census = digest_census(watched)
    add_census_changes(watched, cursor.census, census, changes)
    yield replace(reached, census=census), changes


def _find_begin(cursor: Cursor, now: datetime, server_time: datetime | None) -> datetime:
    """Return the server's local time of the last query, or an earlier one.

    Args:
        cursor: Cursor of the last query.
        now: Current time in UTC, by our clock.
        server_time: The same by the server's clock, which may be wrong; None if unknown.
    """
    slow = (now - server_time).total_seconds() if server_time else 0.0
    looked = max(min(cursor.looked, now.timestamp()) - max(slow, 0.0), 0.0)
    return to_minute(datetime.fromtimestamp(looked, UTC)) - MAX_BEHIND - OVERLAP - _CLOCK_CHANGE


def _digest_states(watched: WatchedProject, rows: pa.Table) -> Mapping[str, tuple[str, str]]:
    """Return a digest of what each record holds of each instrument.

    A record without rows of an instrument has one too, as it may have had some before. Where these
    are more than a cursor keeps, there is one digest for each bucket and instrument.

    Returns:
        Digest to bucket and instrument.
    """
    record_id = watched.project.record_id_field
    records = rows[record_id].to_pylist()
    present = [name for name in (record_id, *KEY_COLUMNS) if name in rows.column_names]
    keys = _join_columns(rows, present)
    buckets = dict(zip(records, watched.assign_buckets(records), strict=True))
    states: dict[str, tuple[str, str]] = {}
    for instrument in watched.instruments:
        names = {column.name for column in watched.project.columns(instrument)} - {record_id}
        values = _join_columns(rows, [name for name in rows.column_names if name in names])
        parts: dict[str, list[str]] = {record: [] for record in buckets}
        for record, key, text in zip(records, keys, values, strict=True):
            if text.strip("\x1f"):
                parts[record] += [key, text]
        for record, texts in parts.items():
            digest = watched.digest(instrument, record, *texts)
            states[digest] = (buckets[record], instrument)
    return states if len(states) <= MAX_SEEN else _combine_states(watched, states)


def _combine_states(
    watched: WatchedProject, states: Mapping[str, tuple[str, str]]
) -> Mapping[str, tuple[str, str]]:
    """Return one digest for each bucket and instrument."""
    combined: dict[tuple[str, str], list[str]] = defaultdict(list)
    for digest in sorted(states):
        combined[states[digest]].append(digest)
    return {watched.digest(*place, *digests): place for place, digests in combined.items()}


def _join_columns(rows: pa.Table, names: Sequence[str]) -> list[str]:
    """Return the texts of each row, joined."""
    if not names:
        return [""] * rows.num_rows
    texts = [pc.fill_null(rows[name].cast(pa.string()), "") for name in names]
    joined: list[str] = pc.binary_join_element_wise(*texts, "\x1f").to_pylist()
    return joined
