"""The error types: what happened, in which request, and what to do.

No text of an error holds a token, a cell or a record id. What the server said may hold them, so
it is an attribute, which neither ``str``, ``repr`` nor a pickle shows.
"""

from dataclasses import dataclass, field
from typing import Any


class REDCapError(Exception):
    """A request to REDCap that did not give what was asked for.

    Attributes:
        request: The kind of request, such as ``record export``.
        server_message: What the server said; it may hold record ids and values, so keep it to
            yourself. It is lost when the error is pickled.
    """

    request: str = ""
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
    """REDCap does not know the token, or its user has no API rights."""


class RightsError(REDCapError):
    """The token is good, but its user lacks the right to this.

    Attributes:
        rights: The rights that REDCap names, such as ``Data Access Groups``.
    """

    rights: tuple[str, ...] = ()


class WrongURLError(REDCapError):
    """There is no REDCap API at this address.

    Attributes:
        url: The address that the server pointed to, without query and user info, if it did.
    """

    url: str | None = None


class BlockedError(REDCapError):
    """Something in front of REDCap refused: a firewall, a sign-on, or a ban of this machine."""


class WebPageError(REDCapError):
    """A web page came, with status 200, where data are due."""


class RefusedError(REDCapError):
    """REDCap understood the request and refused it.

    Attributes:
        kind: The known form of its message, such as ``unknown fields``; ``unknown`` for others.
        names: Field, form or event names that the message names.
        records: Record ids that the message names; in no text and no pickle.
    """

    kind: str = "unknown"
    names: tuple[str, ...] = ()
    records: tuple[str, ...] = ()


class NotApplicableError(RefusedError):
    """The project has no such thing, such as arms in a classic project."""


@dataclass(frozen=True)
class RefusedValue:
    """What REDCap has against one value of an import.

    Attributes:
        record: The record id.
        field_name: The export column.
        value: What was sent.
        kind: The known form of the message: ``invalid format``, ``not designated``, or ``unknown``.
        message: What the server said; it may hold the value.
    """

    record: str = field(repr=False)
    field_name: str
    value: str = field(repr=False)
    kind: str
    message: str = field(repr=False)


class ImportRefusedError(RefusedError):
    """REDCap refused values of an import, and imported nothing of that request.

    Attributes:
        refused_values: What is wrong, value by value; in no text and no pickle.
    """

    refused_values: tuple[RefusedValue, ...] = ()


class ErrorBodyError(RefusedError):
    """An error came, with status 200, where data are due."""


class ServerMemoryError(REDCapError):
    """The server ran out of memory: ask for less at once."""


class EmptyResponseError(REDCapError):
    """Nothing came, with status 200, where data are due."""


class NotUTF8Error(REDCapError):
    """The answer holds bytes that are no UTF-8."""


class MalformedResponseError(REDCapError):
    """The answer is not the CSV or JSON that REDCap writes.

    Attributes:
        broke_off: Whether it is the beginning of what REDCap writes.
    """

    broke_off: bool = False


class IncompleteExportError(REDCapError):
    """Records that REDCap lists are not in what it exported.

    Attributes:
        missing: How many.
        forms: The forms that lack something, as far as that is known.
    """

    missing: int = 0
    forms: tuple[str, ...] = ()


class NetworkError(REDCapError):
    """No whole answer came: no connection, a time limit, or an answer that broke off.

    Attributes:
        sent: Whether the request may have reached the server.
        overdue: Whether it took too long altogether; then it is not sent again.
    """

    sent: bool = True
    overdue: bool = False


class OutcomeUnknownError(REDCapError):
    """A change was sent, its answer was lost, and whether it was done is unknown."""


class CertificateError(REDCapError):
    """The server's TLS certificate cannot be verified."""


class ServerError(REDCapError):
    """The server failed or was too busy; asking again later may help.

    Attributes:
        status: The HTTP status.
        retry_after: Seconds that the server wants to be left alone, if it says so.
    """

    status: int = 0
    retry_after: float | None = None
