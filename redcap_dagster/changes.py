"""What changed in a REDCap project since a mark: by its log, or by date range and census."""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import REDCapClient, RefusedError, RightsError
from redcap_dagster.log_entries import SHAPE, LogEntry, read_minute
from redcap_dagster.marks import Changes, Mark
from redcap_dagster.partitions import bucket_of
from redcap_dagster.project import REDCapProject

_OVERLAP = timedelta(minutes=5)
"""The log is read this far back again: an import is seen only when all of it is written."""

_CLOCK_CHANGE = timedelta(minutes=65)
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)
"""How far the clock of a server may be ahead of UTC, and behind it: 26 hours together."""

_PIECE = timedelta(hours=6)
"""So much of the log at a time; a long one times out."""

_MOST_SEEN = 4000
"""Digests that a mark keeps; what goes beyond is looked at twice rather than never."""

_KEYS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")


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

    def begin(self) -> Mark:
        """Set a mark at what there is now.

        Raises:
            REDCapError: Of the type that says what is wrong.
        """
        now = self.clock()
        mark = Mark(now.timestamp(), "", "", self.buckets, "", {}, ())
        try:
            # Just one type of entry, as the log of a day is long. This one is the newest of it.
            self.client.export_project_info()
            newest = self._log(_naive(now) - _WEST - _OVERLAP, logtype="manage")[:1]
            since = "".join(str(entry["timestamp"])[:16] for entry in newest)
            mark = self._by_log(replace(mark, since=since), time.monotonic())[0]
        except (RightsError, RefusedError):
            return self._by_dates(mark)[0]
        return replace(mark, structure=self._structure(), census=self._census())

    def since(self, mark: Mark, *, until: float) -> tuple[Mark, Changes]:
        """Give what changed since a mark, and the next mark.

        Args:
            mark: The last one.
            until: When to stop, by `time.monotonic`; the next mark is where it stopped.

        Raises:
            REDCapError: Of the type that says what is wrong.
        """
        try:
            return self._by_log(mark, until)
        except (RightsError, RefusedError):
            return self._by_dates(mark)

    # -- by the log ---------------------------------------------------------------------------

    def _by_log(self, mark: Mark, until: float) -> tuple[Mark, Changes]:
        changes, design = Changes(), False
        census, seen = dict(mark.census), set(mark.seen)
        for entries, reached in self._pieces(mark, until):
            met = list(self._digested(entries))
            for digest, entry in met:
                if digest in seen:
                    continue
                if entry.kind == "design":
                    design = True
                    continue
                (bucket,) = self._each_bucket([entry.record])
                age = (read_minute(reached.since) - entry.minute).total_seconds()
                changes.add(bucket, self._forms_of(entry), reached.looked - age, digest)
                if entry.kind != "edit":
                    own = self._number(entry.record) * (1 if entry.kind == "add" else -1)
                    census[bucket] = (census.get(bucket, 0) + own) % 2**64
            seen = {digest for digest, _ in met[-_MOST_SEEN:]}
            mark = replace(reached, census=census, seen=tuple(sorted(seen)))
        return (self._looked_closer(mark, changes) if design else mark), changes

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
        if self._newest(entries) == mark.newest:
            # What was just asked for is not the newest: the server's clock was put back.
            entries = self._log(begin - _CLOCK_CHANGE) or self._log(begin - _EAST - _WEST)
        since = str(entries[0]["timestamp"])[:16] if entries else mark.since
        yield (
            entries,
            replace(mark, since=since, newest=self._newest(entries), looked=now.timestamp()),
        )

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
        known = {self._forms_of_fields.get(name, "") for name in fields} - {""}
        every = entry.kind == "delete" or "redcap_data_access_group" in entry.fields
        return known if known and not every else self._all_forms

    @cached_property
    def _all_forms(self) -> set[str]:
        return {form.instrument_name for form in self.project.instruments}

    @cached_property
    def _forms_of_fields(self) -> Mapping[str, str]:
        """The instrument of each field, but of the record id, which is of all of them."""
        fields = {one.field_name: one.form_name for one in self.project.fields[1:]}
        return {**fields, **{f"{form}_complete": form for form in self._all_forms}}

    def _looked_closer(self, mark: Mark, changes: Changes) -> Mark:
        """Find what was done to the project as such: its dictionary changed, a record renamed."""
        structure, census = self._structure(), self._census()
        changes.structure = structure != mark.structure
        self._compare(mark.census, census, changes)
        return replace(mark, structure=structure, census=census)

    # -- by dates -----------------------------------------------------------------------------

    def _by_dates(self, mark: Mark) -> tuple[Mark, Changes]:
        """Ask which records were changed, and compare census and dictionary.

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
        census = self._census()
        self._compare(mark.census, census, changes)
        return Mark(
            now.timestamp(), "", "", self.buckets, structure, census, tuple(sorted(states))
        ), changes

    def _states(self, rows: pa.Table) -> dict[str, tuple[str, str]]:
        """Digest what each row has of each instrument; if these are too many, take them together.

        Returns:
            Digest to bucket and instrument.
        """
        record_id = self.project.record_id_field
        buckets = self._each_bucket(rows[record_id].to_pylist())
        keys = _joined(rows, [name for name in (record_id, *_KEYS) if name in rows.column_names])
        found: dict[str, tuple[str, str]] = {}
        for form in self._all_forms:
            named = {column.name for column in self.project.columns(form)} - {record_id}
            own = _joined(rows, [name for name in rows.column_names if name in named])
            for bucket, key, text in zip(buckets, keys, own, strict=True):
                if text.strip("\x1f"):
                    found[self._digest(form, key, text)] = (bucket, form)
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

    def _compare(self, before: Mapping[str, int], now: Mapping[str, int], into: Changes) -> None:
        for bucket in {*before, *now}:
            if before.get(bucket, 0) != (count := now.get(bucket, 0)):
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
