"""Several requests become the truth of one moment: what changed meanwhile is asked for again."""

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from redcap_dagster.api.export.download.fetcher import (
    FetchedRecords,
    Fetcher,
    changed_columns_error,
    is_blank,
)
from redcap_dagster.api.export.download.merge import replace_records
from redcap_dagster.api.export.plan.listing import Listing
from redcap_dagster.api.export.reader.row_keys import REQUEST, drop_records
from redcap_dagster.api.export.verification.changed_records import (
    ServerClock,
    changed_records,
    server_clock,
)
from redcap_dagster.api.export.verification.completeness import (
    check_no_form_is_incomplete,
    list_selected_rows,
    missing_records,
)

logger = logging.getLogger("redcap_dagster.api")

ROUNDS: Final = 3
"""How often records that were changed meanwhile are asked for again."""

RECORDS_KEPT_CHANGING: Final = (
    "Records were changed all the while the export ran, so that it holds some as they were a "
    "little earlier than others."
)


@dataclass(frozen=True)
class Outcome:
    """What came of an export.

    Attributes:
        table: The rows.
        census: The records and events that there are.
        left_out: How many more records and events there are, which are not wanted.
        notes: What the reader of the table should know.
    """

    table: pa.Table = field(repr=False)
    census: pa.Table = field(repr=False)
    left_out: int = 0
    notes: tuple[str, ...] = ()


def make_consistent(
    fetcher: Fetcher, fetched: FetchedRecords, listing: Listing, since: datetime
) -> Outcome:
    """Ask again for what is missing or was changed meanwhile, until nothing is.

    Each round takes the census first and asks afterwards what was changed: where nothing was, the
    table is the truth of the moment of that census. What is gone is asked for again as well, as a
    census may lack records too; only a filter may have let go of what two in a row lack. A single
    answer is of one moment: only the census is in doubt.

    Raises:
        IncompleteExportError: Records are missing after all rounds.
    """
    query, transport = fetcher.query, fetcher.transport
    id_field = query.project.record_id_field
    clock: ServerClock | None = None
    notes: tuple[str, ...] = ()
    for asked_again in range(ROUNDS + 1):
        at, before = datetime.now(UTC), listing
        listing = list_selected_rows(transport, query, fetcher.settings)
        _check_columns(before.rows, listing.rows)
        missing = missing_records(fetched, listing, query)
        gone = listing.find_unlisted(fetched.table)
        if query.filters and (unmatched := gone.difference(before.records)):
            fetched = replace(fetched, table=drop_records(fetched.table, unmatched, id_field))
            gone -= unmatched
        stale = {*missing, *before.find_changed_records(listing), *gone}
        if stale or fetched.responses > 1:
            clock = clock or server_clock(transport)
            changed = changed_records(transport, id_field, query.listing, since, clock)
            stale |= {*listing.records}.intersection(changed)
        if not stale:
            break
        if asked_again == ROUNDS:
            check_no_form_is_incomplete(missing, query)
            notes = (RECORDS_KEPT_CHANGING,)
            break
        logger.info("%s: %d records are asked for again", REQUEST, len(stale))
        some = listing.select_records(stale)
        fresh = fetcher.fetch_again(some, smaller=bool(missing))
        renewed = _renewed(fetched, fresh, some, listing)
        same, fetched = renewed.table.equals(fetched.table), renewed
        lacks = any(missing_records(fetched, listing, query).values())
        if same and not lacks and not (query.filters and gone):
            break
        since = at
    return Outcome(fetched.table, listing.census, listing.left_out, notes)


def _check_columns(before: pa.Table, after: pa.Table) -> None:
    """Make sure that the user sees access groups as before, by which columns and rows go.

    Raises:
        MalformedResponseError: It is not so.
    """
    if is_blank(before) or is_blank(after):
        return
    if set(before.column_names) != set(after.column_names):
        raise changed_columns_error()


def _renewed(
    fetched: FetchedRecords, fresh: FetchedRecords, some: Listing, listing: Listing
) -> FetchedRecords:
    """Replace some records by what they are now."""
    table, rows, id_field = fetched.table, fresh.table, listing.id_field
    if is_blank(rows):
        rows = table.slice(0, 0)
    elif is_blank(table):
        table = rows.slice(0, 0)
    _check_columns(table, rows)
    order = pa.array([*listing.records, *sorted(listing.find_unlisted(rows))], pa.string())
    again = {*some.records}
    absent = {record: forms for record, forms in fetched.absent.items() if record not in again}
    return FetchedRecords(
        replace_records(table, rows, some.records, order, id_field),
        {**absent, **fresh.absent},
        fetched.responses + fresh.responses,
    )
