"""Snippets in R with `REDCapR`, by its documentation; nothing here executes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redcap_dagster.api.snippets.method import Method, Parameter, Value
from redcap_dagster.api.snippets.quoting import quote_r

_OWN = ("format", "returnFormat", "type", "csvDelimiter")
"""What a function of REDCapR decides by itself."""


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of REDCapR.

    Attributes:
        name: Its name.
        arguments: Its arguments by REDCap's names.
        result: What is taken of its value, such as ``$data``. Defaults to blank, for all.
    """

    name: str
    arguments: Mapping[str, str]
    result: str = ""


_SELECTION: Final = {
    "records": "records",
    "fields": "fields",
    "forms": "forms",
    "events": "events",
    "exportSurveyFields": "export_survey_fields",
    "exportDataAccessGroups": "export_data_access_groups",
    "exportBlankForGrayFormStatus": "blank_for_gray_form_status",
    "filterLogic": "filter_logic",
    "dateRangeBegin": "datetime_range_begin",
    "dateRangeEnd": "datetime_range_end",
}
_LABELS: Final = {
    "rawOrLabel": "raw_or_label",
    "rawOrLabelHeaders": "raw_or_label_headers",
    "exportCheckboxLabel": "export_checkbox_label",
}
_SURVEY: Final = {"record": "record", "instrument": "instrument", "event": "event"}

_FUNCTIONS: Final = {
    ("record", "export"): _Function("redcap_read", _SELECTION | _LABELS, "$data"),
    ("record", "delete"): _Function(
        "redcap_delete", {"records": "records_to_delete", "arm": "arm_of_records_to_delete"}
    ),
    ("record", "import"): _Function(
        "redcap_write", {"data": "ds_to_write", "overwriteBehavior": "overwrite_with_blanks"}
    ),
    ("report", "export"): _Function(
        "redcap_report", {"report_id": "report_id", **_LABELS}, "$data"
    ),
    ("metadata", "export"): _Function(
        "redcap_metadata_read", {"fields": "fields", "forms": "forms"}, "$data"
    ),
    ("metadata", "import"): _Function("redcap_metadata_write", {"data": "ds"}),
    ("instrument", "export"): _Function("redcap_instruments", {}, "$data"),
    ("arm", "export"): _Function("redcap_arm_export", {}, "$data"),
    ("event", "export"): _Function("redcap_event_read", {}, "$data"),
    ("formEventMapping", "export"): _Function(
        "redcap_event_instruments", {"arms": "arms"}, "$data"
    ),
    ("repeatingFormsEvents", "export"): _Function("redcap_instrument_repeating", {}, "$data"),
    ("project", "export"): _Function("redcap_project_info_read", {}, "$data"),
    ("exportFieldNames", "export"): _Function("redcap_variables", {}, "$data"),
    ("dag", "export"): _Function("redcap_dag_read", {}, "$data"),
    ("user", "export"): _Function("redcap_users_export", {}, "$data_user"),
    ("version", "export"): _Function("redcap_version", {}),
    ("generateNextRecordName", "export"): _Function("redcap_next_free_record_name", {}),
    ("surveyLink", "export"): _Function(
        "redcap_survey_link_export_oneshot", _SURVEY, "$survey_link"
    ),
    ("pdf", "export"): _Function("redcap_instrument_download", _SURVEY),
    ("fileRepository", "list"): _Function(
        "redcap_file_repo_list_oneshot", {"folder_id": "folder_id"}, "$data"
    ),
    ("file", "export"): _Function(
        "redcap_file_download_oneshot",
        {
            "record": "record",
            "field": "field",
            "event": "event",
            "repeat_instance": "repeat_instance",
        },
    ),
    ("file", "import"): _Function(
        "redcap_file_upload_oneshot",
        {"file": "file_name", "record": "record", "field": "field", "event": "event"},
    ),
}

_EAV: Final = _Function("redcap_read_eav_oneshot", _SELECTION, "$data")


def write_redcapr_snippet(
    method: Method, values: Mapping[str, Value], url: str, token_variable: str
) -> str | None:
    """Return R that calls REDCapR, or None where it does not have the call or a parameter.

    Args:
        method: The method.
        values: The values of its parameters.
        url: The URL of the API.
        token_variable: The environment variable that holds the token.
    """
    key = (method.content, method.action)
    is_eav = values.get("type") == "eav"
    function = _EAV if is_eav and key == ("record", "export") else _FUNCTIONS.get(key)
    if function is None or (is_eav and function is not _EAV):
        return None
    arguments = [
        f"redcap_uri = {quote_r(url)}",
        f"token = Sys.getenv({quote_r(token_variable)})",
    ]
    for parameter in method.parameters:
        value = values.get(parameter.name)
        name = function.arguments.get(parameter.name)
        if parameter.name == "overwriteBehavior":
            value = value or parameter.default  # REDCapR has another default than REDCap
        if not value or parameter.name in _OWN:
            continue
        if name is None or (parameter.kind == "data" and values.get("format", "csv") != "csv"):
            return None
        arguments.append(f"{name} = {_write(parameter, value, values)}")
    arguments.append("verbose = FALSE")  # its messages may show data
    lines = [
        "# By the documentation of REDCapR; not executed by the tests of this package.",
        "library(REDCapR)",
        "",
        f"result <- {function.name}(",
        ",\n".join(f"  {each}" for each in arguments),
        f"){function.result}",
        "print(result)",
    ]
    return "\n".join(lines) + "\n"


def _write(parameter: Parameter, value: Value, values: Mapping[str, Value]) -> str:
    if parameter.name == "overwriteBehavior":
        return "TRUE" if value == "overwrite" else "FALSE"
    if isinstance(value, bool):
        return "TRUE"
    if not isinstance(value, str):
        return f"c({', '.join(map(quote_r, value))})"
    if parameter.kind == "number" and value.isascii() and value.isdecimal():
        return f"{int(value)}L"
    if parameter.kind == "time":
        return f"as.POSIXct({quote_r(value)})"
    if parameter.kind == "data":
        delimiter = str(values.get("csvDelimiter") or ",")
        separator = quote_r({"tab": "\t"}.get(delimiter, delimiter))
        return (
            f"read.csv(text = {quote_r(value)}, sep = {separator}, "
            'colClasses = "character", check.names = FALSE)'
        )
    return quote_r(value)
