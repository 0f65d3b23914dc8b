"""A record export cut into requests of bounded size: which columns of which records, each once.

Nothing here asks REDCap for anything.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import numpy as np

from redcap_dagster.api.export.plan.listing import Counts, Listing
from redcap_dagster.api.export.plan.parts import Part, always_repeats, repeats_in
from redcap_dagster.project import REDCapProject

MAX_CELLS: Final = 500_000
"""Cells in one answer, by default.

PHP keeps each cell as an entry of an array and a text of its own, some 100 bytes, and REDCap holds
them twice, by record and as the rows that it writes, besides the text of the answer: 500,000 cells
are about 120 MB, a quarter of the 512 MB that REDCap wants of PHP, with room for long texts and for
repeating forms that have more instances than was assumed (an estimate, not a measurement).
"""

MAX_RECORDS: Final = 800
"""Record ids in one request, by default: a firewall was seen to refuse 847 of them."""

MAX_FIELDS: Final = 800
"""Fields in one request: PHP may cut a request off after 1,000 parameters, without a word."""

INSTANCES: Final = 4
"""Instances of a repeating form to expect in each record and event, where none are listed."""


@dataclass(frozen=True)
class Limits:
    """How large one request may be; None for no limit.

    Attributes:
        max_cells: Rows times columns of the answer, as far as they can be foreseen.
        max_records: Record ids in the request.
    """

    max_cells: int | None = MAX_CELLS
    max_records: int | None = MAX_RECORDS


@dataclass(frozen=True)
class RecordRequest:
    """One request: some columns of some records.

    Attributes:
        part: Which columns.
        listed: All records of the plan, in REDCap's order.
        start: The first of them that is asked for.
        stop: The first that is not.
        named: Whether their ids are sent; else REDCap is asked for all records.
        cells: How many the answer is expected to have.
    """

    part: Part
    listed: tuple[str, ...] = field(repr=False)
    start: int
    stop: int
    named: bool
    cells: int

    @property
    def records(self) -> tuple[str, ...]:
        """The ids of the records that are asked for."""
        return self.listed[self.start : self.stop]

    @property
    def divisible(self) -> bool:
        """Whether it has halves."""
        return self.stop - self.start > 1 or self.part.divisible

    def halves(self) -> tuple["RecordRequest", ...]:
        """Ask for half of the records at a time, or for half of the columns of the only one.

        Nothing where there is no half.

        Example:
            >>> from redcap_dagster.api.export.plan.parts import FormColumns
            >>> part = Part((FormColumns("visit", (("age", 1), ("race", 5))),))
            >>> request = RecordRequest(part, ("1", "2", "3"), 0, 3, named=False, cells=21)
            >>> [half.records for half in request.halves()]
            [('1',), ('2', '3')]
            >>> one = request.halves()[0]
            >>> [[name for name, _ in half.part.forms[0].fields] for half in one.halves()]
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
            replace(self, part=part, named=True, cells=self.cells * part.width // self.part.width)
            for part in self.part.halves()
        )


def plan_requests(
    project: REDCapProject,
    part: Part,
    listing: Listing,
    limits: Limits,
    *,
    named: bool,
    apart: bool = True,
    concurrency: int = 1,
) -> tuple[RecordRequest, ...]:
    """Cut an export into requests, each cell of it into exactly one.

    Args:
        project: The structure.
        part: All that is asked for, whatever it repeats.
        listing: The records that are asked for.
        limits: How large a request may be.
        named: Whether the ids are sent even where one request is enough, as there are others.
        apart: Whether columns may be asked for apart; if not, only records are.
        concurrency: How many requests are under way at a time: they shall end together.

    Returns:
        At least one request; part by part, in the order of the records.
    """
    whole = _cells(project, part, listing)
    total = int(whole.sum())
    few = not named or limits.max_records is None or len(listing.records) <= limits.max_records
    if few and (limits.max_cells is None or total <= limits.max_cells):
        return (RecordRequest(part, listing.records, 0, len(listing.records), named, total),)
    parts = _parts(project, part, listing, limits) if apart else (part,)
    return tuple(
        RecordRequest(narrow, listing.records, start, stop, True, int(cells[start:stop].sum()))
        for each in parts
        for narrow in (_narrow(project, each, listing, limits) if apart else (each,))
        for cells in (_cells(project, narrow, listing),)
        for start, stop in _cut_evenly(cells, limits, concurrency)
    )


def _cells(project: REDCapProject, part: Part, listing: Listing) -> Counts:
    """Expect so many cells of each record: of rows that repeat nothing, and of instances."""
    rows = listing.count(part.events or None)
    for form in part.forms:
        repeating = repeats_in(project, form.form, part.events)
        if form.form in listing.forms:
            rows = rows + listing.count(repeating, form.form)
        else:
            rows = rows + INSTANCES * listing.count_places(repeating)
    return rows * part.width


def _parts(
    project: REDCapProject, part: Part, listing: Listing, limits: Limits
) -> tuple[Part, ...]:
    """Ask for the forms that always repeat apart from the block matrix, in their events.

    Those of the same events go together as long as that takes no further request.
    """
    block = [form for form in part.forms if not always_repeats(project, form.form)]
    if not block or len(block) == len(part.forms):
        return (part,)
    together: list[Part] = []
    for form in part.forms:
        if form in block:
            continue
        events = tuple(event for event in repeats_in(project, form.form, part.events) if event)
        if project.is_longitudinal and not events:
            continue  # it repeats only in events that are not asked for
        candidates = [one for one in together if one.events == events]
        wider = [replace(one, forms=(*one.forms, form)) for one in candidates[-1:]]
        if wider and len(_cut(_cells(project, wider[0], listing), limits)) == len(
            _cut(_cells(project, candidates[-1], listing), limits)
        ):
            together[together.index(candidates[-1])] = wider[0]
        else:
            together.append(Part((form,), events, cut=True))
    return (Part(tuple(block), part.events, cut=True), *together)


def _narrow(
    project: REDCapProject, part: Part, listing: Listing, limits: Limits
) -> tuple[Part, ...]:
    """Cut a part by its columns as long as a single record of it has too many cells."""
    widest = int(_cells(project, part, listing).max(initial=0))
    if part.named_fields <= MAX_FIELDS and (limits.max_cells is None or widest <= limits.max_cells):
        return (part,)
    halves = part.halves()
    if not halves:
        return (part,)
    return tuple(narrow for half in halves for narrow in _narrow(project, half, listing, limits))


def _cut_evenly(cells: Counts, limits: Limits, concurrency: int) -> list[tuple[int, int]]:
    """Cut a row of records into equal pieces, so many that as many at a time end together.

    Example:
        >>> _cut_evenly(np.full(10, 3), Limits(max_cells=9, max_records=None), concurrency=2)
        [(0, 2), (2, 5), (5, 7), (7, 10)]
        >>> _cut_evenly(np.array([9, 1, 1, 1]), Limits(max_cells=9, max_records=None), 2)
        [(0, 1), (1, 4)]
    """
    fewest = _cut(cells, limits)
    if len(fewest) == 1:
        return fewest
    count = -(-len(fewest) // concurrency) * concurrency
    total = np.concatenate([[0], np.cumsum(cells)])
    inner = np.searchsorted(total, total[-1] * np.arange(1, count) // count, side="right") - 1
    bounds = [0, *inner.tolist(), len(cells)]
    even = [(start, stop) for start, stop in pairwise(bounds) if start < stop]
    small = all(len(_cut(cells[start:stop], limits)) == 1 for start, stop in even)
    return even if small else fewest


def _cut(cells: Counts, limits: Limits) -> list[tuple[int, int]]:
    """Cut a row of records where the next one would be too much; one alone is never too much.

    Example:
        >>> _cut(np.array([3, 3, 3, 9, 1]), Limits(max_cells=6, max_records=None))
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
