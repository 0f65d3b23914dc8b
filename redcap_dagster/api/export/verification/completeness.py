"""The records that an export is of: which there are, and which of them it lacks."""

from collections.abc import Mapping

import pyarrow as pa

from redcap_dagster.api.calls.parameters import write_optional_list
from redcap_dagster.api.errors import REDCapError, RefusedError
from redcap_dagster.api.export.download.fetcher import (
    ExportSettings,
    FetchedRecords,
    changed_columns_error,
    is_blank,
)
from redcap_dagster.api.export.download.parallel import run_requests
from redcap_dagster.api.export.plan.adaptive_limits import (
    AdaptiveLimits,
    may_be_too_large,
    should_retry_divisible,
    should_retry_whole,
)
from redcap_dagster.api.export.plan.listing import Listing, distinct
from redcap_dagster.api.export.plan.parts import FormColumns, Part
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.plan.record_requests import RecordRequest, plan_requests
from redcap_dagster.api.export.reader.selection import ADDED
from redcap_dagster.api.export.verification.census import incomplete_error, list_rows
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.system_columns import ACCESS_GROUP

_Fields = Mapping[str, str]
"""By repeating form, the field that lists its instances."""


def list_selected_rows(
    transport: Transport, query: ExportQuery, settings: ExportSettings
) -> Listing:
    """List the rows, by their keys, of the records that are asked for.

    Filters act here alone: REDCap applies them row by row, and would drop rows of the records that
    match. Many records are listed with all others, as their ids would make a long request.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    id_field, most = query.project.record_id_field, settings.limits.max_records
    wanted = query.records
    if query.filters:
        asked = {**query.filters, **query.listing}
        matching = list_rows(transport, id_field, asked, groups=False)
        matched = matching[id_field].unique().to_pylist()
        only = None if wanted is None else {*wanted}
        wanted = [record for record in matched if only is None or record in only]
        if not wanted:
            return Listing(matching.select([id_field]).slice(0, 0), id_field)
    which = dict(query.listing)
    if wanted is not None and len(wanted) <= (most or len(wanted)):
        which |= write_optional_list("records", wanted)
    listing = _list(transport, query, settings, which, query.instance_fields)
    if wanted is not None:
        listing = listing.select_listed_records(wanted)
    return listing if query.among is None else listing.narrowed(query.among)


def _list(
    transport: Transport,
    query: ExportQuery,
    settings: ExportSettings,
    which: Mapping[str, str],
    fields: _Fields,
) -> Listing:
    """List instances too, unless the user may not see their form, which then does not come."""
    id_field = query.project.record_id_field
    wanted = {**which, **write_optional_list("fields", [id_field, *fields.values()])}
    should_retry = should_retry_divisible if fields else should_retry_whole
    try:
        rows = list_rows(
            transport, id_field, wanted, groups=query.groups, should_retry=should_retry
        )
    except RefusedError as error:
        seen = {form: name for form, name in fields.items() if name not in error.names}
        if len(seen) == len(fields):
            raise
        return _list(transport, query, settings, which, seen)
    except REDCapError as error:
        if not fields or not may_be_too_large(error):
            raise
        rows = _in_pieces(transport, query, settings, which, fields)
    kept = [name for name in rows.column_names if name == id_field or name in ADDED]
    return Listing(rows.select(kept), id_field, frozenset(fields))


def _in_pieces(
    transport: Transport,
    query: ExportQuery,
    settings: ExportSettings,
    which: Mapping[str, str],
    fields: _Fields,
) -> pa.Table:
    """List records first and then their instances, where all at once are too much for a server.

    Raises:
        MalformedResponseError: The access groups of the first are not shown with the others.
        REDCapError: Of the type that says what is wrong.
    """
    places = _list(transport, query, settings, which, {})
    if not places.records:
        return places.rows
    groups = ACCESS_GROUP in places.rows.column_names
    forms = (FormColumns(form, ((name, 1),), whole=False) for form, name in fields.items())
    part = Part(tuple(forms), query.part.events, cut=True)

    def ask(lane: Transport, request: RecordRequest) -> pa.Table:
        names = [name for form in request.part.forms for name, _ in form.fields]
        own = write_optional_list("fields", [places.id_field, *names]) | write_optional_list(
            "records", request.records
        )
        should_retry = should_retry_divisible if request.divisible else should_retry_whole
        return list_rows(
            lane, places.id_field, {**which, **own}, groups=groups, should_retry=should_retry
        )

    responses = run_requests(
        transport,
        plan_requests(query.project, part, places, settings.limits, named=True, apart=False),
        ask,
        adaptive_limits=AdaptiveLimits(settings.limits),
        concurrency=settings.concurrency,
        on_result=lambda _: None,
    )
    names = places.rows.column_names
    rows = [response.rows for response in responses if not is_blank(response.rows)]
    if any(not {*names}.issubset(some.column_names) for some in rows):
        raise changed_columns_error()  # as when the user was put into an access group meanwhile
    return distinct(pa.concat_tables([places.rows, *(some.select(names) for some in rows)]), names)


def missing_records(
    fetched: FetchedRecords, listing: Listing, query: ExportQuery
) -> dict[str, frozenset[str]]:
    """Name the records of which an export lacks listed rows, each with the forms that lack.

    No form does where the row is of an event that has none of those asked for: it is blank, and
    REDCap may leave it out.
    """
    if query.labeled:
        listing = listing.keep_ids_only()
    missing = dict(fetched.absent)
    anything = frozenset(query.forms or [listing.id_field])
    lacking = listing.find_missing(fetched.table, None)
    due = listing.find_missing(fetched.table, query.events)
    for row in lacking.to_pylist():
        missing.setdefault(row[listing.id_field], frozenset())
    for row in due.to_pylist():
        missing[row[listing.id_field]] |= query.find_forms_in_row(row) or anything
    return missing


def check_no_form_is_incomplete(missing: Mapping[str, frozenset[str]], query: ExportQuery) -> None:
    """Make sure that no form lacks anything.

    Raises:
        IncompleteExportError: Some do; it says how many records, and which forms.
    """
    if lacking := [forms for forms in missing.values() if forms]:
        named = frozenset[str]().union(*lacking)
        raise incomplete_error(len(lacking), [form for form in query.forms if form in named])
