"""A record export cut into requests of bounded size: which columns of which records, each once.

Nothing here asks REDCap for anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from redcap_dagster.api.columns import Part, always_repeats, repeats_in
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
"""Instances of a repeating form to expect in each record and event: no listing tells."""

_Counts = npt.NDArray[np.int64]


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
            >>> from redcap_dagster.api.columns import FormColumns
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


@dataclass(frozen=True)
class Listed:
    """The records of a census, in its order, and how many rows each has, by event.

    Attributes:
        records: Their ids.
        rows: By event (blank in a classic project) how many rows the census has of each record.
    """

    records: tuple[str, ...] = field(repr=False)
    rows: dict[str, _Counts] = field(repr=False)

    def count(self, events: Sequence[str] | None = None) -> _Counts:
        """Count the rows of each record, in some events or in all."""
        wanted = self.rows.keys() if events is None else self.rows.keys() & set(events)
        return sum((self.rows[event] for event in wanted), np.zeros(len(self.records), np.int64))

    def only(self, records: set[str]) -> "Listed":
        """Give some of the records, in their order; those that are not here come last."""
        here = np.array([record in records for record in self.records], bool)
        kept = tuple(record for record in self.records if record in records)
        others = tuple(sorted(records.difference(kept)))
        blank = np.zeros(len(others), np.int64)
        rows = {event: np.concatenate([rows[here], blank]) for event, rows in self.rows.items()}
        return Listed((*kept, *others), rows)

    def having(self, events: Sequence[str] | None) -> set[str]:
        """Name the records that have rows in some events, or in any."""
        return {self.records[number] for number in np.flatnonzero(self.count(events))}


def plan_requests(
    project: REDCapProject,
    part: Part,
    listed: Listed,
    limits: Limits,
    *,
    named: bool,
    apart: bool = True,
) -> tuple[RecordRequest, ...]:
    """Cut an export into requests, each cell of it into exactly one.

    Args:
        project: The structure.
        part: All that is asked for, whatever it repeats.
        listed: The records that are asked for.
        limits: How large a request may be.
        named: Whether the ids are sent even where one request is enough, as there are others.
        apart: Whether columns may be asked for apart; if not, only records are.

    Returns:
        At least one request; part by part, in the order of the records.
    """
    whole = _cells(project, part, listed)
    total = int(whole.sum())
    few = not named or limits.max_records is None or len(listed.records) <= limits.max_records
    if few and (limits.max_cells is None or total <= limits.max_cells):
        return (RecordRequest(part, listed.records, 0, len(listed.records), named, total),)
    parts = _parts(project, part, listed, limits) if apart else (part,)
    return tuple(
        RecordRequest(narrow, listed.records, start, stop, True, int(cells[start:stop].sum()))
        for each in parts
        for narrow in (_narrow(project, each, listed, limits) if apart else (each,))
        for cells in (_cells(project, narrow, listed),)
        for start, stop in _cut(cells, limits)
    )


def _cells(project: REDCapProject, part: Part, listed: Listed) -> _Counts:
    """Expect so many cells of each record: of rows that repeat nothing, and of instances."""
    rows = listed.count(part.events or None)
    for form in part.forms:
        repeating = repeats_in(project, form.form, part.events)
        rows = rows + INSTANCES * listed.count(repeating)
    return rows * part.width


def _parts(project: REDCapProject, part: Part, listed: Listed, limits: Limits) -> tuple[Part, ...]:
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
        if wider and len(_cut(_cells(project, wider[0], listed), limits)) == len(
            _cut(_cells(project, candidates[-1], listed), limits)
        ):
            together[together.index(candidates[-1])] = wider[0]
        else:
            together.append(Part((form,), events, cut=True))
    return (Part(tuple(block), part.events, cut=True), *together)


def _narrow(project: REDCapProject, part: Part, listed: Listed, limits: Limits) -> tuple[Part, ...]:
    """Cut a part by its columns as long as a single record of it has too many cells."""
    widest = int(_cells(project, part, listed).max(initial=0))
    if part.named_fields <= MAX_FIELDS and (limits.max_cells is None or widest <= limits.max_cells):
        return (part,)
    halves = part.halves()
    if not halves:
        return (part,)
    return tuple(narrow for half in halves for narrow in _narrow(project, half, listed, limits))


def _cut(cells: _Counts, limits: Limits) -> list[tuple[int, int]]:
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
