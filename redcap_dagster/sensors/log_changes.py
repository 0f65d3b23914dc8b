"""Changes by the log: its new entries, with structure and census where an entry is unclear."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

from redcap_dagster.api import RefusedError, RightsError
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
from redcap_dagster.sensors.log_entries import Kind, LogEntry, read_minute
from redcap_dagster.sensors.log_reader import Row, read_log
from redcap_dagster.sensors.watched_project import KEY_COLUMNS, OVERLAP, WatchedProject


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
        LogError: The log does not show the server's clock.
        REDCapError: A request failed; a `RightsError` if the token may not read the log.
    """
    changes, is_unclear = Changes(), False
    instrument_of_field = _map_fields(watched.project)
    seen = set(cursor.seen)
    earliest = cursor.looked - OVERLAP.total_seconds()
    for rows, reached in read_log(watched, cursor, until):
        entries = list(_digest_entries(watched, rows))
        new = [(digest, entry, row) for digest, entry, row in entries if digest not in seen]
        types = _ask_types(watched, [(entry, row) for _, entry, row in new])
        census = None if cursor.census is None else dict(cursor.census)
        for digest, entry, row in new:
            kind = types.get(watched.digest_row(row), entry.kind)
            if not kind:
                continue
            # Some logs show the renaming of a record as an edit of its id.
            is_unclear |= watched.project.record_id_field in entry.fields and kind == "edit"
            if kind in ("design", "unknown"):
                is_unclear = True
                continue
            instruments = _find_instruments(watched, entry, kind, instrument_of_field)
            when = _find_time(entry, reached, earliest)
            for bucket in _find_buckets(watched, entry):
                changes.add(bucket, instruments, when, digest)
            if kind in ("add", "delete") and census is not None and entry.record:
                (bucket,) = watched.assign_buckets([entry.record])
                count = add_record if kind == "add" else remove_record
                count(watched, census, bucket, entry.record)
        seen = {digest for digest, _, _ in entries[-MAX_SEEN:]}
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


def _digest_entries(
    watched: WatchedProject, rows: Sequence[Row]
) -> Iterator[tuple[str, LogEntry, Row]]:
    """Yield the entries of changes with their digests, oldest first; equal entries are numbered."""
    count: Counter[str] = Counter()
    for row in reversed(rows):
        entry = LogEntry.from_row(row)
        if entry.kind:
            digest = watched.digest_row(row)
            count[digest] += 1
            yield f"{digest}{count[digest] if count[digest] > 1 else ''}", entry, row


def _ask_types(
    watched: WatchedProject, new: Collection[tuple[LogEntry, Row]]
) -> Mapping[str, Kind]:
    """Return the kinds of entries of unknown wording, by the types that REDCap gives them.

    An entry of the types of users and locks is not a change. One that is of the type of records
    too is a change all the same, as a server may ignore the type that a request names.

    Returns:
        Digest of a row to its kind.
    """
    unclear = [
        (entry, watched.digest_row(row))
        for entry, row in new
        if entry.kind == "unknown" and (entry.record or entry.fields)
    ]
    if not unclear:
        return {}
    minutes = [entry.minute for entry, _ in unclear if entry.minute is not None]
    begin = min(minutes) if len(minutes) == len(unclear) else None

    def digest_type(logtype: str) -> set[str]:
        try:
            rows = watched.client.log.export(logtype=logtype, begin_time=begin)
        except (RightsError, RefusedError):  # a version without the type
            return set()
        return {watched.digest_row(row) for row in rows}

    records = digest_type("record")
    others = digest_type("user") | digest_type("lock_record")
    kinds: dict[str, Kind] = {}
    for entry, digest in unclear:
        if digest in others - records:
            kinds[digest] = ""
        else:
            kinds[digest] = "edit" if entry.record or digest in records else "design"
    return kinds


def _find_buckets(watched: WatchedProject, entry: LogEntry) -> Sequence[str]:
    """Return the bucket of the record of an entry; all where the record is unknown."""
    return watched.assign_buckets([entry.record]) if entry.record else watched.every_bucket


def _find_time(entry: LogEntry, reached: Cursor, earliest: float) -> float:
    """Return when an entry was written, as a timestamp in UTC: now where its time is impossible.

    Args:
        entry: An entry that the last query did not return.
        reached: Cursor after the query.
        earliest: When the last query was made, and a little earlier.
    """
    if entry.minute is None:
        return reached.looked
    age = (read_minute(reached.since) - entry.minute).total_seconds()
    when = reached.looked - age
    return when if earliest <= when <= reached.looked else reached.looked


def _find_instruments(
    watched: WatchedProject, entry: LogEntry, kind: Kind, instrument_of_field: Mapping[str, str]
) -> set[str]:
    """Return the instruments that an entry may have changed; all if that is unclear."""
    fields = {name.partition("___")[0] for name in entry.fields}  # of a checkbox's column
    fields -= {watched.project.record_id_field}
    known = {instrument_of_field[name] for name in fields & instrument_of_field.keys()}
    # A field that was added since the definitions were loaded may be of any instrument.
    unknown = fields - instrument_of_field.keys() - {*KEY_COLUMNS}
    return watched.instruments if kind == "delete" or unknown or not known else known


def _map_fields(project: REDCapProject) -> Mapping[str, str]:
    """Return the instrument of each field, except the record id, which every instrument has."""
    fields = {field.field_name: field.form_name for field in project.fields[1:]}
    names = [instrument.instrument_name for instrument in project.instruments]
    return {**fields, **{status_column(name): name for name in names}}
