"""Several requests become the truth of one moment: what changed meanwhile is asked for again."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.census import distinct_places, incomplete, listed
from redcap_dagster.api.changes import changed_records, server_offset
from redcap_dagster.api.fetching import Fetched, Fetcher, columns_changed, is_blank
from redcap_dagster.api.keys import REQUEST
from redcap_dagster.api.matrix import put
from redcap_dagster.api.plan import Listed
from redcap_dagster.api.wanted import list_wanted, missing_records

logger = logging.getLogger("redcap_dagster.api")

ROUNDS: Final = 3
"""How often records that were changed meanwhile are asked for again."""

RESTLESS: Final = (
    "Records were changed all the while the export ran, so that it holds some as they were a "
    "little earlier than others."
)


@dataclass(frozen=True)
class Outcome:
    """What came of an export.

    Attributes:
        table: The rows.
        census: The records and events that there are.
        notes: What the reader of the table should know.
    """

    table: pa.Table = field(repr=False)
    census: pa.Table = field(repr=False)
    notes: tuple[str, ...] = ()


def settle(fetcher: Fetcher, fetched: Fetched, rows: pa.Table, since: datetime) -> Outcome:
    """Ask again for what is missing or was changed meanwhile, until nothing is.

    Each round takes the census first and asks afterwards what was changed: where nothing was, the
    table is the truth of the moment of that census. What is gone is asked for again as well, as a
    census may lack records too.

    Raises:
        IncompleteExportError: Records are missing after all rounds.
    """
    question, transport = fetcher.question, fetcher.transport
    id_field = question.project.record_id_field
    offset = server_offset(transport)
    notes: tuple[str, ...] = ()
    for asked_again in range(ROUNDS + 1):
        at, before = datetime.now(UTC), rows
        rows = question.narrow(list_wanted(transport, question, fetcher.settings.limits))
        census, places = distinct_places(rows, id_field), listed(rows, id_field)
        missing = missing_records(fetched, census, question)
        changed = changed_records(transport, id_field, question.listing, since, offset)
        stale = {*missing, *_differing(before, rows, id_field)}
        stale |= {*places.records}.intersection(changed)
        stale |= {*fetched.table[id_field].unique().to_pylist()}.difference(places.records)
        if not stale:
            break
        if asked_again == ROUNDS:
            if missing:
                raise incomplete(len(missing), question.forms)
            notes = (RESTLESS,)
            break
        logger.info("%s: %d records are asked for again", REQUEST, len(stale))
        some = places.only(stale)
        fresh = fetcher.again(some, smaller=bool(missing))
        renewed = _renewed(fetched, fresh, some, places, id_field)
        same, fetched = renewed.table.equals(fetched.table), renewed
        if same and not missing_records(fetched, census, question):
            break
        since = at
    return Outcome(fetched.table, census, notes)


def _differing(before: pa.Table, after: pa.Table, id_field: str) -> set[str]:
    """Name the records that two listings show in different ways."""

    def lines(rows: pa.Table) -> pa.ChunkedArray:
        texts = [pc.fill_null(rows[name], "") for name in rows.column_names]
        return pc.binary_join_element_wise(*texts, "\x1f")

    differing: set[str] = set()
    for rows, others in ((before, after), (after, before)):
        new = rows.filter(pc.invert(pc.is_in(lines(rows), pc.unique(lines(others)))))
        differing.update(new[id_field].to_pylist())
    return differing


def _renewed(
    fetched: Fetched, fresh: Fetched, some: Listed, places: Listed, id_field: str
) -> Fetched:
    """Replace some records by what they are now."""
    table, rows = fetched.table, fresh.table
    if is_blank(rows):
        rows = table.slice(0, 0)
    elif is_blank(table):
        table = rows.slice(0, 0)
    if set(rows.column_names) != set(table.column_names):
        raise columns_changed()
    there = {*rows[id_field].unique().to_pylist()}
    unlisted = there.difference(places.records)
    order = pa.array([*places.records, *sorted(unlisted)], pa.string())
    absent = fetched.absent.difference(some.records) | fresh.absent
    return Fetched(put(table, rows, some.records, order, id_field), absent, fetched.answers)
