"""What a server can bear: an answer that breaks for its size is asked for again in halves."""

from redcap_dagster.api.errors import (
    BlockedError,
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    REDCapError,
    ServerError,
    ServerMemoryError,
    WebPageError,
)
from redcap_dagster.api.export.plan.record_requests import Limits, RecordRequest
from redcap_dagster.api.http.retries import is_temporary

FEW = 200
"""Ids that no firewall minds; a request for as few that is blocked is not blocked for its size."""

_LEAST = 16
"""The budget shrinks to this part of itself at most, so that an outage does not cost it all."""


def should_retry_whole(error: BaseException, attempts: int) -> bool:
    """Say whether to ask again for what cannot be asked for in halves."""
    if isinstance(error, EmptyResponseError):  # there may be no rows
        return False
    if isinstance(error, NetworkError) and error.overdue:
        return False
    return is_temporary(error, attempts) or _is_fleeting(error) or may_be_too_large(error)


def should_retry_divisible(error: BaseException, attempts: int) -> bool:
    """Say whether to ask again for the same, where halves can be asked for as well.

    A server that is busy is asked again as always; one that broke off is asked once more, as that
    may have been chance; one that ran out of memory is not.
    """
    if isinstance(error, NetworkError) and error.sent:
        return attempts < 2 and not error.overdue
    if isinstance(error, ServerError) and may_be_too_large(error):
        return attempts < 2
    return is_temporary(error, attempts) or _is_fleeting(error)


def _is_fleeting(error: BaseException) -> bool:
    return isinstance(error, WebPageError)


def may_be_too_large(error: BaseException) -> bool:
    """Say whether to ask for less at once may help."""
    match error:
        case NetworkError():
            return error.sent
        case ServerError():
            return error.status in (500, 502, 504)
        case MalformedResponseError():
            return error.broke_off
        case _:
            return isinstance(error, ServerMemoryError | EmptyResponseError)


class AdaptiveLimits:
    """What the server could bear so far: the limits of what is asked for next."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_cells
        self._cells = limits.max_cells
        self._records = limits.max_records
        self.careful = False
        """Whether to ask one thing at a time, as the last one was blocked."""

    def note_success(self) -> None:
        """Take note that an answer came."""
        self.careful = False

    def split_to_limits(self, request: RecordRequest) -> tuple[RecordRequest, ...]:
        """Give the request itself if the server can bear it, else its halves."""
        number = request.stop - request.start
        too_long = self._records is not None and request.named and number > self._records
        too_large = self._cells is not None and request.cells > self._cells and number > 1
        return ((too_long or too_large) and request.halves()) or (request,)

    def split_failed(self, request: RecordRequest, error: REDCapError) -> tuple[RecordRequest, ...]:
        """Give what to ask instead of a request that failed.

        Raises:
            REDCapError: The error itself, where to ask for less does not help.
        """
        if isinstance(error, BlockedError):
            return self._fewer(request, error)
        halves = request.halves()
        if not may_be_too_large(error) or not halves:
            raise error
        self._most = self._most or request.cells
        self._cells = min(self._cells or self._most, request.cells)
        self._cells = max(self._cells // 2, self._most // _LEAST, 1)
        return halves

    def _fewer(self, request: RecordRequest, error: BlockedError) -> tuple[RecordRequest, ...]:
        """Ask once for far fewer: it may be a firewall that minds long requests, or a ban."""
        number = request.stop - request.start
        if not request.named or number <= FEW:
            raise error
        self._records = FEW
        self.careful = True
        return (request,)
