"""The records that an export is of: which there are, and which of them it lacks."""

import pyarrow as pa

from redcap_dagster.api.census import list_rows, missing_places
from redcap_dagster.api.fetching import Fetched
from redcap_dagster.api.matrix import of_records
from redcap_dagster.api.parameters import chosen
from redcap_dagster.api.plan import Limits
from redcap_dagster.api.question import Question
from redcap_dagster.api.transport import Transport


def list_wanted(transport: Transport, question: Question, limits: Limits) -> pa.Table:
    """List the rows, by their keys, of the records that are asked for.

    Filters act here alone: REDCap applies them row by row, and would drop rows of the records that
    match. Many records are listed with all others, as their ids would make a long request.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    id_field = question.project.record_id_field
    wanted = question.records
    if question.filters:
        asked = {**question.filters, **question.listing}
        matching = list_rows(transport, id_field, asked, groups=False)
        matched = matching[id_field].unique().to_pylist()
        only = None if wanted is None else {*wanted}
        wanted = [record for record in matched if only is None or record in only]
        if not wanted:
            return matching.select([id_field]).slice(0, 0)
    named = {}
    if wanted is not None and len(wanted) <= (limits.max_records or len(wanted)):
        named = chosen("records", wanted)
    rows = list_rows(transport, id_field, {**question.listing, **named}, groups=question.groups)
    return rows if wanted is None else of_records(rows, wanted, id_field)


def missing_records(fetched: Fetched, census: pa.Table, question: Question) -> list[str]:
    """Name the records that an export lacks: once for each event, or for an answer without it."""
    id_field = question.project.record_id_field
    if question.labelled:
        census = census.select([id_field])
    lacking = missing_places(fetched.table, census, question.events, id_field)
    ids = lacking[id_field].to_pylist()
    return [*ids, *fetched.absent.difference(ids)]
