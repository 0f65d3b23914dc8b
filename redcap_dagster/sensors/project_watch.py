"""What changed in a REDCap project since a mark: by its log, or by date range and census."""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import REDCapClient, RefusedError, RightsError
from redcap_dagster.partitions import bucket_keys, bucket_of
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_COLUMNS, status_column
from redcap_dagster.sensors.cursor import Changes, Mark
from redcap_dagster.sensors.log_entries import SHAPE, LogEntry, read_minute

_OVERLAP = timedelta(minutes=5)
"""The log is read this far back again: an import is seen only when all of it is written."""

_CLOCK_CHANGE = timedelta(minutes=65)
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)
"""How far the clock of a server may be ahead of UTC, and behind it: 26 hours together."""

_PIECE = timedelta(hours=6)
"""So much of the log at a time; a long one times out."""

_MOST_SEEN = 4000
"""Digests that a mark keeps; what goes beyond is looked at twice rather than never."""

_KEYS = (EVENT_NAME, *REPEAT_COLUMNS)


Found = tuple[Mark, Changes]
"""What changed, and how far it was looked at."""


@dataclass(frozen=True)
class ProjectWatch:
    """Asks a project what changed.

    Attributes:
        client: Of the project.
        project: Its structure when definitions were loaded.
        buckets: The number of buckets; 0 for none.
        clock: What gives the time, in UTC.
    """

    client: REDCapClient = field(repr=False)
    project: REDCapProject = field(repr=False)
    buckets: int
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def begin(self) -> Iterator[Found]:
        """Set a mark at what there is now: one without a census first, as that may take long.

        Raises:
            REDCapError: Of the type that says what is wrong.
        """
        now = self.clock()
        mark = Mark(now.timestamp(), "", "", self.buckets, "", None, ())
        try:
            # Just one type of entry, as the log of a day is long. This one is the newest of it.
            self.client.export_project_info()
            newest = self._log(_naive(now) - _WEST - _OVERLAP, logtype="manage")[:1]
            since = "".join(str(entry["timestamp"])[:16] for entry in newest)
            mark, _ = next(self._by_log(replace(mark, since=since), time.monotonic()))
        except (RightsError, RefusedError):
            yield from self._by_dates(mark)
            return
        yield mark, Changes()
        yield replace(mark, structure=self._structure(), census=self._census()), Changes()

    def since(self, mark: Mark, *, until: float) -> Iterator[Found]:
        """Give what changed since a mark, and the next mark; each time more, or more exactly.

        The last counts. Whoever has no time for more can go on from any.

        Args:
            mark: The last one.
            until: When to stop, by `time.monotonic`; the next mark is where it stopped.

        Raises:
            REDCapError: Of the type that says what is wrong.
        """
        try:
            yield from self._by_log(mark, until)
        except (RightsError, RefusedError):
            yield from self._by_dates(mark)

    # -- by the log ---------------------------------------------------------------------------

    def _by_log(self, mark: Mark, until: float) -> Iterator[Found]:
        changes, closer = Changes(), False
        seen = set(mark.seen)
        for entries, reached in self._pieces(mark, until):
            met = list(self._digested(entries))
            census = None if mark.census is None else dict(mark.census)
            for digest, entry in met:
                if digest in seen:
                    continue
                # A record that was renamed is told of as an edit of its id.
                is_renamed = entry.kind == "edit" and self.project.record_id_field in entry.fields
                closer |= is_renamed or entry.kind == "design"
                if entry.kind == "design":
                    continue
                (bucket,) = self._each_bucket([entry.record])
                age = (read_minute(reached.since) - entry.minute).total_seconds()
                changes.add(bucket, self._forms_of(entry), reached.looked - age, digest)
                if entry.kind != "edit" and census is not None:
                    own = self._number(entry.record) * (1 if entry.kind == "add" else -1)
                    census[bucket] = (census.get(bucket, 0) + own) % 2**64
            seen = {digest for digest, _ in met[-_MOST_SEEN:]}
            mark = replace(reached, census=census, seen=tuple(sorted(seen)))
            if closer:  # As long as nobody has looked closer, anything may have changed.
                yield replace(mark, structure="", census=None), Changes(structure=True)
            else:
                yield mark, deepcopy(changes)
        if closer:
            yield self._looked_closer(mark, changes), changes

    def _digested(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, LogEntry]]:
        """Give the entries that may matter, the oldest first; of two alike, both."""
        alike: Counter[str] = Counter()
        for row in reversed(entries):
            entry = LogEntry.from_row(row)
            if entry.kind:
                digest = self._digest(*map(str, row.values()))
                alike[digest] += 1
                yield f"{digest}{alike[digest] if alike[digest] > 1 else ''}", entry

    def _pieces(self, mark: Mark, until: float) -> Iterator[tuple[Sequence[dict[str, Any]], Mark]]:
        """Read the log piece by piece, and give the mark after each."""
        now = self.clock()
        begin = read_minute(mark.since) - _OVERLAP if mark.since else _naive(now) - _WEST - _OVERLAP
        behind = now - datetime.fromtimestamp(mark.looked, UTC)
        while mark.since and behind > _PIECE:
            end = begin + _OVERLAP + _PIECE
            entries = self._log(begin, end_time=end)
            looked = mark.looked + _PIECE.total_seconds()
            mark = replace(mark, since=end.strftime(SHAPE), looked=looked)
            yield entries, mark
            if time.monotonic() > until:
                return
            begin, behind = end - _OVERLAP, behind - _PIECE
        self.client.export_project_info()
        entries = self._log(begin)
        if self._newest(entries) == mark.newest or self._lag(entries, mark, behind) > _OVERLAP:
            # What was just asked for is not the newest, or too little time passed for the server:
            # its clock was put back.
            entries = self._log(begin - _CLOCK_CHANGE) or self._log(begin - _EAST - _WEST)
        since = str(entries[0]["timestamp"])[:16] if entries else mark.since
        yield (
            entries,
            replace(mark, since=since, newest=self._newest(entries), looked=now.timestamp()),
        )

    def _lag(
        self, entries: Sequence[Mapping[str, Any]], mark: Mark, passed: timedelta
    ) -> timedelta:
        """Give how much less time passed for the log than for us."""
        if not entries or not mark.since:
            return timedelta()
        newest = read_minute(str(entries[0]["timestamp"])[:16])
        return passed - (newest - read_minute(mark.since))

    def _newest(self, entries: Sequence[Mapping[str, Any]]) -> str:
        newest = [row for row in entries if row == entries[0]]
        return self._digest(
            str(len(newest)), *(str(text) for row in newest[:1] for text in row.values())
        )

    def _log(self, begin: datetime, **wanted: Any) -> list[dict[str, Any]]:
        return self.client.log.export(begin_time=begin, **wanted)

    def _forms_of(self, entry: LogEntry) -> set[str]:
        """Name the instruments that an entry is of; all where it does not tell."""
        fields = {name.partition("___")[0] for name in entry.fields}  # of a checkbox's column
        fields -= {self.project.record_id_field}
        known = {self._forms_of_fields[name] for name in fields & self._forms_of_fields.keys()}
        # A field that is new since definitions were loaded is of any form.
        strange = fields - self._forms_of_fields.keys() - {*_KEYS}
        every = entry.kind == "delete" or strange or not known
        return self._all_forms if every else known

    @cached_property
    def _all_forms(self) -> set[str]:
        return {form.instrument_name for form in self.project.instruments}

    @cached_property
    def _forms_of_fields(self) -> Mapping[str, str]:
        """The instrument of each field, but of the record id, which is of all of them."""
        fields = {one.field_name: one.form_name for one in self.project.fields[1:]}
        return {**fields, **{status_column(form): form for form in self._all_forms}}

    def _looked_closer(self, mark: Mark, changes: Changes) -> Mark:
        """Find what was done to the project as such: its dictionary changed, a record renamed."""
        structure, census = self._structure(), self._census()
        changes.structure = structure != mark.structure
        self._compare(mark.census, census, changes)
        return replace(mark, structure=structure, census=census)

    # -- by dates -----------------------------------------------------------------------------

    def _by_dates(self, mark: Mark) -> Iterator[Found]:
        """Ask which records were changed, and compare dictionary and census.

        Nothing tells the server's time zone, so that 26 hours are asked for, and what was seen
        in them before is told by digests of the records.
        """
        now, changes = self.clock(), Changes()
        structure = self._digest(json.dumps(self.client.export_metadata()))
        begin = _naive(datetime.fromtimestamp(mark.looked, UTC)) - _WEST - _OVERLAP
        rows = self.client.export_records_table(date_range_begin=begin, export_survey_fields=True)
        states = self._states(rows)
        for digest in states.keys() - set(mark.seen):
            bucket, form = states[digest]
            changes.add(bucket, [form], now.timestamp(), digest)
        changes.structure = structure != mark.structure
        seen = tuple(sorted(states))
        mark = Mark(now.timestamp(), "", "", self.buckets, structure, mark.census, seen)
        yield mark, deepcopy(changes)
        census = self._census()
        self._compare(mark.census, census, changes)
        yield replace(mark, census=census), changes

    def _states(self, rows: pa.Table) -> dict[str, tuple[str, str]]:
        """Digest what each record has of each instrument, if these are too many, all together.

        That of a record without rows of an instrument is one too: it may have had some.

        Returns:
            Digest to bucket and instrument.
        """
        record_id = self.project.record_id_field
        records = rows[record_id].to_pylist()
        keys = _joined(rows, [name for name in (record_id, *_KEYS) if name in rows.column_names])
        found: dict[str, tuple[str, str]] = {}
        buckets = dict(zip(records, self._each_bucket(records), strict=True))
        for form in self._all_forms:
            named = {column.name for column in self.project.columns(form)} - {record_id}
            own = _joined(rows, [name for name in rows.column_names if name in named])
            parts: dict[str, list[str]] = {record: [] for record in buckets}
            for record, key, text in zip(records, keys, own, strict=True):
                if text.strip("\x1f"):
                    parts[record] += [key, text]
            for record, texts in parts.items():
                found[self._digest(form, record, *texts)] = (buckets[record], form)
        if len(found) <= _MOST_SEEN:
            return found
        together: dict[tuple[str, str], list[str]] = defaultdict(list)
        for digest in sorted(found):
            together[found[digest]].append(digest)
        return {self._digest(*place, *own): place for place, own in together.items()}

    # -- digests ------------------------------------------------------------------------------

    def _structure(self) -> str:
        return self._digest(self.client.export_structure().project().to_json())

    def _census(self) -> dict[str, int]:
        """Digest the ids of each bucket, in whatever order they come."""
        listed = self.client.export_census()[self.project.record_id_field]
        records = pc.unique(listed).to_pylist()
        found: dict[str, int] = {}
        for record, bucket in zip(records, self._each_bucket(records), strict=True):
            found[bucket] = (found.get(bucket, 0) + self._number(record)) % 2**64
        return found

    def _compare(
        self, before: Mapping[str, int] | None, now: Mapping[str, int], into: Changes
    ) -> None:
        """Find the buckets whose records are others than before; all, if these are not known."""
        every = bucket_keys(self.buckets) if self.buckets else [""]
        for bucket in every if before is None else {*before, *now}:
            if before is None or before.get(bucket, 0) != now.get(bucket, 0):
                count = now.get(bucket, 0)
                into.add(
                    bucket,
                    self._all_forms,
                    self.clock().timestamp(),
                    self._digest(bucket, str(count)),
                )

    def _each_bucket(self, records: list[str]) -> list[str]:
        if not self.buckets:
            return [""] * len(records)
        of_records = bucket_of(pa.chunked_array([records], pa.string()), self.buckets)
        found: list[str] = of_records.to_pylist()
        return found

    def _digest(self, *parts: str) -> str:
        text = "\x1f".join(parts).encode()
        return hashlib.blake2b(text, key=self.client.digest_key, digest_size=6).hexdigest()

    def _number(self, record: str) -> int:
        own = hashlib.blake2b(record.encode(), key=self.client.digest_key, digest_size=8)
        return int.from_bytes(own.digest())


def _naive(moment: datetime) -> datetime:
    """Give a moment as the API takes it: to the minute, without a time zone."""
    return moment.replace(tzinfo=None, second=0, microsecond=0)


def _joined(rows: pa.Table, names: Sequence[str]) -> list[str]:
    if not names:
        return [""] * rows.num_rows
    texts = [pc.fill_null(rows[name].cast(pa.string()), "") for name in names]
    joined: list[str] = pc.binary_join_element_wise(*texts, "\x1f").to_pylist()
    return joined
