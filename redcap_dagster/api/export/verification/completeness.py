"""The completeness of an export: the rows that REDCap lists, and the records that lack rows."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from redcap_dagster.api.calls.parameters import write_optional_list
from redcap_dagster.api.errors import REDCapError, RefusedError, RightsError
from redcap_dagster.api.export.download.fetcher import (
    ExportSettings,
    FetchedRecords,
)
from redcap_dagster.api.export.download.parallel import run_requests
from redcap_dagster.api.export.plan.adaptive_limits import (
    AdaptiveLimits,
    may_be_too_large,
    should_retry_divisible,
    should_retry_whole,
)
from redcap_dagster.api.export.plan.column_sets import ColumnSet, InstrumentColumns
from redcap_dagster.api.export.plan.listing import Listing, keep_distinct
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.plan.record_requests import RecordRequest, plan_requests
from redcap_dagster.api.export.reader.records import changed_columns_error, is_blank
from redcap_dagster.api.export.reader.row_keys import REQUEST, add_repeat_columns, may_be_hashed
from redcap_dagster.api.export.reader.selection import ADDED
from redcap_dagster.api.export.verification.census import (
    incomplete_error,
    is_refusal,
    list_rows,
    read_header,
)
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.system_columns import ACCESS_GROUP, EVENT_NAME

logger = logging.getLogger("redcap_dagster.api")

_AGREEING: Final = 2
"""How many times both listings of a row that is gone have to lack it."""

_Fields = Mapping[str, str]
"""The field that lists the instances of each repeating instrument."""


def list_selected_rows(
    transport: Transport, query: ExportQuery, settings: ExportSettings
) -> Listing:
    """Return the listed rows of the records that a query selects.

    Logic that records have to match applies here only: REDCap applies it row by row, and would drop
    rows of records that match. If a query names many records, all records are listed, as a request
    with many ids would be too long; also if they may be hashes, by which REDCap finds none.

    Raises:
        REDCapError: A request failed. The type says why.
    """
    id_field, limits = query.project.record_id_field, settings.limits
    selected = query.records
    if query.filters:
        parameters = {**query.filters, **query.event_parameters}
        matching = list_rows(transport, id_field, parameters, groups=False)
        matched = matching[id_field].unique().to_pylist()
        named = None if selected is None else {*selected}
        selected = [record for record in matched if named is None or record in named]
        if not selected:
            return Listing(matching.select([id_field]).slice(0, 0), id_field)
    parameters = {**query.event_parameters, **query.row_filter}
    hashed = query.filters and may_be_hashed(selected or ())
    most = limits.beside(len(parameters) + len(query.instance_fields)).max_records
    if selected is not None and len(selected) <= (most or 0) and not hashed:
        parameters |= write_optional_list("records", selected)
    listing = _list_with_instances(transport, query, settings, parameters, query.instance_fields)
    if selected is not None:
        listing = listing.select_records(selected)
    return listing if query.among is None else listing.select_among(query.among)


def list_again(
    transport: Transport,
    query: ExportQuery,
    settings: ExportSettings,
    shown: Sequence[pa.Table],
) -> Listing:
    """Return a new listing that lacks no row which was shown before, unless the row is gone.

    A listing may lose rows. A row that was shown is gone only where this listing lacks it, and
    twice both a listing of its record alone and another one of all records.

    Args:
        transport: The connection.
        query: The query.
        settings: The settings of the export.
        shown: The keys of rows that other listings or responses showed.

    Raises:
        REDCapError: A request failed. The type says why.
    """
    listing = list_selected_rows(transport, query, settings)
    lost = set[str]().union(*map(listing.find_lost_records, shown))
    if not lost:
        return listing
    logger.info("%s: rows of %d records were lost or deleted", REQUEST, len(lost))
    listings = [listing]
    for _ in range(_AGREEING):
        named = list_selected_rows(transport, query.narrow(lost), settings)
        listing = list_selected_rows(transport, query, settings)
        listings += [named, listing]
        known = [*shown, *(one.rows for one in listings)]
        lost = set[str]().union(*map(listing.find_lost_records, known))
        if not lost:
            return listing
    return listing.add(listings)


def _list_with_instances(
    transport: Transport,
    query: ExportQuery,
    settings: ExportSettings,
    parameters: Mapping[str, str],
    fields: _Fields,
) -> Listing:
    """Return listed rows with instances, except of instruments that the user may not see."""
    id_field = query.project.record_id_field
    request = {**parameters, **write_optional_list("fields", [id_field, *fields.values()])}
    should_retry = should_retry_divisible if fields else should_retry_whole
    try:
        rows = list_rows(
            transport,
            id_field,
            request,
            groups=query.groups,
            should_retry=should_retry,
            project=query.project,
        )
    except REDCapError as error:
        if fields and isinstance(error, RightsError | RefusedError) and is_refusal(error):
            seen = _select_exported(fields, read_header(transport, id_field))
            if len(seen) < len(fields):
                return _list_with_instances(transport, query, settings, parameters, seen)
        if not fields or not may_be_too_large(error):
            raise
        rows = _list_in_pieces(transport, query, settings, parameters, fields)
    if query.project.has_repeating:
        rows = add_repeat_columns(rows)
    kept = [name for name in rows.column_names if name == id_field or name in ADDED]
    return Listing(rows.select(kept), id_field, frozenset(fields))


def _select_exported(fields: _Fields, columns: Sequence[str]) -> _Fields:
    """Return the fields that have a column in an export of all that the user may export."""
    return {
        form: name
        for form, name in fields.items()
        if any(column == name or column.startswith(f"{name}___") for column in columns)
    }


def _list_in_pieces(
    transport: Transport,
    query: ExportQuery,
    settings: ExportSettings,
    parameters: Mapping[str, str],
    fields: _Fields,
) -> pa.Table:
    """Return listed rows with instances in several requests: first the records, then instances.

    Raises:
        MalformedResponseError: Only some responses have access groups.
        REDCapError: A request failed. The type says why.
    """
    places = _list_with_instances(transport, query, settings, parameters, {})
    if not places.records:
        return places.rows
    groups = ACCESS_GROUP in places.rows.column_names
    forms = (
        InstrumentColumns(form, ((name, 1),), all_fields=False) for form, name in fields.items()
    )
    column_set = ColumnSet(tuple(forms), query.column_set.events, subset=True)

    adaptive_limits = AdaptiveLimits(settings.limits, settings.budget)

    def fetch(connection: Transport, request: RecordRequest) -> pa.Table:
        names = [name for form in request.column_set.forms for name, _ in form.fields]
        own = write_optional_list("fields", [places.id_field, *names]) | write_optional_list(
            "records", request.records
        )
        rows = list_rows(
            connection,
            places.id_field,
            {**parameters, **own},
            groups=groups,
            should_retry=adaptive_limits.choose_retries(request),
            project=query.project,
        )
        return add_repeat_columns(rows)

    results = run_requests(
        transport,
        plan_requests(query.project, column_set, places, settings.limits, named=True, apart=False),
        fetch,
        adaptive_limits=adaptive_limits,
        concurrency=settings.concurrency,
        on_result=lambda _: None,
    )
    names = places.rows.column_names
    rows = [result.rows for result in results if not is_blank(result.rows)]
    if any(not {*names}.issubset(some.column_names) for some in rows):
        raise changed_columns_error()  # the user may have been put into an access group meanwhile
    return keep_distinct(
        pa.concat_tables([places.rows, *(some.select(names) for some in rows)]), names
    )


def find_missing_records(
    fetched: FetchedRecords, listing: Listing, query: ExportQuery
) -> dict[str, frozenset[str]]:
    """Return the records of which an export lacks listed rows, each with the instruments.

    There are no instruments where the event of the row has none of the requested ones, and the
    export has no row of that event: such rows are blank, and REDCap may leave them out.
    """
    if query.labeled:
        listing = listing.keep_ids_only()
    missing = dict(fetched.absent)
    any_instrument = frozenset(query.forms or [listing.id_field])
    missing_rows = listing.find_missing(fetched.table, None)
    events = query.events
    if events is not None and EVENT_NAME in fetched.table.column_names:
        events = [*events, *fetched.table[EVENT_NAME].unique().to_pylist()]
    required_rows = listing.find_missing(fetched.table, events)
    for row in missing_rows.to_pylist():
        missing.setdefault(row[listing.id_field], frozenset())
    for row in required_rows.to_pylist():
        missing[row[listing.id_field]] |= query.find_forms_in_row(row) or any_instrument
    return missing


def check_complete_instruments(missing: Mapping[str, frozenset[str]], query: ExportQuery) -> None:
    """Raise unless every instrument is complete.

    Raises:
        IncompleteExportError: Records lack rows of instruments.
    """
    if lacking := [forms for forms in missing.values() if forms]:
        named = frozenset[str]().union(*lacking)
        raise incomplete_error(len(lacking), [form for form in query.forms if form in named])
