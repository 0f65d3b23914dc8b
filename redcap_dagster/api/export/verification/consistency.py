"""Consistency: records that changed while an export took several requests are fetched again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from redcap_dagster.api.export.download.fetcher import (
    FetchedRecords,
    Fetcher,
)
from redcap_dagster.api.export.download.merge import replace_records
from redcap_dagster.api.export.plan.listing import Listing
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.reader.records import (
    changed_columns_error,
    has_same_columns,
    is_blank,
)
from redcap_dagster.api.export.reader.row_keys import REQUEST
from redcap_dagster.api.export.verification.changed_records import (
    ServerClock,
    list_changed_records,
    read_server_clock,
)
from redcap_dagster.api.export.verification.completeness import (
    check_complete_instruments,
    find_missing_records,
    list_again,
)

logger = logging.getLogger("redcap_dagster.api")

ROUNDS: Final = 3
"""How often records that were changed meanwhile are fetched again."""

RECORDS_KEPT_CHANGING: Final = (
    "Records kept changing during the export, so the table is not a consistent snapshot: some "
    "records are a little older than others."
)


@dataclass(frozen=True)
class Outcome:
    """The result of an export.

    Attributes:
        table: The rows.
        census: The records and events that REDCap lists.
        left_out: Number of listed records and events that are not part of the export. Defaults to
            0.
        notes: Notes for the reader of the table. Defaults to none.
    """

    table: pa.Table = field(repr=False)
    census: pa.Table = field(repr=False)
    left_out: int = 0
    notes: tuple[str, ...] = ()


def make_consistent(
    fetcher: Fetcher, fetched: FetchedRecords, listing: Listing, since: datetime
) -> Outcome:
    """Return an export in which missing and changed records were fetched again until none is.

    Each round takes the census first, and lists changed records afterwards: where there are none,
    the table is a consistent snapshot of the moment of that census. Records that are gone are
    dropped. A single response is consistent by itself: only the census can differ from it.

    Raises:
        IncompleteExportError: Records are missing after all rounds.
    """
    query, transport = fetcher.query, fetcher.transport
    id_field = query.project.record_id_field
    clock: ServerClock | None = None
    notes: tuple[str, ...] = ()
    unlisted = fetched.table.select([id_field]).slice(0, 0)
    for round_number in range(ROUNDS + 1):
        at, before = datetime.now(UTC), listing
        shown = [before.rows, query.select_keys(fetched.table), unlisted]
        listing = list_again(transport, query, fetcher.settings, shown)
        _check_columns(before.rows, listing.rows)
        gone = {*fetched.absent, *listing.find_unlisted(fetched.table)}.difference(listing.records)
        fetched = fetched.drop(gone, id_field)
        missing = find_missing_records(fetched, listing, query)
        stale = {*missing, *before.find_changed_records(listing)}.intersection(listing.records)
        if not query.labeled:  # rows that are gone, of records that are still there
            stale |= listing.find_lost_records(fetched.table)
        if stale or gone or fetched.responses > 1:
            clock = clock or read_server_clock(transport)
            changed = list_changed_records(
                transport, id_field, query.event_parameters, since, clock
            )
            stale |= {*changed}.intersection(listing.records)
            unlisted = _select_unlisted(changed, listing, query)
        if not (stale or unlisted.num_rows):
            break
        if round_number == ROUNDS:
            check_complete_instruments(missing, query)
            notes = (RECORDS_KEPT_CHANGING,)
            break
        since = at
        if not stale:
            continue
        logger.info("%s: %d records are fetched again", REQUEST, len(stale))
        some = listing.select_records(stale)
        fresh = fetcher.fetch_again(some, smaller=bool(missing))
        renewed = _replace_fetched(fetched, fresh, some, listing)
        same, fetched = renewed.table.equals(fetched.table), renewed
        incomplete = any(find_missing_records(fetched, listing, query).values())
        if same and not incomplete and not unlisted.num_rows:
            break
    return Outcome(fetched.table, listing.census, listing.left_out, notes)


def _select_unlisted(changed: Sequence[str], listing: Listing, query: ExportQuery) -> pa.Table:
    """Return the ids of changed records that the query selects and the listing lacks.

    They are new, or the listing lost them. Which of them match logic or dates is not known.
    """
    selected = {*changed} if query.records is None else {*changed}.intersection(query.records)
    filtered = query.filters or query.row_filter
    unlisted = [] if filtered else sorted(selected.difference(listing.records))
    return query.apply_among(pa.table({listing.id_field: pa.array(unlisted, pa.string())}))


def _check_columns(before: pa.Table, after: pa.Table) -> None:
    """Raise unless the user sees the same columns as before, access groups among them.

    Raises:
        MalformedResponseError: The columns differ.
    """
    if is_blank(before) or is_blank(after):
        return
    if not has_same_columns(before.column_names, after.column_names):
        raise changed_columns_error()


def _replace_fetched(
    fetched: FetchedRecords, fresh: FetchedRecords, some: Listing, listing: Listing
) -> FetchedRecords:
    """Return an export in which some records are replaced by what was fetched again."""
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
