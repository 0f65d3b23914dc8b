"""The methods of REDCap's API for files, the file repository and PDFs."""

from dataclasses import replace
from typing import Final

from redcap_dagster.api.snippets.method import ClientCall, Method, Parameter
from redcap_dagster.api.snippets.shared import (
    DOCUMENT,
    EVENT,
    FILE,
    FOLDER,
    INSTANCE,
    INSTRUMENT,
    JSON_FORMAT,
    PLACE,
    RECORD,
    RETURN_FORMAT,
    make_line_method,
    make_number_parameter,
)

FILE_METHODS: Final = (
    make_line_method(
        "Export File",
        "file",
        "export",
        "files.export",
        *PLACE,
        saved_as="redcap_file",
    ),
    make_line_method("Import File", "file", "import", "files.import_", *PLACE, FILE),
    make_line_method("Delete File", "file", "delete", "files.delete", *PLACE),
    Method(
        "Create Folder in File Repository",
        "fileRepository",
        "createFolder",
        (
            JSON_FORMAT,
            RETURN_FORMAT,
            Parameter("name", "Name", "text", required=True),
            FOLDER,
            make_number_parameter("dag_id", "Only for the data access group"),
            make_number_parameter("role_id", "Only for the user role"),
        ),
        (ClientCall("repository.create_folder"),),
    ),
    Method(
        "Export List of Files/Folders from File Repository",
        "fileRepository",
        "list",
        (JSON_FORMAT, RETURN_FORMAT, FOLDER),
        (ClientCall("repository.list_"),),
    ),
    make_line_method(
        "Export File from File Repository",
        "fileRepository",
        "export",
        "repository.export",
        DOCUMENT,
        saved_as="redcap_file",
    ),
    make_line_method(
        "Import File into File Repository",
        "fileRepository",
        "import",
        "repository.import_",
        FOLDER,
        FILE,
    ),
    make_line_method(
        "Delete File from File Repository",
        "fileRepository",
        "delete",
        "repository.delete",
        DOCUMENT,
    ),
    make_line_method(
        "Export PDF File of Instruments",
        "pdf",
        "export",
        "pdfs.export",
        replace(RECORD, required=False),
        EVENT,
        replace(INSTRUMENT, required=False),
        replace(INSTANCE, default=""),
        Parameter("allRecords", "All records", "flag"),
        Parameter("compactDisplay", "Compact display", "flag"),
        saved_as="redcap.pdf",
    ),
)
