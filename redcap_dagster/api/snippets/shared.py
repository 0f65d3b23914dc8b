"""Parameters and kinds that several methods of REDCap's API share."""

from dataclasses import replace
from typing import Final

from redcap_dagster.api.snippets.method import ClientCall, Method, NamesOf, Parameter

FORMATS = ("csv", "json", "xml")
DELIMITERS = (",", "tab", ";", "|", "^")
RAW_OR_LABEL = ("raw", "label")

FORMAT: Final = Parameter(
    "format",
    "Format",
    "choice",
    choices=FORMATS,
    default="csv",
    always_sent=True,
    in_client=False,
)
JSON_FORMAT: Final = replace(FORMAT, default="json")
RETURN_FORMAT: Final = Parameter(
    "returnFormat",
    "Format of errors",
    "choice",
    choices=FORMATS,
    default="json",
    always_sent=True,
    in_client=False,
)
TYPE: Final = Parameter(
    "type", "Type", "choice", choices=("flat", "eav"), default="flat", always_sent=True
)
DATA: Final = Parameter("data", "Data", "data", required=True)
DELIMITER: Final = Parameter(
    "csvDelimiter", "CSV delimiter", "choice", choices=DELIMITERS, default=",", always_sent=True
)
DECIMAL: Final = Parameter("decimalCharacter", "Decimal character", "choice", choices=(".", ","))
SURVEY_FIELDS: Final = Parameter(
    "exportSurveyFields", "Export survey identifiers and timestamps", "flag"
)
ACCESS_GROUPS: Final = Parameter("exportDataAccessGroups", "Export data access groups", "flag")
FILTER: Final = Parameter("filterLogic", "Filter logic", "text")
RAW: Final = Parameter(
    "rawOrLabel", "Raw codes or labels", "choice", choices=RAW_OR_LABEL, default="raw"
)
RAW_HEADERS: Final = Parameter(
    "rawOrLabelHeaders", "Raw or label headers", "choice", choices=RAW_OR_LABEL, default="raw"
)
CHECKBOX_LABEL: Final = Parameter("exportCheckboxLabel", "Export labels of ticked boxes", "flag")
OVERRIDE: Final = Parameter("override", "Delete all others", "flag", on="1")


def make_names_parameter(name: NamesOf, label: str, *, required: bool = False) -> Parameter:
    """Return a parameter that takes several names of the project."""
    return Parameter(name, label, "names", names_of=name, required=required)


def make_name_parameter(
    name: str, label: str, names_of: NamesOf, *, required: bool = False
) -> Parameter:
    """Return a parameter that takes one name of the project."""
    return Parameter(name, label, "name", names_of=names_of, required=required)


def make_number_parameter(name: str, label: str, *, required: bool = False) -> Parameter:
    """Return a parameter that takes a whole number."""
    return Parameter(name, label, "number", required=required)


RECORDS: Final = make_names_parameter("records", "Records")
FIELDS: Final = make_names_parameter("fields", "Fields")
FORMS: Final = make_names_parameter("forms", "Instruments")
EVENTS: Final = make_names_parameter("events", "Events")
ARMS: Final = make_names_parameter("arms", "Arms")
RECORD: Final = make_name_parameter("record", "Record", "records", required=True)
FIELD: Final = make_name_parameter("field", "Field", "fields", required=True)
INSTRUMENT: Final = make_name_parameter("instrument", "Instrument", "forms", required=True)
EVENT: Final = make_name_parameter("event", "Event", "events")
INSTANCE: Final = replace(make_number_parameter("repeat_instance", "Repeat instance"), default="1")
FOLDER: Final = make_number_parameter("folder_id", "Folder")
PLACE: Final = (RECORD, FIELD, EVENT, INSTANCE)
SURVEY: Final = (RECORD, INSTRUMENT, EVENT, INSTANCE)
DOCUMENT: Final = make_number_parameter("doc_id", "File", required=True)
FILE: Final = Parameter("file", "File", "file", required=True)


def make_export_method(
    title: str, content: str, call: str, *parameters: Parameter, tables: tuple[str, ...] = ()
) -> Method:
    """Return a method that exports rows in a format."""
    return Method(
        title,
        content,
        "export",
        (FORMAT, RETURN_FORMAT, *parameters),
        (ClientCall(call),),
        tables=tables,
    )


def make_import_method(title: str, content: str, call: str, *parameters: Parameter) -> Method:
    """Return a method that imports rows."""
    return Method(
        title, content, "import", (FORMAT, RETURN_FORMAT, *parameters, DATA), (ClientCall(call),)
    )


def make_line_method(
    title: str, content: str, action: str, call: str, *parameters: Parameter, saved_as: str = ""
) -> Method:
    """Return a method whose response is a line of text or a file."""
    return Method(
        title, content, action, (RETURN_FORMAT, *parameters), (ClientCall(call),), saved_as=saved_as
    )
