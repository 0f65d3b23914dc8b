"""Request size limits that adapt to the server: what fails for its size is requested in halves."""

from redcap_dagster.api.errors import (
    BlockedError,
    EmptyResponseError,
    ErrorBodyError,
    MalformedResponseError,
    NetworkError,
    REDCapError,
    ServerError,
    ServerMemoryError,
    WebPageError,
)
from redcap_dagster.api.export.plan.record_requests import Limits, RecordRequest
from redcap_dagster.api.http.retries import is_temporary

FEW_RECORDS = 200
"""Record ids that firewalls let pass: a request for fewer is not blocked for its size."""

_MOST_SPLITS = 16
"""The limit of cells shrinks at most to one part in 16, so that an outage does not use it up."""

_TOO_LARGE = (500, 502, 504)
"""Statuses of servers for which a request is too large."""

_FAILURES = (ServerMemoryError, EmptyResponseError, ErrorBodyError, WebPageError)
"""Errors of a response with status 200. They may be failures of memory, in whatever words."""


def should_retry_whole(error: BaseException, attempts: int) -> bool:
    """Return whether to retry a request that cannot be split into halves."""
    if isinstance(error, EmptyResponseError):  # there may be no rows
        return False
    if isinstance(error, NetworkError) and error.overdue:
        return False
    return is_temporary(error, attempts) or may_be_too_large(error)


def should_retry_divisible(error: BaseException, attempts: int) -> bool:
    """Return whether to retry a request that can be split into halves instead.

    A busy server, or a web page instead of data, is retried as always. A response that broke off is
    retried once, as that may have been chance. A server that ran out of memory is not retried.
    """
    if isinstance(error, NetworkError) and error.sent:
        return attempts < 2 and not error.overdue
    if isinstance(error, ServerError) and error.status in _TOO_LARGE:
        return attempts < 2
    return is_temporary(error, attempts)


def may_be_too_large(error: BaseException) -> bool:
    """Return whether an error may come from the size of the request or the response."""
    match error:
        case NetworkError():
            return error.sent
        case ServerError():
            return error.status in (200, *_TOO_LARGE)
        case MalformedResponseError():
            return error.broke_off
        case _:
            return isinstance(error, _FAILURES)


class AdaptiveLimits:
    """The request size limits of the next requests, by what the server could serve so far.

    Args:
        limits: The limits to start with.

    Attributes:
        careful: Whether to send one request at a time, as the last one was blocked.
    """

    def __init__(self, limits: Limits) -> None:
        self._start_cells = limits.max_cells
        self._cells = limits.max_cells
        self._records = limits.max_records
        self._names = limits.max_names
        self.careful = False

    def note_success(self) -> None:
        """Record that a response arrived."""
        self.careful = False

    def split_to_limits(self, request: RecordRequest) -> tuple[RecordRequest, ...]:
        """Return the request itself if it is within the limits, else its halves."""
        number = request.stop - request.start
        too_long = self._records is not None and request.named and number > self._records
        too_long |= request.names > self._names
        too_large = self._cells is not None and request.cells > self._cells and number > 1
        return ((too_long or too_large) and request.split_in_halves()) or (request,)

    def split_failed(self, request: RecordRequest, error: REDCapError) -> tuple[RecordRequest, ...]:
        """Return the requests to send instead of one that failed, and lower the limits.

        Raises:
            REDCapError: The error itself, where smaller requests do not help.
        """
        if isinstance(error, BlockedError):
            return self._limit_records(request, error)
        halves = request.split_in_halves()
        if not may_be_too_large(error) or not halves:
            raise error
        self._start_cells = self._start_cells or request.cells
        self._cells = min(self._cells or self._start_cells, request.cells)
        self._cells = max(self._cells // 2, self._start_cells // _MOST_SPLITS, 1)
        return halves

    def _limit_records(
        self, request: RecordRequest, error: BlockedError
    ) -> tuple[RecordRequest, ...]:
        """Try far fewer records once: a firewall may refuse long requests, or it may be a ban."""
        number = request.stop - request.start
        if not request.named or number <= FEW_RECORDS:
            raise error
        self._records = FEW_RECORDS
        self.careful = True
        return (request,)
