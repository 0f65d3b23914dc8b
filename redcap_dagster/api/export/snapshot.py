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
    Fetched,
    Fetcher,
)
from redcap_dagster.api.export.download.progress import Report
from redcap_dagster.api.export.plan.adaptive_limits import (
    FEW,
    Pressure,
    as_a_whole,
    in_halves,
    is_size,
)
from redcap_dagster.api.export.plan.listing import Listing, distinct_places
from redcap_dagster.api.export.plan.query import Among, Question
from redcap_dagster.api.export.plan.record_requests import RecordRequest
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.selection import RecordSelection
from redcap_dagster.api.export.verification.census import list_rows
from redcap_dagster.api.export.verification.completeness import (
    check_whole,
    list_wanted,
    missing_records,
)
from redcap_dagster.api.export.verification.consistency import RESTLESS, Outcome, settle
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
class Listed:
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
    listed: Listed | None = None,
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
    everything = Question(structure.project(), selection, groups=True, among=among)
    began = listed.since if listed else datetime.now(UTC)
    known = listed.listing if listed and not everything.witnesses else None
    for _ in range(_ATTEMPTS):
        listing = known or list_wanted(transport, everything, settings)
        known = None
        question = replace(everything, groups=ACCESS_GROUP in listing.rows.column_names)
        fetcher = Fetcher(transport, question, settings, Pressure(settings.limits), report)
        outcome = _export(fetcher, listing, began)
        # The first record of all came in between: no row, no header that tells of access groups.
        if listing.records or outcome.notes or not outcome.table.num_rows:
            break
    return RecordExport(
        table=outcome.table,
        census=outcome.census,
        listed=outcome.census.num_rows + outcome.left_out,
        parameters=question.shown(),
        began=began,
        requests=transport.sent - sent,
        consistent=RESTLESS not in outcome.notes,
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
    question = Question(project, selection, groups=True)
    id_field, most = project.record_id_field, settings.limits.max_cells
    since = datetime.now(UTC)
    listing = list_wanted(transport, question, settings)
    count, repeats = len(listing.records), REPEAT_COLUMNS[0] in listing.rows.column_names
    if not count:
        return read_records(transport, question.undivided(), id_field, as_a_whole)
    cells = listing.rows.num_rows * question.part.width
    fits = (most is None or cells <= most) and (count <= FEW or not question.narrowed)
    if fits and not repeats:
        one = RecordRequest(question.part, listing.records, 0, count, question.narrowed, cells)
        try:
            table = read_records(transport, question.parameters(one), id_field, in_halves)
        except REDCapError as error:
            if not is_size(error):
                raise
        else:
            sure = not question.narrowed or not listing.differing(
                list_wanted(transport, question, settings)
            )
            if sure and not missing_records(Fetched(table), listing, question):
                return table
    listed = Listed(listing, since)
    return take_snapshot(transport, structure(), selection, settings, listed=listed).table


def _export(fetcher: Fetcher, listing: Listing, began: datetime) -> Outcome:
    question = fetcher.question
    if question.among and not listing.records:
        nothing = Fetched(listing.rows.select([listing.id_field]))
        return settle(fetcher, nothing, listing, began)
    requests = fetcher.plan(listing)
    if not listing.records or (
        any(one.named for one in requests) and not _finds(fetcher, listing.records)
    ):
        return _undivided(fetcher, listing)
    fetched = fetcher.fetch(requests, listing)
    # What named no record has all of them, whatever the census lists.
    if (
        fetched.answers == 1
        and not requests[0].named
        and not missing_records(fetched, listing, question)
    ):
        return Outcome(fetched.table, _census_of(fetched.table, listing.census, question))
    return settle(fetcher, fetched, listing, began)


def _finds(fetcher: Fetcher, records: Sequence[str]) -> bool:
    """Whether REDCap finds a record by the id that it lists, as long as it lists it.

    It is asked where the id may be a hash, and more than once: one answer alone may lack it.
    """
    id_field = fetcher.question.project.record_id_field

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
    return list_wanted(fetcher.transport, fetcher.question, fetcher.settings)


def _undivided(fetcher: Fetcher, listing: Listing) -> Outcome:
    """Ask for all in one request: there is nothing, or no record can be asked for by its id."""
    question, id_field = fetcher.question, listing.id_field
    table = read_records(fetcher.transport, question.undivided(), id_field, as_a_whole)
    table = question.narrow(table)
    if not listing.records:
        hidden = question.filters and table.num_rows and _may_be_hashed(table[id_field][0].as_py())
        census = _census_of(table, listing.census, question)
        return Outcome(table, census, notes=(HIDDEN_IDS,) if hidden else ())
    if missing_records(Fetched(table), listing, question):
        listing = _list_again(fetcher)
        check_whole(missing_records(Fetched(table), listing, question), question)
    return Outcome(table, listing.census, listing.left_out, (HIDDEN_IDS,))


def _may_be_hashed(record: str) -> bool:
    return len(record) >= _SHORTEST_HASH


def _census_of(table: pa.Table, census: pa.Table, question: Question) -> pa.Table:
    """Read the census off an export that is one moment, where it shows all that a census does.

    So no record is in the one and not in the other, because it came in between.
    """
    id_field = question.project.record_id_field
    if question.labelled or not set(census.column_names).issubset(table.column_names):
        return census
    seen = distinct_places(table, id_field)
    lacks = Listing(census, id_field).lacking(seen, None).num_rows
    return census if lacks else seen.select(census.column_names)
