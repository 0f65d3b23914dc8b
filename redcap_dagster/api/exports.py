"""Record exports: what may be asked for, and the rows that come back."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypedDict, TypeVar, Unpack

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.answers import Answer, read_json
from redcap_dagster.api.errors import (
    EmptyAnswerError,
    IncompleteExportError,
    MalformedAnswerError,
    RightsError,
)
from redcap_dagster.api.parameters import array, flag, one_of, server_time
from redcap_dagster.api.rows import no_rows, open_csv
from redcap_dagster.api.transport import Transport

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")

REQUEST = "record export"

# REDCap adds these to a row by itself, and refuses them as fields since 13.4.10.
_ADDED = frozenset(
    {
        "redcap_event_name",
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
        "redcap_data_access_group",
        "redcap_survey_identifier",
    }
)
_REPEAT = ("redcap_repeat_instrument", "redcap_repeat_instance")


class RecordSelection(TypedDict, total=False):
    """Which records to export, and what of them; by REDCap's own names. None means all.

    Fields and forms add up. Filter logic is applied to each row by itself, so that it drops rows
    of repeating forms. Dates are of the server's time zone and mean "created or modified", by the
    server's log. The record id field is always added, so that rows can be told apart.

    ``raw_or_label`` is ``raw`` or ``label``: labels instead of codes, event and group names;
    ``export_checkbox_label`` then gives the option's label instead of ``Checked``.
    ``combine_checkbox_options`` gives one column per checkbox (REDCap 16). ``decimal_character`` is
    ``.`` or ``,``; None leaves numbers as they were saved.
    """

    records: Sequence[str | int] | None
    fields: Sequence[str] | None
    forms: Sequence[str] | None
    events: Sequence[str] | None
    filter_logic: str | None
    date_range_begin: datetime | None
    date_range_end: datetime | None
    export_survey_fields: bool
    export_data_access_groups: bool
    export_blank_for_gray_form_status: bool
    raw_or_label: str
    export_checkbox_label: bool
    combine_checkbox_options: bool
    decimal_character: str | None


_LISTS = ("records", "fields", "forms", "events")
_DATES = {"date_range_begin": "dateRangeBegin", "date_range_end": "dateRangeEnd"}
_FLAGS = {
    "export_survey_fields": "exportSurveyFields",
    "export_data_access_groups": "exportDataAccessGroups",
    "export_blank_for_gray_form_status": "exportBlankForGrayFormStatus",
    "export_checkbox_label": "exportCheckboxLabel",
    "combine_checkbox_options": "combineCheckboxOptions",
}
RAW_OR_LABEL = ("raw", "label")
DECIMAL_CHARACTERS = (".", ",")


def check_selection(**selection: Unpack[RecordSelection]) -> dict[str, str]:
    """Check a selection, and write it as parameters of the API; the record id is not yet added.

    Raises:
        TypeError: A value of another type, such as one string where a list is wanted.
        ValueError: An empty list, a field that REDCap adds by itself, or a date with a time zone.

    Example:
        >>> check_selection(forms=["visit"], date_range_begin=datetime(2024, 1, 31))
        {'forms[0]': 'visit', 'dateRangeBegin': '2024-01-31 00:00:00'}
    """
    given: dict[str, Any] = {name: value for name, value in selection.items() if value is not None}
    unknown = given.keys() - RecordSelection.__annotations__.keys()
    if unknown:
        raise TypeError(f"A record export has no parameter {', '.join(sorted(unknown))}.")
    parameters: dict[str, str] = {}
    for name in _LISTS:
        if name in given:
            parameters |= array(name, given[name])
    added = _ADDED.intersection(given.get("fields", ()))
    if added:
        raise ValueError(
            f"fields: REDCap adds {', '.join(sorted(added))} by itself and refuses it as a field; "
            "leave it out."
        )
    if "filter_logic" in given:
        if not isinstance(given["filter_logic"], str):
            raise TypeError("filter_logic: give REDCap logic as a string.")
        parameters["filterLogic"] = given["filter_logic"]
    for name, key in _DATES.items():
        if name in given:
            parameters[key] = server_time(name, given[name])
    for name, key in _FLAGS.items():
        if on := flag(name, given.get(name, False)):
            parameters[key] = on
    if one_of("raw_or_label", given.get("raw_or_label", "raw"), RAW_OR_LABEL) == "label":
        parameters["rawOrLabel"] = "label"
    if "decimal_character" in given:
        parameters["decimalCharacter"] = one_of(
            "decimal_character", given["decimal_character"], DECIMAL_CHARACTERS
        )
    return parameters


def with_record_id(parameters: dict[str, str], record_id_field: str) -> dict[str, str]:
    """Add the record id to what is asked for: without it, rows come without any key.

    Example:
        >>> with_record_id({"forms[0]": "visit"}, "record_id")
        {'forms[0]': 'visit', 'fields[0]': 'record_id'}
    """
    fields = [value for key, value in parameters.items() if key.startswith("fields[")]
    if (not fields and "forms[0]" not in parameters) or record_id_field in fields:
        return parameters
    return parameters | {f"fields[{len(fields)}]": record_id_field}


# -- rows -----------------------------------------------------------------------------------------


def read_records(
    transport: Transport, parameters: dict[str, str], record_id_field: str
) -> pa.Table:
    """Export records whole, a row per record, event and instance; see `read_rows`.

    Raises:
        MalformedAnswerError: Rows have no record id, or come twice.
        REDCapError: Of the type that says what is wrong.
    """
    rows = read_rows(transport, parameters, record_id_field)
    if parameters.get("rawOrLabel") != "label":  # several forms may have one label
        _check_keys(rows, record_id_field)
    return rows


def read_rows(transport: Transport, parameters: dict[str, str], record_id_field: str) -> pa.Table:
    """Export rows whole, whatever they are: what breaks off is asked for again.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """

    def receive(answer: Answer) -> pa.Table:
        return open_csv(answer, record_id_field).read_all()

    empty: EmptyAnswerError
    try:
        return transport.post(REQUEST, _csv(parameters), receive)
    except EmptyAnswerError as error:
        empty = error
    confirm_empty(transport, REQUEST, _csv(parameters), empty)
    return pa.Table.from_batches([no_rows((record_id_field,))])


def _check_keys(rows: pa.Table, record_id_field: str) -> None:
    keys = [record_id_field, "redcap_event_name", *_REPEAT]
    places = rows.select([name for name in keys if name in rows.column_names])
    blank = rows[record_id_field].null_count
    again = rows.num_rows - places.group_by(places.column_names).aggregate([]).num_rows
    if blank or again:
        raise MalformedAnswerError(
            f"{REQUEST}: {blank} rows have no record id, and {again} are of a record, event and "
            "instance that came before. Try again; if it lasts, have a look at the export in "
            "REDCap, or tell the server's administrator.",
            request=REQUEST,
        )


def iterate_records(
    transport: Transport, parameters: dict[str, str], record_id_field: str
) -> Iterator[pa.RecordBatch]:
    """Export records batch by batch, as they come; there is at least one batch.

    Unlike `read_records`, it does not notice rows that come twice: it keeps none of them.

    Raises:
        REDCapError: Of the type that says what is wrong; after some batches too, where the
            answer breaks off. What came before is then incomplete.
    """
    empty: EmptyAnswerError
    try:
        with transport.open(REQUEST, _csv(parameters)) as answer:
            yield from open_csv(answer, record_id_field).batches
        return
    except EmptyAnswerError as error:
        empty = error
    confirm_empty(transport, REQUEST, _csv(parameters), empty)
    yield no_rows((record_id_field,))


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
            lambda wanted: transport.post(REQUEST, _csv(wanted), receive), parameters
        )
    except EmptyAnswerError:
        pass
    listed = read_census(transport, record_id_field)[record_id_field]
    if not len(listed):
        return ()
    one = check_selection(records=[listed[0].as_py()], export_survey_fields=True)
    return _with_groups(lambda wanted: transport.post(REQUEST, _csv(wanted), receive), one)


def read_census(transport: Transport, record_id_field: str) -> pa.Table:
    """Export what there is: one row per record and event, in REDCap's order.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    parameters = check_selection(fields=[record_id_field], export_survey_fields=True)
    rows = _with_groups(lambda wanted: read_records(transport, wanted, record_id_field), parameters)
    keys = [name for name in (record_id_field, "redcap_event_name") if name in rows.column_names]
    # Instances of repeating forms may be listed too; they are no records of their own.
    places = rows.select(keys).append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    first = places.group_by(keys).aggregate([("row", "min")])["row_min"]
    dropped = [name for name in _REPEAT if name in rows.column_names]
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


def of_events(census: pa.Table, events: Sequence[str] | None) -> pa.Table:
    """Give the rows of some events, or all where none are named or the project is classic."""
    if events is None or "redcap_event_name" not in census.column_names:
        return census
    named = pa.array(list(events), pa.string())
    return census.filter(pc.is_in(census["redcap_event_name"], named))


def count_missing(export: pa.Table, census: pa.Table, record_id_field: str) -> int:
    """Count the records, by event where there are events, of a census that an export lacks.

    One record id may be of several subjects, one in each arm, which their events tell apart.
    """
    columns = [record_id_field, "redcap_event_name"]
    present = [name for name in columns if name in census.column_names]

    def places(table: pa.Table) -> pa.ChunkedArray:
        texts = [pc.fill_null(table[name], "") for name in present]
        return pc.binary_join_element_wise(*texts, "\x1f")

    missing = pc.invert(pc.is_in(places(census), pc.unique(places(export))))
    return int(pc.sum(missing, min_count=0).as_py())


def incomplete(missing: int) -> IncompleteExportError:
    """Say how many records are missing, and what to do."""
    error = IncompleteExportError(
        f"{REQUEST}: {missing} records or events that REDCap lists are not in what it sent. Large "
        "answers can lose records: export fewer forms at once, and tell the server's "
        "administrator.",
        request=REQUEST,
    )
    error.missing = missing
    return error


def _csv(parameters: dict[str, str]) -> dict[str, str]:
    return {
        "content": "record",
        "action": "export",
        "format": "csv",
        "type": "flat",
        "csvDelimiter": ",",  # the server's own default may be another
        "returnFormat": "json",
        **parameters,
    }


def confirm_empty(
    transport: Transport, request: str, wanted: dict[str, str], empty: EmptyAnswerError
) -> None:
    """Make sure that an empty CSV means no rows: newer servers send no header, JSON tells.

    Raises:
        EmptyAnswerError: There are rows, and the server sent none of them.
    """
    if transport.post(request, wanted | {"format": "json"}, read_json) != []:
        raise empty
