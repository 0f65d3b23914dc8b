"""The rows that REDCap lists by their keys, against which an export is checked."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.export.reader.row_keys import join_key_columns, select_records
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_COLUMNS

Counts = npt.NDArray[np.int64]

_INSTRUMENT, _INSTANCE = REPEAT_COLUMNS


@dataclass(frozen=True)
class Listing:
    """Rows that REDCap lists: records, events and instances of the requested instruments.

    Attributes:
        rows: The keys of the rows, with access groups and survey identifiers, in REDCap's order.
        id_field: The record id field.
        forms: The repeating instruments whose instances are listed.
        left_out: Number of listed records and events that are not part of the export. Defaults to
            0.
    """

    rows: pa.Table = field(repr=False)
    id_field: str
    forms: frozenset[str] = frozenset()
    left_out: int = 0

    @cached_property
    def records(self) -> tuple[str, ...]:
        """The ids of the records, in REDCap's order."""
        return tuple(pc.unique(self.rows[self.id_field]).to_pylist())

    @cached_property
    def census(self) -> pa.Table:
        """One row per record and event."""
        return keep_distinct_places(self.rows, self.id_field)

    # -- selections ---------------------------------------------------------------------------

    def select_among(self, among: Callable[[pa.Table], pa.Table]) -> "Listing":
        """Return the rows that `among` selects, and count the others."""
        selected = replace(self, rows=among(self.rows))
        return replace(selected, left_out=self.census.num_rows - selected.census.num_rows)

    def select_records(self, records: Collection[str]) -> "Listing":
        """Return those of some records that are listed."""
        return replace(self, rows=select_records(self.rows, [*records], self.id_field))

    def keep_ids_only(self) -> "Listing":
        """Return the record ids alone."""
        return replace(self, rows=self.rows.select([self.id_field]))

    def keep_forms(self, forms: Iterable[str]) -> "Listing":
        """Return the rows without instances of other instruments than some."""
        if _INSTRUMENT not in self.rows.column_names:
            return self
        instrument = self.rows[_INSTRUMENT]
        kept = pc.or_(pc.is_null(instrument), pc.is_in(instrument, pa.array([*forms], pa.string())))
        return replace(self, rows=self.rows.filter(kept))

    def add(self, others: Sequence["Listing"]) -> "Listing":
        """Return the rows of several listings; those that this one lacks come last."""
        rows = pa.concat_tables(
            [self.rows, *(other.rows for other in others)], promote_options="default"
        )
        return replace(self, rows=keep_distinct(rows, list_keys(rows, self.id_field)))

    # -- counts -------------------------------------------------------------------------------

    def count(self, events: Sequence[str] | None = None, form: str = "") -> Counts:
        """Return the number of rows of each record.

        Args:
            events: The events to count. Defaults to all events.
            form: The repeating instrument to count. Defaults to rows of no repeating instrument.
        """
        return self._sum(
            rows
            for (event, instrument), rows in self._counts.items()
            if instrument == form and (events is None or event in events)
        )

    def count_places(self, events: Sequence[str]) -> Counts:
        """Return in how many of some events each record has rows."""
        return self._sum(
            self._sum(rows for (one, _), rows in self._counts.items() if one == event) > 0
            for event in events
        )

    @cached_property
    def _counts(self) -> dict[tuple[str, str], Counts]:
        """The number of rows of each record by event and repeating instrument, blank for none."""
        record = self.rows[self.id_field].combine_chunks().dictionary_encode().indices
        number, what = len(self.records), (EVENT_NAME, _INSTRUMENT)
        if not {*what}.intersection(self.rows.column_names):
            return {("", ""): np.bincount(record.to_numpy(), minlength=number)}
        blank = pa.repeat("", self.rows.num_rows)
        columns = [
            pc.fill_null(self.rows[name], "") if name in self.rows.column_names else blank
            for name in what
        ]
        table = pa.table([*columns, record], names=[*what, "record"])
        counts: dict[tuple[str, str], Counts] = {}
        for each in table.group_by([*what]).aggregate([]).to_pylist():
            here = [pc.equal(table[name], value) for name, value in each.items()]
            numbers = table.filter(pc.and_(*here))["record"].to_numpy()
            counts[tuple(each.values())] = np.bincount(numbers, minlength=number)
        return counts

    def _sum(self, counts: Iterable[npt.NDArray[Any]]) -> Counts:
        return sum(counts, np.zeros(len(self.records), np.int64))

    # -- comparison with an export ------------------------------------------------------------

    def find_missing(self, export: pa.Table, events: Sequence[str] | None) -> pa.Table:
        """Return the listed rows, of some events or of all, that an export lacks.

        For a record in an event, any row there counts: which rows an export has depends on its
        fields. An instance must be there itself.
        """
        rows = self.rows
        if events is not None and EVENT_NAME in rows.column_names:
            rows = rows.filter(pc.is_in(rows[EVENT_NAME], pa.array([*events], pa.string())))
        if not export.num_rows:
            return rows  # newer servers then send no columns either
        place = [name for name in (self.id_field, EVENT_NAME) if name in rows.column_names]
        lacking = _is_new(rows, export, place)
        if _INSTANCE in rows.column_names:
            instances = pc.is_valid(rows[_INSTANCE])
            if _INSTANCE in export.column_names:  # older servers send it with instances alone
                instances = pc.and_(instances, _is_new(rows, export, [*place, *REPEAT_COLUMNS]))
            lacking = pc.or_(lacking, instances)
        return rows.filter(lacking)

    def find_lost_records(self, shown: pa.Table) -> set[str]:
        """Return the ids of records of which this listing lacks rows that other rows show.

        Args:
            shown: The rows of another listing or of an export. Instances count only where this
                listing has those of their instrument.
        """
        keys = shown.select(list_keys(shown, self.id_field))
        rows = Listing(keys, self.id_field).keep_forms(self.forms)
        return {*rows.find_missing(self.rows, None)[self.id_field].to_pylist()}

    def find_unlisted(self, export: pa.Table) -> set[str]:
        """Return the ids of an export's records that are not listed."""
        new = export.filter(_is_new(export, self.rows, [self.id_field]))
        return {*new[self.id_field].to_pylist()}

    def find_changed_records(self, other: "Listing") -> set[str]:
        """Return the ids of records whose rows differ between two listings."""
        changed: set[str] = set()
        for rows, others in ((self.rows, other.rows), (other.rows, self.rows)):
            names = [name for name in rows.column_names if name in others.column_names]
            new = rows.filter(_is_new(rows, others, names))
            changed.update(new[self.id_field].to_pylist())
        return changed


def keep_distinct_places(rows: pa.Table, record_id_field: str) -> pa.Table:
    """Return the first row of each record and event, without the columns of instances.

    Where nothing repeats, these are all rows, as duplicate rows are refused.
    """
    if _INSTRUMENT not in rows.column_names:
        return rows
    keys = [name for name in list_keys(rows, record_id_field) if name not in REPEAT_COLUMNS]
    dropped = [name for name in REPEAT_COLUMNS if name in rows.column_names]
    return keep_distinct(rows, keys).drop_columns(dropped)


def list_keys(rows: pa.Table, record_id_field: str) -> list[str]:
    """Return the columns that tell rows apart: record, event, instrument and instance."""
    names = (record_id_field, EVENT_NAME, *REPEAT_COLUMNS)
    return [name for name in names if name in rows.column_names]


def keep_distinct(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the first of all rows with the same values in some columns."""
    places = rows.select(keys).append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    first = places.group_by(keys).aggregate([("row", "min")])["row_min"]
    return rows.take(first.take(pc.sort_indices(first)))


def _is_new(rows: pa.Table, others: pa.Table, names: list[str]) -> pa.ChunkedArray:
    """Return which rows differ from all others in some columns."""
    if rows.select(names).equals(others.select(names)):  # the usual case, and quick to see
        return pa.chunked_array([pa.repeat(False, rows.num_rows)])
    return pc.invert(pc.is_in(join_key_columns(rows, names), join_key_columns(others, names)))
