"""Request size limits that adapt to the server: what fails for its size is requested in halves."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

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
from redcap_dagster.api.http.retries import ShouldRetry, is_temporary

FEW_RECORDS = 200
"""Record ids that firewalls let pass: a request for fewer is not blocked for its size."""

_MOST_SPLITS = 16
"""The limit of cells shrinks at most to one part in 16, so that an outage does not use it up."""

_TOO_LARGE = (500, 502, 504, 524)
"""Statuses of servers for which a request is probably too large."""

_TOO_LONG = (413, 414)
"""Statuses of servers that refuse a request for its own size, not for that of the response."""

_FAILURES = (ServerMemoryError, EmptyResponseError, ErrorBodyError, WebPageError)
"""Errors of a response with status 200. They may be failures of memory, in whatever words."""

MAX_FAILURES: Final = 20
"""Requests that fail in a row until an export gives up, by default."""

PROGRESS_TIMEOUT: Final = 7200.0
"""Seconds without a row until an export whose requests fail gives up, by default."""

_SERVER_DOWN: Final = (
    "As smaller and smaller requests fail, their size is probably not the cause: try again later, "
    "or tell the server's administrator."
)

_ONE_RECORD: Final = (
    "Other requests of this export returned rows, so the cause is probably one record, or a server "
    "that failed meanwhile: try again later, or export parts of the records to find that record."
)


@dataclass(frozen=True)
class ExportBudget:
    """When an export whose requests fail gives up. Each row that it receives resets both limits.

    Attributes:
        max_failures: Requests that fail in a row, each after its retries. Defaults to 20.
        progress_timeout: Seconds without a row. Defaults to 7200.
    """

    max_failures: int = MAX_FAILURES
    progress_timeout: float = PROGRESS_TIMEOUT


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
            # Web servers send any of them when PHP does not respond; with a time to wait, or with
            # 429, they ask for fewer requests.
            return error.status != 429 and error.retry_after is None
        case MalformedResponseError():
            return error.request_less
        case _:
            return isinstance(error, _FAILURES)


def _may_be_busy(error: BaseException) -> bool:
    """Return whether an error is of a server that may be busy, whatever the size of the request."""
    return isinstance(error, ServerError) and error.status not in (200, *_TOO_LARGE)


class AdaptiveLimits:
    """The request size limits of the next requests, by what the server could serve so far.

    While the server fails and sends no row, requests are sent one at a time, without retries where
    a smaller request comes next, and become smaller quickly: few requests show whether the server
    can send anything at all.

    Args:
        limits: The limits to start with.
        budget: When to give up. Defaults to that of `ExportBudget`.
        now: Clock, in seconds. Defaults to `time.monotonic`.

    Attributes:
        careful: Whether to send one request at a time, as the last one failed.
    """

    def __init__(
        self,
        limits: Limits,
        budget: ExportBudget | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._start_cells = limits.max_cells
        self._cells = limits.max_cells
        self._records = limits.max_records
        self._names = limits.max_names
        self._budget = budget or ExportBudget()
        self._now = now
        self._last_row = now()
        self._failures = 0
        self._failed_cells: int | None = None
        self._served = False
        self._waited = False
        self.careful = False

    def note_success(self, request: RecordRequest, rows: int) -> None:
        """Record that the response to a request arrived, and its number of rows."""
        self.careful = False
        if rows:
            self._failures, self._last_row, self._served = 0, self._now(), True
        if self._failed_cells is not None and request.cells >= self._failed_cells:
            self._failed_cells = None

    def choose_retries(self, request: RecordRequest) -> ShouldRetry:
        """Return the decision whether to retry a request.

        Where it may be too large, it is not retried if one that was not larger failed, or the last
        one did: smaller requests are the retry. A server that may be busy gets time once.
        """
        failed_before = self._failures > 0 or (
            self._failed_cells is not None and request.cells >= self._failed_cells
        )

        def should_retry(error: BaseException, attempts: int) -> bool:
            if self._is_overdue():
                return False
            if not request.divisible:
                return should_retry_whole(error, attempts)
            too_large = may_be_too_large(error) and (self._waited or not _may_be_busy(error))
            if failed_before and too_large:
                return False
            return should_retry_divisible(error, attempts)

        return should_retry

    def split_to_limits(self, request: RecordRequest) -> tuple[RecordRequest, ...]:
        """Return the request itself if it is within the limits, else its halves."""
        number = request.stop - request.start
        too_long = self._records is not None and request.named and number > self._records
        too_long |= request.names > self._names
        too_large = self._cells is not None and request.cells > self._cells and number > 1
        return ((too_long or too_large) and request.split_in_halves()) or (request,)

    def split_failed(
        self, request: RecordRequest, error: REDCapError, *, alone: bool = True
    ) -> tuple[RecordRequest, ...]:
        """Return the requests to send instead of one that failed, and lower the limits.

        Args:
            request: The request.
            error: Its failure.
            alone: Whether no other request is in progress. Those that fail together count as one.

        Raises:
            REDCapError: The error itself, where smaller requests do not help, or the budget is
                used up. Then its text says so.
        """
        self.careful = True
        self._failures += alone
        self._waited |= _may_be_busy(error)
        self._failed_cells = min(self._failed_cells or request.cells, request.cells)
        if isinstance(error, BlockedError) or error.status in _TOO_LONG:
            return self._limit_records(request, error)
        halves = request.split_in_halves()
        if not may_be_too_large(error):
            raise error
        used_up = self._failures >= self._budget.max_failures or self._is_overdue()
        if used_up or not halves:
            raise self._explain(error)
        self._start_cells = self._start_cells or request.cells
        self._cells = min(self._cells or self._start_cells, request.cells)
        self._cells = max(self._cells // 2, self._start_cells // _MOST_SPLITS, 1)
        return halves if self._failures <= 1 else _split_records_again(halves)

    def _is_overdue(self) -> bool:
        return self._now() - self._last_row >= self._budget.progress_timeout

    def _explain(self, error: REDCapError) -> REDCapError:
        """Return an error that says how many requests failed before the export gave up."""
        text = str(error)
        if self._failures > 1:
            seconds = self._now() - self._last_row
            text += (
                f" The export gave up: the last {self._failures} requests failed, and no row was "
                f"received for {seconds:,.0f} seconds."
            )
        if self._served:
            text += f" {_ONE_RECORD}"
        elif self._failures > 1:
            text += f" {_SERVER_DOWN}"
        error.args = (text,)
        return error

    def _limit_records(
        self, request: RecordRequest, error: REDCapError
    ) -> tuple[RecordRequest, ...]:
        """Try far fewer records once: a firewall may refuse long requests, or it may be a ban."""
        number = request.stop - request.start
        if not request.named or number <= FEW_RECORDS:
            raise error
        self._records = FEW_RECORDS
        return (request,)


def _split_records_again(halves: tuple[RecordRequest, ...]) -> tuple[RecordRequest, ...]:
    """Return halves of requests for several records; a single record's columns stay together."""
    return tuple(
        part
        for half in halves
        for part in (half.split_in_halves() if half.stop - half.start > 1 else (half,))
    )
