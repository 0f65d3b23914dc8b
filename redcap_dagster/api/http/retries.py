"""Retries: which failures are retried, how often, and how long to wait before each."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

from redcap_dagster.api.errors import (
    NetworkError,
    ResponseMismatchError,
    ServerError,
    WebPageError,
)

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")

ShouldRetry = Callable[[BaseException, int], bool]
"""Returns whether to retry, given the error and the number of attempts so far."""

LONGEST_WAIT: Final = 120.0
"""Seconds. If the server asks clients to wait longer than that, the request is not retried."""


@dataclass(frozen=True)
class RetrySettings:
    """How often a failed request is retried, and after which wait.

    Attributes:
        retries: The number of retries.
        backoff: Longest first wait, in seconds. Each next one may last twice as long, up to a
            minute.
    """

    retries: int
    backoff: float


def retry(
    request: str,
    once: Callable[[], T],
    retry_settings: RetrySettings,
    stopped: Event,
    should_retry: ShouldRetry,
) -> T:
    """Return the result of a request, retried while its errors allow that.

    Args:
        request: The kind of request, for the log.
        once: Sends the request once.
        retry_settings: How often to retry, and after which wait.
        stopped: Is set when the result is no longer needed.
        should_retry: Decides for each error whether to retry.
    """

    def may_help(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is None or stopped.is_set():
            return False
        return should_retry(error, state.attempt_number)

    backoff = wait_random_exponential(multiplier=retry_settings.backoff, max=60)

    def wait(state: RetryCallState) -> float:
        """Return a random wait up to the backoff, but never less than the server asks for."""
        error = state.outcome.exception() if state.outcome else None
        retry_after = error.retry_after if isinstance(error, ServerError) else None
        return max(backoff(state), retry_after or 0.0)

    def log(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        status = f", status {error.status}" if isinstance(error, ServerError) else ""
        logger.warning(
            "%s: %s%s; retry %d of %d in %.1f s",
            request,
            type(error).__name__,
            status,
            state.attempt_number,
            retry_settings.retries,
            state.upcoming_sleep,
        )

    return Retrying(
        stop=stop_after_attempt(retry_settings.retries + 1),
        wait=wait,
        retry=may_help,
        before_sleep=log,
        sleep=lambda seconds: sleep(seconds, stopped),
        reraise=True,
    )(once)


def is_temporary(error: BaseException, attempts: int = 1) -> bool:
    """Return whether an error may pass by itself, so that a retry may succeed."""
    if isinstance(error, ServerError):
        return (error.retry_after or 0) <= LONGEST_WAIT
    if isinstance(error, ResponseMismatchError):
        return attempts < 2
    # A page with status 200 may be a failure or maintenance that passes, whatever it says.
    return isinstance(error, WebPageError) or (
        isinstance(error, NetworkError) and not error.overdue
    )


def never_retry(error: BaseException, attempts: int = 1) -> bool:  # noqa: ARG001
    """Never retry; the result is optional."""
    return False


def sleep(seconds: float, stopped: Event) -> None:
    """Wait for some seconds, or until the request is no longer needed."""
    stopped.wait(seconds)
