"""The records that an export is of: which there are, and which of them it lacks."""

from collections.abc import Mapping

import pyarrow as pa

from redcap_dagster.api.calls.parameters import chosen
from redcap_dagster.api.errors import REDCapError, RefusedError
from redcap_dagster.api.export.download.fetcher import (
    ExportSettings,
    Fetched,
    columns_changed,
    is_blank,
)
from redcap_dagster.api.export.download.parallel import gather
from redcap_dagster.api.export.plan.adaptive_limits import Pressure, as_a_whole, in_halves, is_size
from redcap_dagster.api.export.plan.listing import Listing, distinct
from redcap_dagster.api.export.plan.parts import FormColumns, Part
from redcap_dagster.api.export.plan.query import Question
from redcap_dagster.api.export.plan.record_requests import RecordRequest, plan_requests
from redcap_dagster.api.export.reader.selection import ADDED
from redcap_dagster.api.export.verification.census import incomplete, list_rows
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.system_columns import ACCESS_GROUP

_Fields = Mapping[str, str]
"""By repeating form, the field that lists its instances."""


def list_wanted(transport: Transport, question: Question, settings: ExportSettings) -> Listing:
    """List the rows, by their keys, of the records that are asked for.

    Filters act here alone: REDCap applies them row by row, and would drop rows of the records that
    match. Many records are listed with all others, as their ids would make a long request.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    id_field, most = question.project.record_id_field, settings.limits.max_records
    wanted = question.records
    if question.filters:
        asked = {**question.filters, **question.listing}
        matching = list_rows(transport, id_field, asked, groups=False)
        matched = matching[id_field].unique().to_pylist()
        only = None if wanted is None else {*wanted}
        wanted = [record for record in matched if only is None or record in only]
        if not wanted:
            return Listing(matching.select([id_field]).slice(0, 0), id_field)
    which = dict(question.listing)
    if wanted is not None and len(wanted) <= (most or len(wanted)):
        which |= chosen("records", wanted)
    listing = _list(transport, question, settings, which, question.witnesses)
    if wanted is not None:
        listing = listing.only_listed(wanted)
    return listing if question.among is None else listing.narrowed(question.among)


def _list(
    transport: Transport,
    question: Question,
    settings: ExportSettings,
    which: Mapping[str, str],
    fields: _Fields,
) -> Listing:
    """List instances too, unless the user may not see their form, which then does not come."""
    id_field = question.project.record_id_field
    wanted = {**which, **chosen("fields", [id_field, *fields.values()])}
    may_pass = in_halves if fields else as_a_whole
    try:
        rows = list_rows(transport, id_field, wanted, groups=question.groups, may_pass=may_pass)
    except RefusedError as error:
        seen = {form: name for form, name in fields.items() if name not in error.names}
        if len(seen) == len(fields):
            raise
        return _list(transport, question, settings, which, seen)
    except REDCapError as error:
        if not fields or not is_size(error):
            raise
        rows = _in_pieces(transport, question, settings, which, fields)
    kept = [name for name in rows.column_names if name == id_field or name in ADDED]
    return Listing(rows.select(kept), id_field, frozenset(fields))


def _in_pieces(
    transport: Transport,
    question: Question,
    settings: ExportSettings,
    which: Mapping[str, str],
    fields: _Fields,
) -> pa.Table:
    """List records first and then their instances, where all at once are too much for a server.

    Raises:
        MalformedAnswerError: The access groups of the first are not shown with the others.
        REDCapError: Of the type that says what is wrong.
    """
    places = _list(transport, question, settings, which, {})
    if not places.records:
        return places.rows
    groups = ACCESS_GROUP in places.rows.column_names
    forms = (FormColumns(form, ((name, 1),), whole=False) for form, name in fields.items())
    part = Part(tuple(forms), question.part.events, cut=True)

    def ask(lane: Transport, request: RecordRequest) -> pa.Table:
        names = [name for form in request.part.forms for name, _ in form.fields]
        own = chosen("fields", [places.id_field, *names]) | chosen("records", request.records)
        may_pass = in_halves if request.divisible else as_a_whole
        return list_rows(lane, places.id_field, {**which, **own}, groups=groups, may_pass=may_pass)

    answers = gather(
        transport,
        plan_requests(question.project, part, places, settings.limits, named=True, apart=False),
        ask,
        pressure=Pressure(settings.limits),
        concurrency=settings.concurrency,
        came=lambda _: None,
    )
    names = places.rows.column_names
    rows = [answer.rows for answer in answers if not is_blank(answer.rows)]
    if any(not {*names}.issubset(some.column_names) for some in rows):
        raise columns_changed()  # as when the user was put into an access group meanwhile
    return distinct(pa.concat_tables([places.rows, *(some.select(names) for some in rows)]), names)


def missing_records(
    fetched: Fetched, listing: Listing, question: Question
) -> dict[str, frozenset[str]]:
    """Name the records of which an export lacks listed rows, each with the forms that lack.

    No form does where the row is of an event that has none of those asked for: it is blank, and
    REDCap may leave it out.
    """
    if question.labelled:
        listing = listing.by_id()
    missing = dict(fetched.absent)
    anything = frozenset(question.forms or [listing.id_field])
    lacking = listing.lacking(fetched.table, None)
    due = listing.lacking(fetched.table, question.events)
    for row in lacking.to_pylist():
        missing.setdefault(row[listing.id_field], frozenset())
    for row in due.to_pylist():
        missing[row[listing.id_field]] |= question.forms_at(row) or anything
    return missing


def check_whole(missing: Mapping[str, frozenset[str]], question: Question) -> None:
    """Make sure that no form lacks anything.

    Raises:
        IncompleteExportError: Some do; it says how many records, and which forms.
    """
    if lacking := [forms for forms in missing.values() if forms]:
        named = frozenset[str]().union(*lacking)
        raise incomplete(len(lacking), [form for form in question.forms if form in named])
