"""A record export split into requests of limited size, each cell in exactly one request.

Nothing here sends a request.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import numpy as np

from redcap_dagster.api.export.plan.column_sets import (
    ColumnSet,
    always_repeats,
    list_repeating_events,
)
from redcap_dagster.api.export.plan.listing import Counts, Listing
from redcap_dagster.api.http.transport import MAX_PARAMETERS
from redcap_dagster.project import REDCapProject

MAX_CELLS: Final = 500_000
"""Cells in one response, by default.

PHP keeps each cell as an array entry with a text of its own, some 100 bytes, and REDCap holds the
cells twice, by record and as rows, besides the text of the response. 500,000 cells are then about
120 MB, a quarter of the 512 MB that REDCap recommends for PHP. That leaves room for long texts and
for more instances than expected (an estimate, not a measurement).
"""

MAX_RECORDS: Final = 800
"""Record ids in one request, by default: a firewall has been seen to refuse 847 of them."""

_OTHERS: Final = 24
"""Parameters of a request besides records, fields, instruments and events, and some to spare."""

INSTANCES: Final = 4
"""Instances of a repeating instrument to expect per record and event, where none are listed."""


@dataclass(frozen=True)
class Limits:
    """The limits of one request; None for no limit.

    Attributes:
        max_cells: Expected rows times columns of the response. Defaults to 500,000.
        max_records: Record ids in the request. Defaults to 800.
        max_parameters: Parameters of the request. Defaults to 900.
    """

    max_cells: int | None = MAX_CELLS
    max_records: int | None = MAX_RECORDS
    max_parameters: int = MAX_PARAMETERS

    @property
    def max_names(self) -> int:
        """The most records, fields, instruments and events that a request can name."""
        return self.max_parameters - _OTHERS

    def beside(self, names: int) -> "Limits":
        """Return the limits with as many records as a request can name beside other names."""
        room = max(self.max_names - names, 1)
        return replace(self, max_records=min(self.max_records or room, room))


@dataclass(frozen=True)
class RecordRequest:
    """One request for some columns of some records.

    Attributes:
        column_set: The columns.
        listed: All records of the plan, in REDCap's order.
        start: Position of the first record of the request.
        stop: Position after its last record.
        named: Whether the request names its records; otherwise it is for all records.
        cells: Expected cells of the response.
    """

    column_set: ColumnSet
    listed: tuple[str, ...] = field(repr=False)
    start: int
    stop: int
    named: bool
    cells: int

    @property
    def records(self) -> tuple[str, ...]:
        """The ids of the records of the request."""
        return self.listed[self.start : self.stop]

    @property
    def names(self) -> int:
        """The number of records, fields, instruments and events that the request names."""
        return self.column_set.named + self.named * (self.stop - self.start)

    @property
    def divisible(self) -> bool:
        """Whether the request can be split."""
        return self.stop - self.start > 1 or self.column_set.divisible

    def split_in_halves(self) -> tuple["RecordRequest", ...]:
        """Return requests for half of the records each, or half of the columns of a single one.

        Returns nothing where the request cannot be split.

        Example:
            >>> from redcap_dagster.api.export.plan.column_sets import InstrumentColumns
            >>> column_set = ColumnSet((InstrumentColumns("visit", (("age", 1), ("race", 5))),))
            >>> request = RecordRequest(column_set, ("1", "2", "3"), 0, 3, named=False, cells=21)
            >>> [half.records for half in request.split_in_halves()]
            [('1',), ('2', '3')]
            >>> one = request.split_in_halves()[0]
            >>> halves = one.split_in_halves()
            >>> [[name for name, _ in half.column_set.forms[0].fields] for half in halves]
            [['age'], ['race']]
        """
        number = self.stop - self.start
        if number > 1:
            middle = self.start + number // 2
            cells = self.cells * (number // 2) // number
            return (
                replace(self, stop=middle, named=True, cells=cells),
                replace(self, start=middle, named=True, cells=self.cells - cells),
            )
        return tuple(
            replace(
                self,
                column_set=column_set,
                named=True,
                cells=self.cells * column_set.width // self.column_set.width,
            )
            for column_set in self.column_set.split_in_halves()
        )


def plan_requests(
    project: REDCapProject,
    column_set: ColumnSet,
    listing: Listing,
    limits: Limits,
    *,
    named: bool,
    apart: bool = True,
    concurrency: int = 1,
) -> tuple[RecordRequest, ...]:
    """Return the requests of an export, each cell in exactly one.

    Args:
        project: The structure.
        column_set: All columns of the export.
        listing: The records of the export.
        limits: The limits of one request.
        named: Whether a single request names its records too, as REDCap has others.
        apart: Whether columns may be split, not only records. Defaults to True.
        concurrency: Number of requests in parallel; they are to end together. Defaults to 1.

    Returns:
        At least one request; one column set after the other, in the order of the records.
    """
    total = int(_expect_cells(project, column_set, listing).sum())
    names, number = column_set.named, len(listing.records)
    few = not named or number <= (limits.beside(names).max_records or number)
    if few and names <= limits.max_names and total <= (limits.max_cells or total):
        return (RecordRequest(column_set, listing.records, 0, len(listing.records), named, total),)
    column_sets = (
        _split_off_repeating(project, column_set, listing, limits) if apart else (column_set,)
    )
    return tuple(
        RecordRequest(narrow, listing.records, start, stop, True, int(cells[start:stop].sum()))
        for each in column_sets
        for narrow in (_split_columns(project, each, listing, limits) if apart else (each,))
        for cells in (_expect_cells(project, narrow, listing),)
        for start, stop in _split_evenly(cells, limits.beside(narrow.named), concurrency)
    )


def _expect_cells(project: REDCapProject, column_set: ColumnSet, listing: Listing) -> Counts:
    """Return the expected cells of each record: of its rows by event, and of its instances."""
    rows = listing.count(column_set.events or None)
    for form in column_set.forms:
        repeating = list_repeating_events(project, form.form, column_set.events)
        if form.form in listing.forms:
            rows = rows + listing.count(repeating, form.form)
        else:
            rows = rows + INSTANCES * listing.count_places(repeating)
    return rows * column_set.width


def _split_off_repeating(
    project: REDCapProject, column_set: ColumnSet, listing: Listing, limits: Limits
) -> tuple[ColumnSet, ...]:
    """Return column sets in which instruments that always repeat are apart from the others.

    Those of the same events stay together as long as that takes no further request.
    """
    block = [form for form in column_set.forms if not always_repeats(project, form.form)]
    if not block or len(block) == len(column_set.forms):
        return (column_set,)
    together: list[ColumnSet] = []
    for form in column_set.forms:
        if form in block:
            continue
        events = tuple(
            event for event in list_repeating_events(project, form.form, column_set.events) if event
        )
        if project.is_longitudinal and not events:
            continue  # it repeats only in events that are not requested
        candidates = [one for one in together if one.events == events]
        wider = [replace(one, forms=(*one.forms, form)) for one in candidates[-1:]]
        if wider and len(_split(_expect_cells(project, wider[0], listing), limits)) == len(
            _split(_expect_cells(project, candidates[-1], listing), limits)
        ):
            together[together.index(candidates[-1])] = wider[0]
        else:
            together.append(ColumnSet((form,), events, subset=True))
    return (ColumnSet(tuple(block), column_set.events, subset=True), *together)


def _split_columns(
    project: REDCapProject, column_set: ColumnSet, listing: Listing, limits: Limits
) -> tuple[ColumnSet, ...]:
    """Return a column set split until no single record has too many cells."""
    widest = int(_expect_cells(project, column_set, listing).max(initial=0))
    # A half is left for the records, or as much as they need.
    room = limits.max_names - min(len(listing.records), limits.max_names // 2)
    if column_set.named <= room and widest <= (limits.max_cells or widest):
        return (column_set,)
    halves = column_set.split_in_halves()
    if not halves:
        return (column_set,)
    return tuple(
        narrow for half in halves for narrow in _split_columns(project, half, listing, limits)
    )


def _split_evenly(cells: Counts, limits: Limits, concurrency: int) -> list[tuple[int, int]]:
    """Return records in equal pieces, in a number that lets parallel requests end together.

    Example:
        >>> _split_evenly(np.full(10, 3), Limits(max_cells=9, max_records=None), concurrency=2)
        [(0, 2), (2, 5), (5, 7), (7, 10)]
        >>> _split_evenly(np.array([9, 1, 1, 1]), Limits(max_cells=9, max_records=None), 2)
        [(0, 1), (1, 4)]
    """
    fewest = _split(cells, limits)
    if len(fewest) == 1:
        return fewest
    count = -(-len(fewest) // concurrency) * concurrency
    total = np.concatenate([[0], np.cumsum(cells)])
    inner = np.searchsorted(total, total[-1] * np.arange(1, count) // count, side="right") - 1
    bounds = [0, *inner.tolist(), len(cells)]
    even = [(start, stop) for start, stop in pairwise(bounds) if start < stop]
    small = all(len(_split(cells[start:stop], limits)) == 1 for start, stop in even)
    return even if small else fewest


def _split(cells: Counts, limits: Limits) -> list[tuple[int, int]]:
    """Return records in the fewest pieces within the limits; a single record is never split.

    Example:
        >>> _split(np.array([3, 3, 3, 9, 1]), Limits(max_cells=6, max_records=None))
        [(0, 2), (2, 3), (3, 4), (4, 5)]
    """
    total = np.concatenate([[0], np.cumsum(cells)])
    pieces: list[tuple[int, int]] = []
    start = 0
    while start < len(cells):
        stop = len(cells)
        if limits.max_cells is not None:
            most = total[start] + limits.max_cells
            stop = int(np.searchsorted(total, most, side="right")) - 1
        if limits.max_records is not None:
            stop = min(stop, start + limits.max_records)
        stop = max(stop, start + 1)
        pieces.append((start, stop))
        start = stop
    return pieces
