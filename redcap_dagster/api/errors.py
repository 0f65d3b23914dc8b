"""The error types of a request to REDCap.

No message holds a token, a cell or a record id. What the server said may hold them, so it is an
attribute, which ``str``, ``repr`` and pickles leave out.
"""

from dataclasses import dataclass, field
from typing import Any


class REDCapError(Exception):
    """A request to REDCap failed. All other error types are of this one.

    Attributes:
        request: The kind of request, such as ``record export``.
        status: The HTTP status of the response. 0 where there was none.
        server_message: The message that the server sent. It may hold record ids and values, so do
            not log it. A pickled error does not keep it.
    """

    request: str = ""
    status: int = 0
    server_message: str | None = None

    _PRIVATE = frozenset({"server_message", "records", "refused_values"})

    def __init__(self, text: str, *, request: str = "", server_message: str | None = None) -> None:
        super().__init__(text)
        self.request = request
        self.server_message = server_message

    def __reduce__(self) -> tuple[Any, ...]:
        public = {name: value for name, value in vars(self).items() if name not in self._PRIVATE}
        return type(self), self.args, public


class TokenError(REDCapError):
    """REDCap does not know the token, or the token's user has no API rights."""


class TooManyParametersError(REDCapError, ValueError):
    """The request has more parameters than a server reads. It was not sent."""


class RightsError(REDCapError):
    """REDCap accepts the token, but its user lacks a right that the request needs.

    Attributes:
        rights: The rights that REDCap names, such as ``Data Access Groups``.
    """

    rights: tuple[str, ...] = ()


class WrongURLError(REDCapError):
    """The URL is not that of a REDCap API.

    Attributes:
        url: The URL to which the server redirects, without query, user name and password, and with
            ``****`` for a path that is unlikely to be an API's. None where it does not redirect, or
            redirects to a host whose name has other parts than the URL that was requested.
    """

    url: str | None = None


class BlockedError(REDCapError):
    """A firewall, a sign-on page or a ban of this machine refused the request before REDCap."""


class WebPageError(REDCapError):
    """The server sent a web page with status 200 instead of data."""


class RefusedError(REDCapError):
    """REDCap understood the request and refused it.

    Attributes:
        kind: The kind of refusal, such as ``unknown fields``. ``unknown`` where this package does
            not know the server's message.
        names: The fields, instruments or events that the message names.
        records: The record ids that the message names. In no message and no pickle.
    """

    kind: str = "unknown"
    names: tuple[str, ...] = ()
    records: tuple[str, ...] = ()


class NotApplicableError(RefusedError):
    """The project does not have what was requested, such as arms in a classic project."""


@dataclass(frozen=True)
class RefusedValue:
    """One value of an import that REDCap refused.

    Attributes:
        record: The record id.
        field_name: The export column.
        value: The value that was sent.
        kind: ``invalid format``, ``not designated``, ``invalid choice`` or ``unknown``.
        message: The message that the server sent. It may hold the value.
    """

    record: str = field(repr=False)
    field_name: str
    value: str = field(repr=False)
    kind: str
    message: str = field(repr=False)


class ImportRefusedError(RefusedError):
    """REDCap refused values of an import and imported nothing of that request.

    Attributes:
        refused_values: The import errors, one per value. In no message and no pickle.
    """

    refused_values: tuple[RefusedValue, ...] = ()


class ErrorBodyError(RefusedError):
    """REDCap sent an error with status 200 instead of data."""


class ServerMemoryError(REDCapError):
    """The server ran out of memory. Request less at once."""


class EmptyResponseError(REDCapError):
    """The server sent an empty response with status 200 instead of data."""


class FileTooLargeError(REDCapError):
    """The file is larger than ``max_file_bytes``. Nothing of it was kept."""


class NotUTF8Error(REDCapError):
    """The response holds bytes that are not UTF-8."""


class MalformedResponseError(REDCapError):
    """The response is not CSV or JSON as REDCap writes it.

    Attributes:
        request_less: Whether a request for less may succeed, as the response ends too early and is
            well-formed up to there, or is too long to be read.
        records: The ids of the records whose cells cannot be read, as far as they are known. In no
            message and no pickle.
        fields: The columns of these cells.
    """

    request_less: bool = False
    records: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


class ResponseMismatchError(MalformedResponseError):
    """The response does not belong to its request: it has other rows, or lacks columns."""


class IncompleteExportError(REDCapError):
    """REDCap lists records, events or instances that its export lacks.

    Attributes:
        missing: The number of records or events that are missing.
        forms: The instruments that lack rows, as far as that is known.
    """

    missing: int = 0
    forms: tuple[str, ...] = ()


class ProjectChangedError(REDCapError):
    """The project's dictionary was changed while its records were exported. Export both again."""


class NetworkError(REDCapError):
    """No complete response arrived: no connection, a time limit, or a lost connection.

    Attributes:
        sent: Whether the request may have reached the server.
        overdue: Whether the request took longer than ``total_timeout``. It is then not retried.
    """

    sent: bool = True
    overdue: bool = False


class OutcomeUnknownError(REDCapError):
    """A change was sent and its response was lost. REDCap may have made the change."""


class TLSError(REDCapError):
    """No TLS connection to the server could be made. REDCap did not receive the request."""


class CertificateError(TLSError):
    """The server's TLS certificate cannot be verified."""


class ServerError(REDCapError):
    """The server failed or was too busy. A later retry may succeed.

    Attributes:
        retry_after: Seconds that the server asks clients to wait. None where it does not.
    """

    retry_after: float | None = None
