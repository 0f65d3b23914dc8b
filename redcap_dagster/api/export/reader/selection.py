"""The selection of a record export, checked and written as REDCap's parameters."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypedDict, Unpack

from redcap_dagster.api.calls.parameters import (
    check_one_of,
    write_flag,
    write_list,
    write_server_time,
)
from redcap_dagster.options import misspelt
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_COLUMNS,
    SURVEY_IDENTIFIER,
)

ADDED: Final = frozenset(
    {
        EVENT_NAME,
        *REPEAT_COLUMNS,
        ACCESS_GROUP,
        SURVEY_IDENTIFIER,
    }
)
"""Columns that REDCap adds to rows by itself. It refuses them as fields since 13.4.10."""


class RecordSelection(TypedDict, total=False):
    """The records to export, their fields, and how values are written; with REDCap's own names.

    The record id field is always exported, as rows could not be verified without it.

    Attributes:
        records: Ids of the records. Defaults to all records.
        fields: Fields to export, in addition to those of `forms`. Defaults to all fields, if
            `forms` are not given either.
        forms: Instruments to export, in addition to `fields`. Defaults to all instruments, if
            `fields` are not given either.
        events: Unique names of events. Defaults to all events.
        filter_logic: REDCap logic of the rows to export, such as ``[age] > 40``. REDCap applies it
            to each row by itself, so it drops the rows of other events and of repeating
            instruments. Defaults to all rows.
        date_range_begin: Only records created or modified after this time, by the server's log and
            in the server's time zone. Defaults to no limit.
        date_range_end: Only records created or modified before this time, in the same way. Defaults
            to no limit.
        export_survey_fields: Whether to export survey identifiers and timestamps. Defaults to
            False.
        export_data_access_groups: Whether to export each record's data access group. Defaults to
            False.
        export_blank_for_gray_form_status: Whether the status of an instrument that was never saved
            is blank instead of 0. Defaults to False.
        raw_or_label: ``raw`` for codes, event and group names; ``label`` for their labels. Defaults
            to ``raw``.
        export_checkbox_label: With ``raw_or_label="label"``: whether a ticked box has the label of
            its choice instead of ``Checked``. Defaults to False.
        combine_checkbox_options: Whether a checkbox field is one column (REDCap 16). Defaults to
            False.
        decimal_character: ``.`` or ``,``. Defaults to numbers as they were saved.
        csv_delimiter: Delimiter of the CSV that REDCap sends: ``,``, ``tab``, ``;``, ``|`` or
            ``^``. It does not change the rows. Defaults to ``,``.

    Example:
        >>> RecordSelection(forms=["visit"], filter_logic="[age] > 40")
        {'forms': ['visit'], 'filter_logic': '[age] > 40'}
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
    csv_delimiter: str


_LISTS = ("records", "fields", "forms", "events")

_ORDER = ("records", "events", "forms", "fields")
"""The lists of a request in the order in which they are sent."""


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


DELIMITERS = {",": ",", "tab": "\t", ";": ";", "|": "|", "^": "^"}
"""The delimiters by REDCap's words for them."""


def check_selection(**selection: Unpack[RecordSelection]) -> dict[str, str]:
    """Return a checked selection as API parameters, without the record id field.

    Raises:
        TypeError: A parameter is misspelled, or a value has another type, such as one string
            instead of a list.
        ValueError: A list is empty, a field is one that REDCap adds by itself, or a date has a
            time zone.

    Example:
        >>> check_selection(forms=["visit"], date_range_begin=datetime(2024, 1, 31))
        {'forms[0]': 'visit', 'dateRangeBegin': '2024-01-31 00:00:00'}
    """
    given: dict[str, Any] = {name: value for name, value in selection.items() if value is not None}
    if unknown := misspelt(given, RecordSelection.__annotations__.keys(), "A record export"):
        raise TypeError(unknown)
    parameters: dict[str, str] = {}
    for name in _LISTS:
        if name in given:
            parameters |= write_list(name, given[name])
    added = ADDED.intersection(given.get("fields", ()))
    if added:
        raise ValueError(
            f"fields: REDCap adds {list_names(sorted(added))} by itself and refuses it as a field. "
            "Leave it out."
        )
    if "filter_logic" in given:
        if not isinstance(given["filter_logic"], str):
            raise TypeError("filter_logic: must be REDCap logic as a text.")
        parameters["filterLogic"] = given["filter_logic"]
    for name, key in _DATES.items():
        if name in given:
            parameters[key] = write_server_time(name, given[name])
    for name, key in _FLAGS.items():
        if on := write_flag(name, given.get(name, False)):
            parameters[key] = on
    if check_one_of("raw_or_label", given.get("raw_or_label", "raw"), RAW_OR_LABEL) == "label":
        parameters["rawOrLabel"] = "label"
    if "decimal_character" in given:
        parameters["decimalCharacter"] = check_one_of(
            "decimal_character", given["decimal_character"], DECIMAL_CHARACTERS
        )
    if "csv_delimiter" in given:
        parameters["csvDelimiter"] = check_one_of(
            "csv_delimiter", given["csv_delimiter"], tuple(DELIMITERS)
        )
    return parameters


def add_record_id(parameters: dict[str, str], record_id_field: str) -> dict[str, str]:
    """Return parameters that export the record id field too, without which rows have no key.

    Example:
        >>> add_record_id({"forms[0]": "visit"}, "record_id")
        {'forms[0]': 'visit', 'fields[0]': 'record_id'}
    """
    fields = [value for key, value in parameters.items() if key.startswith("fields[")]
    if (not fields and "forms[0]" not in parameters) or record_id_field in fields:
        return parameters
    return parameters | {f"fields[{len(fields)}]": record_id_field}


def get_delimiter(parameters: Mapping[str, str]) -> str:
    """Return the delimiter between two cells of an export."""
    return DELIMITERS[parameters.get("csvDelimiter", ",")]


def csv_parameters(parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters of a record export as CSV.

    Lists are last, fields as the very last: if a server ignores the end of a request, columns are
    missing in its response.
    """
    ordered = sorted(parameters, key=_rank)  # the sort is stable
    return {
        "content": "record",
        "action": "export",
        "format": "csv",
        "type": "flat",
        "csvDelimiter": ",",  # the server may have another default
        "returnFormat": "json",
        **{name: parameters[name] for name in ordered},
    }


@lru_cache(1 << 12)  # each request has records[0], records[1], ...
def _rank(parameter: str) -> int:
    """Return the place of a list among others; a parameter that is not in a list is before them."""
    name, bracket, _ = parameter.partition("[")
    return _ORDER.index(name) if bracket else -1


def split_records(parameters: dict[str, str], most: int) -> list[dict[str, str]]:
    """Return parameters that name some of the records each, so that all are within a limit.

    Args:
        parameters: All parameters of a record export.
        most: The most parameters of one request, with the token.

    Returns:
        The parameters themselves, if they are within the limit or too many without records.

    Example:
        >>> asked = {"fields[0]": "age", **write_list("records", ["1", "2", "3"])}
        >>> [one for one in split_records(asked, 4)]
        [{'fields[0]': 'age', 'records[0]': '1', 'records[1]': '2'}, \
{'fields[0]': 'age', 'records[0]': '3'}]
    """
    if len(parameters) < most:  # with the token
        return [parameters]
    records = [value for name, value in parameters.items() if name.startswith("records[")]
    others = {name: value for name, value in parameters.items() if not name.startswith("records[")}
    room = most - 1 - len(others)
    if room < 1:
        return [parameters]
    return [
        others | write_list("records", records[start : start + room])
        for start in range(0, len(records), room)
    ]
