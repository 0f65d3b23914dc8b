"""REDCap over HTTP: a client that returns complete, verified data or raises a typed error.

From the top: `client`, `methods`, `export`, `calls`, `http`, `errors`; each imports those below it.
"""

from redcap_dagster.api.calls.file_response import REDCapFile
from redcap_dagster.api.calls.project_structure import ProjectStructure
from redcap_dagster.api.client import REDCapClient
from redcap_dagster.api.errors import (
    BlockedError,
    CertificateError,
    EmptyResponseError,
    ErrorBodyError,
    FileTooLargeError,
    ImportRefusedError,
    IncompleteExportError,
    MalformedResponseError,
    NetworkError,
    NotApplicableError,
    NotUTF8Error,
    OutcomeUnknownError,
    ProjectChangedError,
    REDCapError,
    RefusedError,
    RefusedValue,
    ResponseMismatchError,
    RightsError,
    ServerError,
    ServerMemoryError,
    TLSError,
    TokenError,
    TooManyParametersError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.export.download.progress import Progress
from redcap_dagster.api.export.plan.query import Among
from redcap_dagster.api.export.plan.record_requests import MAX_CELLS, MAX_RECORDS
from redcap_dagster.api.export.reader.selection import RecordSelection
from redcap_dagster.api.export.snapshot import RecordExport
from redcap_dagster.api.http.transport import MAX_PARAMETERS
from redcap_dagster.api.methods.record_import.results import CellChange, RecordImport
from redcap_dagster.api.settings import ClientSettings

# Earlier names of the same classes.
Complaint = RefusedValue
EmptyAnswerError = EmptyResponseError
MalformedAnswerError = MalformedResponseError

__all__ = [
    "MAX_CELLS",
    "MAX_PARAMETERS",
    "MAX_RECORDS",
    "Among",
    "BlockedError",
    "CellChange",
    "CertificateError",
    "ClientSettings",
    "Complaint",
    "EmptyAnswerError",
    "EmptyResponseError",
    "ErrorBodyError",
    "FileTooLargeError",
    "ImportRefusedError",
    "IncompleteExportError",
    "MalformedAnswerError",
    "MalformedResponseError",
    "NetworkError",
    "NotApplicableError",
    "NotUTF8Error",
    "OutcomeUnknownError",
    "Progress",
    "ProjectChangedError",
    "ProjectStructure",
    "REDCapClient",
    "REDCapError",
    "REDCapFile",
    "RecordExport",
    "RecordImport",
    "RecordSelection",
    "RefusedError",
    "RefusedValue",
    "ResponseMismatchError",
    "RightsError",
    "ServerError",
    "ServerMemoryError",
    "TLSError",
    "TokenError",
    "TooManyParametersError",
    "WebPageError",
    "WrongURLError",
]
