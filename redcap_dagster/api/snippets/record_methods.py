"""The methods of REDCap's API for records, reports, surveys and the log."""

from dataclasses import replace
from typing import Final

from redcap_dagster.api.snippets.method import ClientCall, Method, Parameter
from redcap_dagster.api.snippets.shared import (
    ACCESS_GROUPS,
    CHECKBOX_LABEL,
    DATA,
    DECIMAL,
    DELIMITER,
    EVENT,
    EVENTS,
    FIELDS,
    FILTER,
    FORMAT,
    FORMATS,
    FORMS,
    INSTANCE,
    INSTRUMENT,
    JSON_FORMAT,
    RAW,
    RAW_HEADERS,
    RECORD,
    RECORDS,
    RETURN_FORMAT,
    SURVEY,
    SURVEY_FIELDS,
    TYPE,
    make_export_method,
    make_line_method,
    make_name_parameter,
    make_number_parameter,
)

LOG_TYPES: Final = (
    "export",
    "manage",
    "user",
    "record",
    "record_add",
    "record_edit",
    "record_delete",
    "lock_record",
    "page_view",
)
"""The types of log entries that REDCap can export."""

_RECORD_EXPORT: Final = Method(
    "Export Records",
    "record",
    "export",
    (
        replace(FORMAT, choices=(*FORMATS, "odm")),
        replace(TYPE, in_client=False),
        DELIMITER,
        RETURN_FORMAT,
        RAW,
        RAW_HEADERS,
        CHECKBOX_LABEL,
        SURVEY_FIELDS,
        ACCESS_GROUPS,
        Parameter(
            "exportBlankForGrayFormStatus",
            "Blank status of instruments that were never saved",
            "flag",
        ),
        Parameter("combineCheckboxOptions", "One column per checkbox field", "flag"),
        DECIMAL,
        FILTER,
        Parameter("dateRangeBegin", "Changed after", "time"),
        Parameter("dateRangeEnd", "Changed before", "time"),
        RECORDS,
        EVENTS,
        FORMS,
        FIELDS,
    ),
    (
        ClientCall("export_records", own_arguments=("records_where",)),
        ClientCall("records.export_eav", "type", "eav"),
    ),
    tables=("records/INSTRUMENT", "clean/INSTRUMENT"),
)

_RECORD_IMPORT: Final = Method(
    "Import Records",
    "record",
    "import",
    (
        FORMAT,
        RETURN_FORMAT,
        TYPE,
        DELIMITER,
        Parameter(
            "overwriteBehavior",
            "Blank values",
            "choice",
            choices=("normal", "overwrite"),
            default="normal",
        ),
        Parameter("forceAutoNumber", "Have REDCap number the records", "flag"),
        Parameter(
            "dateFormat", "Order in dates", "choice", choices=("YMD", "MDY", "DMY"), default="YMD"
        ),
        Parameter("backgroundProcess", "Import in the background", "flag"),
        Parameter(
            "returnContent",
            "Content of the response",
            "choice",
            choices=("count", "ids", "auto_ids", "nothing"),
            default="count",
        ),
        DATA,
    ),
    (ClientCall("records.import_", own_arguments=("batch_size", "choices", "dry_run")),),
)


RECORD_METHODS: Final = (
    make_export_method(
        "Export Logging",
        "log",
        "log.export",
        Parameter(
            "logtype",
            "Type of entries",
            "choice",
            choices=LOG_TYPES,
        ),
        make_name_parameter("user", "User", "users"),
        replace(RECORD, required=False),
        make_name_parameter("dag", "Data access group", "dags"),
        Parameter("beginTime", "From", "minute"),
        Parameter("endTime", "Until", "minute"),
    ),
    _RECORD_EXPORT,
    _RECORD_IMPORT,
    make_line_method(
        "Delete Records",
        "record",
        "delete",
        "records.delete",
        replace(RECORDS, required=True),
        make_number_parameter("arm", "Arm"),
        replace(INSTRUMENT, required=False),
        EVENT,
        replace(INSTANCE, default=""),
        Parameter("delete_logging", "Delete the log entries too", "flag", on="1"),
    ),
    make_line_method(
        "Rename Record",
        "record",
        "rename",
        "records.rename",
        RECORD,
        Parameter("new_record_name", "New record id", "text", required=True),
        make_number_parameter("arm", "Arm"),
    ),
    make_line_method(
        "Generate Next Record Name",
        "generateNextRecordName",
        "export",
        "records.generate_next_record_name",
    ),
    Method(
        "Randomize Record",
        "record",
        "randomize",
        (
            JSON_FORMAT,
            RETURN_FORMAT,
            RECORD,
            make_number_parameter("randomization_id", "Randomization", required=True),
            Parameter("returnAlt", "Return the alternative value", "flag"),
        ),
        (ClientCall("records.randomize"),),
    ),
    make_export_method(
        "Export Reports",
        "report",
        "reports.export",
        Parameter("report_id", "Report", "number", names_of="reports", required=True),
        DELIMITER,
        RAW,
        RAW_HEADERS,
        CHECKBOX_LABEL,
        DECIMAL,
        replace(TYPE, label="Type, which REDCap ignores", always_sent=False),
    ),
    make_line_method(
        "Export Survey Link",
        "surveyLink",
        "export",
        "surveys.export_link",
        *SURVEY,
    ),
    make_export_method(
        "Export Survey Participants",
        "participantList",
        "surveys.export_participants",
        INSTRUMENT,
        EVENT,
    ),
    make_line_method(
        "Export Survey Queue Link", "surveyQueueLink", "export", "surveys.export_queue_link", RECORD
    ),
    make_line_method(
        "Export Survey Return Code",
        "surveyReturnCode",
        "export",
        "surveys.export_return_code",
        *SURVEY,
    ),
    make_line_method(
        "Export Survey Access Code",
        "surveyAccessCode",
        "export",
        "surveys.export_access_code",
        *SURVEY,
    ),
)
