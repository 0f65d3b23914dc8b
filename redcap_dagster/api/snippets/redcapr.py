"""Snippets in R with `REDCapR`, by its documentation; nothing here executes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redcap_dagster.api.snippets.httr import write_read_csv
from redcap_dagster.api.snippets.method import Parameter, Value
from redcap_dagster.api.snippets.quoting import quote_r
from redcap_dagster.api.snippets.request import APICall

_OWN = ("format", "returnFormat", "type", "csvDelimiter")
"""What a function of REDCapR decides by itself."""


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of REDCapR.

    Attributes:
        name: Its name.
        arguments: Its arguments by REDCap's names.
        result: What is taken of its value, such as ``$data``. Defaults to blank, for all.
        guesses: Whether it guesses types unless told otherwise, so that 007 would become 7.
            Defaults to False.
    """

    name: str
    arguments: Mapping[str, str]
    result: str = ""
    guesses: bool = False


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
    ("record", "export"): _Function("redcap_read", _SELECTION | _LABELS, "$data", guesses=True),
    ("record", "delete"): _Function(
        "redcap_delete", {"records": "records_to_delete", "arm": "arm_of_records_to_delete"}
    ),
    ("record", "import"): _Function(
        "redcap_write", {"data": "ds_to_write", "overwriteBehavior": "overwrite_with_blanks"}
    ),
    ("report", "export"): _Function(
        "redcap_report", {"report_id": "report_id", **_LABELS}, "$data", guesses=True
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


def write_redcapr_snippet(call: APICall) -> str | None:
    """Return R that calls REDCapR, or None where it does not have the call or a parameter.

    Args:
        call: The method with chosen values.
    """
    if call.values.get("type") == "eav":
        return None  # its function for that is not exported
    function = _FUNCTIONS.get((call.method.content, call.method.action))
    if function is None or ("data" in function.arguments and call.format != "csv"):
        return None
    arguments = [
        f"redcap_uri = {quote_r(call.url)}",
        f"token = Sys.getenv({quote_r(call.token_variable)})",
    ]
    for parameter in call.method.parameters:
        value = call.values.get(parameter.name)
        if parameter.name == "overwriteBehavior":
            value = value or parameter.default  # REDCapR has another default than REDCap
        if not value or parameter.name in _OWN:
            continue
        if parameter.name not in function.arguments:
            return None
        arguments.append(f"{function.arguments[parameter.name]} = {_write(call, parameter, value)}")
    if function.guesses:
        arguments.append("guess_type = FALSE")
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


def _write(call: APICall, parameter: Parameter, value: Value) -> str:
    if isinstance(value, bool):
        return "TRUE"
    if not isinstance(value, str):
        return f"c({', '.join(map(quote_r, value))})"
    quoted = quote_r(value)
    match parameter.kind:
        case "choice" if parameter.name == "overwriteBehavior":
            return "TRUE" if value == "overwrite" else "FALSE"
        case "number" if value.isascii() and value.isdecimal():
            return f"{int(value)}L"
        case "time":
            return f"as.POSIXct({quoted})"
        case "data":
            return write_read_csv(quoted, call.delimiter)
    return quoted
