"""REDCap over HTTP: a client whose answers are complete and verified, or a typed error."""

from redcap_dagster.api.client import REDCapClient
from redcap_dagster.api.errors import (
    BlockedError,
    CertificateError,
    Complaint,
    EmptyAnswerError,
    ErrorBodyError,
    ImportRefusedError,
    IncompleteExportError,
    MalformedAnswerError,
    NetworkError,
    NotApplicableError,
    NotUTF8Error,
    OutcomeUnknownError,
    REDCapError,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
    TokenError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.exports import RecordSelection
from redcap_dagster.api.files import REDCapFile
from redcap_dagster.api.plan import MAX_CELLS, MAX_RECORDS
from redcap_dagster.api.progress import Progress
from redcap_dagster.api.question import Among
from redcap_dagster.api.record_import import CellChange, RecordImport
from redcap_dagster.api.snapshot import RecordExport
from redcap_dagster.api.structure import ProjectStructure

__all__ = [
    "MAX_CELLS",
    "MAX_RECORDS",
    "Among",
    "BlockedError",
    "CellChange",
    "CertificateError",
    "Complaint",
    "EmptyAnswerError",
    "ErrorBodyError",
    "ImportRefusedError",
    "IncompleteExportError",
    "MalformedAnswerError",
    "NetworkError",
    "NotApplicableError",
    "NotUTF8Error",
    "OutcomeUnknownError",
    "Progress",
    "ProjectStructure",
    "REDCapClient",
    "REDCapError",
    "REDCapFile",
    "RecordExport",
    "RecordImport",
    "RecordSelection",
    "RefusedError",
    "RightsError",
    "ServerError",
    "ServerMemoryError",
    "TokenError",
    "WebPageError",
    "WrongURLError",
]
