"""REDCap over HTTP: a client whose answers are complete and verified, or a typed error."""

from redcap_dagster.api.client import REDCapClient
from redcap_dagster.api.errors import (
    BlockedError,
    CertificateError,
    EmptyAnswerError,
    ErrorBodyError,
    IncompleteExportError,
    MalformedAnswerError,
    NetworkError,
    NotApplicableError,
    NotUTF8Error,
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
from redcap_dagster.api.structure import ProjectStructure

__all__ = [
    "BlockedError",
    "CertificateError",
    "EmptyAnswerError",
    "ErrorBodyError",
    "IncompleteExportError",
    "MalformedAnswerError",
    "NetworkError",
    "NotApplicableError",
    "NotUTF8Error",
    "ProjectStructure",
    "REDCapClient",
    "REDCapError",
    "RecordSelection",
    "RefusedError",
    "RightsError",
    "ServerError",
    "ServerMemoryError",
    "TokenError",
    "WebPageError",
    "WrongURLError",
]
