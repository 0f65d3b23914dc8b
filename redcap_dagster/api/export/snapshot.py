"""A record export as a consistent snapshot: planned, downloaded, verified against the census."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from redcap_dagster.api.calls.project_structure import ProjectStructure
from redcap_dagster.api.export.download.fetcher import (
    ExportSettings,
    FetchedRecords,
    Fetcher,
)
from redcap_dagster.api.export.download.progress import Report
from redcap_dagster.api.export.plan.adaptive_limits import (
    AdaptiveLimits,
    should_retry_whole,
)
from redcap_dagster.api.export.plan.listing import Listing, keep_distinct_places
from redcap_dagster.api.export.plan.query import Among, ExportQuery
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.requested import Requested
from redcap_dagster.api.export.reader.row_keys import may_be_hashed, select_records
from redcap_dagster.api.export.reader.selection import RecordSelection
from redcap_dagster.api.export.verification.census import list_rows
from redcap_dagster.api.export.verification.columns import ExportedColumns, check_columns
from redcap_dagster.api.export.verification.completeness import (
    check_complete_instruments,
    find_missing_records,
    list_again,
)
from redcap_dagster.api.export.verification.consistency import (
    RECORDS_KEPT_CHANGING,
    Outcome,
    make_consistent,
)
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.system_columns import ACCESS_GROUP

HIDDEN_IDS: Final = (
    "REDCap does not find records by the ids that it lists, as it hides them from the token's "
    "user. All records were exported in one request."
)

_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class RecordExport:
    """A complete export of records, and how it was made.

    Attributes:
        table: One row per record, event and instance, in REDCap's own order.
        census: The exported records and events, as REDCap listed them.
        listed: The number of records and events that REDCap listed, including those that are not
            part of the export.
        parameters: The parameters of the request, as REDCap's API Playground shows them, and
            `records_where`; without token, record ids, and values in logic.
        began: When the first request was sent, in UTC.
        requests: The number of requests, including the census.
        consistent: Whether the table is a consistent snapshot of one moment. Defaults to True.
        notes: Notes for the reader of the table. Defaults to none.
        unrequested: The columns that REDCap sent although they were not requested, such as new ones
            of a newer version. They are not in the table. Defaults to none.
    """

    table: pa.Table = field(repr=False)
    census: pa.Table = field(repr=False)
    listed: int
    parameters: Mapping[str, str]
    began: datetime
    requests: int
    consistent: bool = True
    notes: tuple[str, ...] = ()
    unrequested: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedRecords:
    """A listing of records, and when it began, in UTC."""

    listing: Listing
    since: datetime


def take_snapshot(
    transport: Transport,
    structure: ProjectStructure,
    selection: RecordSelection,
    settings: ExportSettings,
    among: Among | None = None,
    report: Report | None = None,
    listed: ListedRecords | None = None,
    records_where: str | None = None,
    adaptive_limits: AdaptiveLimits | None = None,
) -> RecordExport:
    """Return exported records that were verified to be complete and consistent.

    A single request is consistent by itself. If the export takes several, or names records, the
    census is taken again afterwards, and records that changed meanwhile are fetched again.

    Args:
        transport: The connection.
        structure: The structure of the project.
        selection: The checked selection.
        settings: The settings of the export.
        among: Returns the rows of a listing that are to be exported. Defaults to all rows.
        report: Is called with the progress. Defaults to a bar in a terminal or a notebook.
        listed: A listing that was just made, without instances. Defaults to a new one.
        records_where: REDCap logic that a row of each record has to match. Defaults to all records.
        adaptive_limits: The request size limits, by what the server could serve so far. Defaults to
            those of the settings.

    Raises:
        IncompleteExportError: Records are missing.
        ResponseMismatchError: There are rows, but no listing has a record.
        REDCapError: A request failed. The type says why.
    """
    sent = transport.sent
    everything = ExportQuery(structure.project(), selection, True, among, records_where)
    began = listed.since if listed else datetime.now(UTC)
    exported = ExportedColumns(structure.record_id_field)
    known = listed.listing if listed and not everything.instance_fields else None
    shown = [listed.listing.rows] if listed else []
    adaptive_limits = adaptive_limits or AdaptiveLimits(settings.limits, settings.budget)
    for _ in range(_ATTEMPTS):
        listing = known or list_again(transport, everything, settings, shown)
        known = None
        query = replace(everything, groups=ACCESS_GROUP in listing.rows.column_names)
        fetcher = Fetcher(transport, query, settings, adaptive_limits, report, exported.read)
        outcome = _export(fetcher, listing, began)
        # The first record was created in between: without rows there was no header, which shows
        # whether the project has access groups.
        if listing.records or outcome.notes or not outcome.table.num_rows:
            break
        shown = [outcome.table.select([structure.record_id_field])]
    else:
        requested = Requested.read(query.write_single_request(), structure.record_id_field)
        raise requested.mismatch_error(
            f"{outcome.table.num_rows} rows are of records that REDCap does not list"
        )
    unrequested = check_columns(transport, query, outcome.table, exported, fetcher.received)
    return RecordExport(
        table=outcome.table,
        census=outcome.census,
        listed=outcome.census.num_rows + outcome.left_out,
        parameters=query.write_public_parameters(),
        began=began,
        requests=transport.sent - sent,
        consistent=RECORDS_KEPT_CHANGING not in outcome.notes,
        notes=outcome.notes,
        unrequested=unrequested,
    )


def _export(fetcher: Fetcher, listing: Listing, began: datetime) -> Outcome:
    query = fetcher.query
    if (query.among or query.records_where) and not listing.records:
        nothing = FetchedRecords(listing.rows.select([listing.id_field]))
        return make_consistent(fetcher, nothing, listing, began)
    requests = fetcher.plan(listing)
    if not listing.records or (
        any(one.named for one in requests) and not _finds_listed_ids(fetcher, listing.records)
    ):
        return _export_undivided(fetcher, listing)
    fetched = fetcher.fetch(requests, listing)
    # A request that names no records returns all of them, whatever the census lists.
    if fetched.responses == 1 and not requests[0].named:
        shown = query.select_keys(fetched.table)
        if listing.find_lost_records(shown):  # records are new, or one of both lost rows
            listing = _list_again(fetcher, [listing.rows, shown])
        # What the listings agree to lack is gone, or was never there: it is not exported.
        lost = listing.find_lost_records(shown)
        if not lost and not find_missing_records(fetched, listing, query):
            return Outcome(fetched.table, _read_census_from(fetched.table, listing.census, query))
    return make_consistent(fetcher, fetched, listing, began)


def _finds_listed_ids(fetcher: Fetcher, records: Sequence[str]) -> bool:
    """Return whether REDCap finds records by the ids that it lists.

    Only an id that may be a hash is tried, and more than once, as a response may lack the record.
    """
    id_field = fetcher.query.project.record_id_field

    if not may_be_hashed(records):
        return True

    def found(record: str) -> bool:
        rows = list_rows(fetcher.transport, id_field, {"records[0]": record}, groups=False)
        return record in rows[id_field].to_pylist()

    for _ in range(_ATTEMPTS):
        if not records or found(records[0]) or found(records[0]):
            return True
        listed_now = _list_again(fetcher, []).records
        if records[0] in listed_now:
            return False
        records = listed_now
    return True


def _list_again(fetcher: Fetcher, shown: Sequence[pa.Table]) -> Listing:
    """Return a new listing, which no longer has records that were deleted meanwhile."""
    return list_again(fetcher.transport, fetcher.query, fetcher.settings, shown)


def _export_undivided(fetcher: Fetcher, listing: Listing) -> Outcome:
    """Return an export in one request: there is no record, or none is found by its id."""
    query, id_field = fetcher.query, listing.id_field

    def export() -> FetchedRecords:
        table = read_records(
            fetcher.transport,
            query.write_single_request(),
            id_field,
            should_retry_whole,
            project=query.project,
            on_header=fetcher.received.update,
            text=fetcher.settings.text,
        )
        if query.records_where:
            table = select_records(table, listing.records, id_field)
        return FetchedRecords(query.apply_among(table))

    fetched = export()
    if not listing.records:
        table = fetched.table
        by_record = query.filters or query.records is not None
        hidden = by_record and may_be_hashed(table[id_field].slice(0, 1).to_pylist())
        census = _read_census_from(table, listing.census, query)
        return Outcome(table, census, notes=(HIDDEN_IDS,) if hidden else ())

    def differs() -> bool:
        lost = listing.find_lost_records(query.select_keys(fetched.table))
        return bool(lost or find_missing_records(fetched, listing, query))

    for _ in range(_ATTEMPTS):
        if not differs():
            break
        listing = _list_again(fetcher, [listing.rows, query.select_keys(fetched.table)])
        if differs():
            fetched = export()
    fetched = fetched.drop(listing.find_unlisted(fetched.table), id_field)
    check_complete_instruments(find_missing_records(fetched, listing, query), query)
    return Outcome(fetched.table, listing.census, listing.left_out, (HIDDEN_IDS,))


def _read_census_from(table: pa.Table, census: pa.Table, query: ExportQuery) -> pa.Table:
    """Return the census as a consistent export shows it, or the census where it does not.

    Then a record created between the census and the export is in both.
    """
    id_field = query.project.record_id_field
    if query.labeled or not set(census.column_names).issubset(table.column_names):
        return census
    seen = keep_distinct_places(table, id_field)
    lacks = Listing(census, id_field).find_missing(seen, None).num_rows
    return census if lacks else seen.select(census.column_names)
