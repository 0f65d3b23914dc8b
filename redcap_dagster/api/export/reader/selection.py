"""Which records an export is of, and what of them: checked, and written as REDCap's parameters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypedDict, Unpack

from redcap_dagster.api.calls.parameters import (
    check_one_of,
    write_flag,
    write_list,
    write_server_time,
)
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
"""REDCap adds these to a row by itself, and refuses them as fields since 13.4.10."""


class RecordSelection(TypedDict, total=False):
    """Which records to export, and what of them; by REDCap's own names. None means all.

    Fields and forms add up. Filter logic is applied to each row by itself, so that it drops rows
    of repeating forms. Dates are of the server's time zone and mean "created or modified", by the
    server's log. The record id field is always added, so that rows can be told apart.

    ``raw_or_label`` is ``raw`` or ``label``: labels instead of codes, event and group names;
    ``export_checkbox_label`` then gives the option's label instead of ``Checked``.
    ``combine_checkbox_options`` gives one column per checkbox (REDCap 16). ``decimal_character`` is
    ``.`` or ``,``; None leaves numbers as they were saved. ``csv_delimiter`` is what stands
    between two cells on the way: ``,``, ``tab``, ``;``, ``|`` or ``^``; the rows are the same.
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
"""REDCap's word for a delimiter, and the delimiter."""


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
            parameters |= write_list(name, given[name])
    added = ADDED.intersection(given.get("fields", ()))
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
    """Add the record id to what is asked for: without it, rows come without any key.

    Example:
        >>> add_record_id({"forms[0]": "visit"}, "record_id")
        {'forms[0]': 'visit', 'fields[0]': 'record_id'}
    """
    fields = [value for key, value in parameters.items() if key.startswith("fields[")]
    if (not fields and "forms[0]" not in parameters) or record_id_field in fields:
        return parameters
    return parameters | {f"fields[{len(fields)}]": record_id_field}


def get_delimiter(parameters: dict[str, str]) -> str:
    """Give what stands between two cells of an export."""
    return DELIMITERS[parameters.get("csvDelimiter", ",")]


def csv_parameters(parameters: dict[str, str]) -> dict[str, str]:
    """Write the parameters of an export as CSV."""
    return {
        "content": "record",
        "action": "export",
        "format": "csv",
        "type": "flat",
        "csvDelimiter": ",",  # the server's own default may be another
        "returnFormat": "json",
        **parameters,
    }
