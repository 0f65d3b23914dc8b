"""The records of a project as of one moment: planned, exported, and held against the census."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from redcap_dagster.api.calls.project_structure import ProjectStructure
from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.download.fetcher import (
    ExportSettings,
    FetchedRecords,
    Fetcher,
)
from redcap_dagster.api.export.download.progress import Report
from redcap_dagster.api.export.plan.adaptive_limits import (
    FEW,
    AdaptiveLimits,
    may_be_too_large,
    should_retry_divisible,
    should_retry_whole,
)
from redcap_dagster.api.export.plan.listing import Listing, distinct_places
from redcap_dagster.api.export.plan.query import Among, ExportQuery
from redcap_dagster.api.export.plan.record_requests import RecordRequest
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.selection import RecordSelection
from redcap_dagster.api.export.verification.census import list_rows
from redcap_dagster.api.export.verification.completeness import (
    check_no_form_is_incomplete,
    list_selected_rows,
    missing_records,
)
from redcap_dagster.api.export.verification.consistency import (
    RECORDS_KEPT_CHANGING,
    Outcome,
    make_consistent,
)
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import ACCESS_GROUP, REPEAT_COLUMNS

HIDDEN_IDS: Final = (
    "REDCap does not find records by the ids that it lists, as it hides them from the token's "
    "user: all was asked for in one request."
)

_ATTEMPTS: Final = 3
_SHORTEST_HASH: Final = 32
"""Digits of the shortest hash that is in use: what has fewer is no hashed id."""


@dataclass(frozen=True)
class RecordExport:
    """Records that were exported whole, and how.

    Attributes:
        table: The block matrix: a row per record, event and instance, in REDCap's own order.
        census: The records and events that REDCap listed, of those that were asked for.
        listed: How many it listed, those that were not wanted among them.
        parameters: What was asked for, as REDCap's API Playground shows it; without token, record
            ids, and the values that a filter compares with.
        began: When the first request was sent, in UTC.
        requests: How many requests it took, the census among them.
        consistent: Whether the table is the truth of one moment.
        notes: What the reader of the table should know, in plain sentences.
    """

    table: pa.Table = field(repr=False)
    census: pa.Table = field(repr=False)
    listed: int
    parameters: Mapping[str, str]
    began: datetime
    requests: int
    consistent: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedRecords:
    """Records that were listed, and when that began, in UTC."""

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
) -> RecordExport:
    """Export records, and make sure that each record of the census is there, as of one moment.

    What fits into one request is one moment. Where it takes several, or names records, which a
    census may lack, the census is taken again afterwards, and what is not as it was then is asked
    for again.

    Args:
        transport: The connection.
        structure: The structure of the project.
        selection: What is asked for; it was checked.
        settings: How it is asked for.
        among: Gives the rows of a listing whose records are wanted; all by default.
        report: Is told how far it is; by default, a bar is shown in a terminal or a notebook.
        listed: The records that were listed a moment ago, where no instances are listed with them.

    Raises:
        IncompleteExportError: Records are missing.
        REDCapError: Of the type that says what is wrong.
    """
    sent = transport.sent
    everything = ExportQuery(structure.project(), selection, groups=True, among=among)
    began = listed.since if listed else datetime.now(UTC)
    known = listed.listing if listed and not everything.instance_fields else None
    for _ in range(_ATTEMPTS):
        listing = known or list_selected_rows(transport, everything, settings)
        known = None
        query = replace(everything, groups=ACCESS_GROUP in listing.rows.column_names)
        fetcher = Fetcher(transport, query, settings, AdaptiveLimits(settings.limits), report)
        outcome = _export(fetcher, listing, began)
        # The first record of all came in between: no row, no header that tells of access groups.
        if listing.records or outcome.notes or not outcome.table.num_rows:
            break
    return RecordExport(
        table=outcome.table,
        census=outcome.census,
        listed=outcome.census.num_rows + outcome.left_out,
        parameters=query.write_public_parameters(),
        began=began,
        requests=transport.sent - sent,
        consistent=RECORDS_KEPT_CHANGING not in outcome.notes,
        notes=outcome.notes,
    )


def export_table(
    transport: Transport,
    dictionary: Sequence[Mapping[str, Any]],
    structure: Callable[[], ProjectStructure],
    selection: RecordSelection,
    settings: ExportSettings,
) -> pa.Table:
    """Export records like `take_snapshot`, and ask for the structure only where it is needed.

    What fits into one request whatever repeats needs nothing but the dictionary.

    Raises:
        IncompleteExportError: Records are missing.
        REDCapError: Of the type that says what is wrong.
    """
    project = REDCapProject.from_exports(metadata=dictionary)
    query = ExportQuery(project, selection, groups=True)
    id_field, most = project.record_id_field, settings.limits.max_cells
    since = datetime.now(UTC)
    listing = list_selected_rows(transport, query, settings)
    count, repeats = len(listing.records), REPEAT_COLUMNS[0] in listing.rows.column_names
    if not count:
        return read_records(transport, query.write_single_request(), id_field, should_retry_whole)
    cells = listing.rows.num_rows * query.part.width
    fits = (most is None or cells <= most) and (count <= FEW or not query.narrowed)
    if fits and not repeats:
        one = RecordRequest(query.part, listing.records, 0, count, query.narrowed, cells)
        try:
            table = read_records(transport, query.parameters(one), id_field, should_retry_divisible)
        except REDCapError as error:
            if not may_be_too_large(error):
                raise
        else:
            sure = not query.narrowed or not listing.find_changed_records(
                list_selected_rows(transport, query, settings)
            )
            if sure and not missing_records(FetchedRecords(table), listing, query):
                return table
    listed = ListedRecords(listing, since)
    return take_snapshot(transport, structure(), selection, settings, listed=listed).table


def _export(fetcher: Fetcher, listing: Listing, began: datetime) -> Outcome:
    query = fetcher.query
    if query.among and not listing.records:
        nothing = FetchedRecords(listing.rows.select([listing.id_field]))
        return make_consistent(fetcher, nothing, listing, began)
    requests = fetcher.plan(listing)
    if not listing.records or (
        any(one.named for one in requests) and not _finds(fetcher, listing.records)
    ):
        return _undivided(fetcher, listing)
    fetched = fetcher.fetch(requests, listing)
    # What named no record has all of them, whatever the census lists.
    if (
        fetched.responses == 1
        and not requests[0].named
        and not missing_records(fetched, listing, query)
    ):
        return Outcome(fetched.table, _census_of(fetched.table, listing.census, query))
    return make_consistent(fetcher, fetched, listing, began)


def _finds(fetcher: Fetcher, records: Sequence[str]) -> bool:
    """Whether REDCap finds a record by the id that it lists, as long as it lists it.

    It is asked where the id may be a hash, and more than once: one answer alone may lack it.
    """
    id_field = fetcher.query.project.record_id_field

    if not _may_be_hashed(records[0]):
        return True

    def found(record: str) -> bool:
        rows = list_rows(fetcher.transport, id_field, {"records[0]": record}, groups=False)
        return record in rows[id_field].to_pylist()

    for _ in range(_ATTEMPTS):
        if not records or found(records[0]) or found(records[0]):
            return True
        listed_now = _list_again(fetcher).records
        if records[0] in listed_now:
            return False
        records = listed_now
    return True


def _list_again(fetcher: Fetcher) -> Listing:
    """Take the census again: what it does not list any more was deleted meanwhile."""
    return list_selected_rows(fetcher.transport, fetcher.query, fetcher.settings)


def _undivided(fetcher: Fetcher, listing: Listing) -> Outcome:
    """Ask for all in one request: there is nothing, or no record can be asked for by its id."""
    query, id_field = fetcher.query, listing.id_field
    table = read_records(
        fetcher.transport, query.write_single_request(), id_field, should_retry_whole
    )
    table = query.narrow(table)
    if not listing.records:
        hidden = query.filters and table.num_rows and _may_be_hashed(table[id_field][0].as_py())
        census = _census_of(table, listing.census, query)
        return Outcome(table, census, notes=(HIDDEN_IDS,) if hidden else ())
    if missing_records(FetchedRecords(table), listing, query):
        listing = _list_again(fetcher)
        check_no_form_is_incomplete(missing_records(FetchedRecords(table), listing, query), query)
    return Outcome(table, listing.census, listing.left_out, (HIDDEN_IDS,))


def _may_be_hashed(record: str) -> bool:
    return len(record) >= _SHORTEST_HASH


def _census_of(table: pa.Table, census: pa.Table, query: ExportQuery) -> pa.Table:
    """Read the census off an export that is one moment, where it shows all that a census does.

    So no record is in the one and not in the other, because it came in between.
    """
    id_field = query.project.record_id_field
    if query.labeled or not set(census.column_names).issubset(table.column_names):
        return census
    seen = distinct_places(table, id_field)
    lacks = Listing(census, id_field).find_missing(seen, None).num_rows
    return census if lacks else seen.select(census.column_names)
