"""When a request that failed is sent again, and how long to wait before."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

from redcap_dagster.api.errors import NetworkError, ServerError

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")

ShouldRetry = Callable[[BaseException, int], bool]
"""Says of an error, and of how often it was tried so far, whether to try again."""

LONGEST_WAIT: Final = 120.0
"""Seconds. A server that wants to be left alone for longer is not asked again."""


@dataclass(frozen=True)
class RetrySettings:
    """How often and how long to try.

    Attributes:
        retries: How often a request is sent again.
        backoff: Seconds that the first wait before that may last; each next one may last twice as
            long, up to a minute.
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
    """Do something up to so many times more, with a while in between, as long as it may help.

    Args:
        request: What it is, for the log.
        once: Does it.
        retry_settings: How often it is done again, and after which while.
        stopped: Set when nobody wants it any more.
        should_retry: Judges its errors.
    """

    def may_help(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is None or stopped.is_set():
            return False
        return should_retry(error, state.attempt_number)

    backoff = wait_random_exponential(multiplier=retry_settings.backoff, max=60)

    def wait(state: RetryCallState) -> float:
        """Full jitter, but never less than the server asks for."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ServerError) else None
        return max(backoff(state), asked or 0.0)

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


def is_temporary(error: BaseException, attempts: int = 1) -> bool:  # noqa: ARG001
    """Say whether an error may pass by itself, so that to ask again is of use."""
    if isinstance(error, ServerError):
        return (error.retry_after or 0) <= LONGEST_WAIT
    return isinstance(error, NetworkError) and not error.overdue


def never_retry(error: BaseException, attempts: int = 1) -> bool:  # noqa: ARG001
    """Say of any error not to ask again: what is asked for can be done without."""
    return False


def sleep(seconds: float, stopped: Event) -> None:
    """Wait, but not once nobody wants to go on."""
    stopped.wait(seconds)
