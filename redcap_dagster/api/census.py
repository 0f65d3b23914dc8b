"""The census of a project: its records and events, and whether an export has them all."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.answers import Answer
from redcap_dagster.api.errors import EmptyAnswerError, IncompleteExportError, RightsError
from redcap_dagster.api.exports import check_selection, csv_export, read_records
from redcap_dagster.api.keys import EVENT_COLUMN, REPEAT_COLUMNS, REQUEST
from redcap_dagster.api.rows import open_csv
from redcap_dagster.api.transport import Transport

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")


def read_header(transport: Transport, record_id_field: str) -> tuple[str, ...]:
    """Give the columns of an export of everything, by one that matches no row.

    Servers that send no header without rows (17.4.1 does not) are asked for one record instead;
    it is blank where there is none.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    parameters = check_selection(
        filter_logic=f"[{record_id_field}] = ''", export_survey_fields=True
    )

    def receive(answer: Answer) -> tuple[str, ...]:
        return open_csv(answer, record_id_field).columns

    try:
        return _with_groups(
            lambda wanted: transport.post(REQUEST, csv_export(wanted), receive), parameters
        )
    except EmptyAnswerError:
        pass
    listed = read_census(transport, record_id_field)[record_id_field]
    if not len(listed):
        return ()
    one = check_selection(records=[listed[0].as_py()], export_survey_fields=True)
    return _with_groups(lambda wanted: transport.post(REQUEST, csv_export(wanted), receive), one)


def read_census(transport: Transport, record_id_field: str) -> pa.Table:
    """Export what there is: one row per record and event, in REDCap's order.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    parameters = check_selection(fields=[record_id_field], export_survey_fields=True)
    rows = _with_groups(lambda wanted: read_records(transport, wanted, record_id_field), parameters)
    keys = [name for name in (record_id_field, EVENT_COLUMN) if name in rows.column_names]
    # Instances of repeating forms may be listed too; they are no records of their own.
    places = rows.select(keys).append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    first = places.group_by(keys).aggregate([("row", "min")])["row_min"]
    dropped = [name for name in REPEAT_COLUMNS if name in rows.column_names]
    return rows.take(first.take(pc.sort_indices(first))).drop_columns(dropped)


def _with_groups(ask: Callable[[dict[str, str]], T], parameters: dict[str, str]) -> T:
    """Ask with access groups, and without where the user may not see them.

    Servers refuse it whether or not the project has groups, and few users have the right.
    """
    try:
        return ask(parameters | {"exportDataAccessGroups": "true"})
    except RightsError as error:
        if "Data Access Groups" not in error.rights:
            raise
    logger.info("%s: without access groups, as the token's user may not see them", REQUEST)
    return ask(parameters)


def check_complete(
    transport: Transport,
    export: pa.Table,
    census: pa.Table,
    events: Sequence[str] | None,
    record_id_field: str,
) -> None:
    """Make sure that an export has every record of the census taken before it.

    Where one is missing, the census is taken again: it may have been deleted meanwhile.

    Raises:
        IncompleteExportError: Records are missing.
        REDCapError: Of the type that says what is wrong with the second census.
    """
    if _count_missing(export, _of_events(census, events), record_id_field):
        again = _of_events(read_census(transport, record_id_field), events)
        missing = _count_missing(export, again, record_id_field)
        if missing:
            raise _incomplete(missing)


def _of_events(census: pa.Table, events: Sequence[str] | None) -> pa.Table:
    """Give the rows of some events, or all where none are named or the project is classic."""
    if events is None or EVENT_COLUMN not in census.column_names:
        return census
    named = pa.array(list(events), pa.string())
    return census.filter(pc.is_in(census[EVENT_COLUMN], named))


def _count_missing(export: pa.Table, census: pa.Table, record_id_field: str) -> int:
    """Count the records, by event where there are events, of a census that an export lacks.

    One record id may be of several subjects, one in each arm, which their events tell apart.
    """
    columns = [record_id_field, EVENT_COLUMN]
    present = [name for name in columns if name in census.column_names]

    def places(table: pa.Table) -> pa.ChunkedArray:
        texts = [pc.fill_null(table[name], "") for name in present]
        return pc.binary_join_element_wise(*texts, "\x1f")

    missing = pc.invert(pc.is_in(places(census), pc.unique(places(export))))
    return int(pc.sum(missing, min_count=0).as_py())


def _incomplete(missing: int) -> IncompleteExportError:
    """Say how many records are missing, and what to do."""
    error = IncompleteExportError(
        f"{REQUEST}: {missing} records or events that REDCap lists are not in what it sent. Large "
        "answers can lose records: export fewer forms at once, and tell the server's "
        "administrator.",
        request=REQUEST,
    )
    error.missing = missing
    return error
