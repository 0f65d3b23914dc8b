"""POST requests to REDCap with TLS, time limits, retries and a rate limit.

The exceptions of requests hold the request with its token, so none leaves this module, not even as
the context of another exception.
"""

import hmac
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from redcap_dagster.api.errors import (
    BlockedError,
    NetworkError,
    REDCapError,
    TLSError,
    TooManyParametersError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.http.body import encode_form, read_chunks
from redcap_dagster.api.http.lost_responses import (
    LOST_RESPONSES,
    may_have_been_made,
    unknown_outcome,
)
from redcap_dagster.api.http.network_errors import (
    RATE_LIMITED,
    TOTAL_TIMED_OUT,
    describe_failure,
    network_error,
    never_connected,
    tls_error,
)
from redcap_dagster.api.http.rate_limit import get_rate_limiter
from redcap_dagster.api.http.refusals import tell_token_from_right
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.retries import RetrySettings, ShouldRetry, is_temporary, retry
from redcap_dagster.api.http.session import Deadline, Session
from redcap_dagster.api.http.status_errors import raise_status_error, read_date
from redcap_dagster.api.http.token import check_token
from redcap_dagster.api.http.url import is_loopback, normalize_url

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")

MAX_PARAMETERS: Final = 900
"""Parameters in one request, by default. PHP ignores those after the first 1,000 without a word."""

MAX_FILE_BYTES: Final = 1 << 30
"""Size of the largest file, by default."""

_VERSION = {"content": "version", "format": "json", "returnFormat": "json"}
"""A request that needs no right but that to use the API."""

_ERROR_TIMEOUT = 10
"""Seconds in which the body of an error is read. The status is known without it."""


class Transport:
    """A connection to the API of one project. It holds the token and cannot be pickled.

    Attributes:
        url: The URL of the API, ending in a slash.
        max_parameters: The most parameters of one request.
        max_file_bytes: The size of the largest file; None for any.
        sent: The number of requests sent so far, including retries.
        server_time: When the last response was sent, by the server's clock; None if unknown.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        ca_bundle: str | Path | None = None,
        verify_tls: bool = True,
        connect_timeout: float = 10,
        read_timeout: float = 300,
        total_timeout: float = 3600,
        retries: int = 5,
        backoff: float = 1,
        rate_limit: int | None = 300,
        max_parameters: int = MAX_PARAMETERS,
        max_file_bytes: int | None = MAX_FILE_BYTES,
    ) -> None:
        self.url = normalize_url(url)
        self.max_parameters = max_parameters
        self.max_file_bytes = max_file_bytes
        self._token = check_token(token)
        if ca_bundle is not None and not Path(ca_bundle).exists():
            raise ValueError("ca_bundle: the file does not exist. Give the path of a PEM file.")
        if not verify_tls:
            logger.warning(
                "TLS certificates are not verified (verify_tls=False): anyone on the network "
                "between this machine and REDCap can read the token and the data. Give ca_bundle "
                "instead."
            )
        self._verify: bool | str = str(ca_bundle) if verify_tls and ca_bundle else verify_tls
        self._timeout = (connect_timeout, read_timeout)
        self._total_timeout = total_timeout
        self._retry_settings = RetrySettings(retries, backoff)
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        self._rate = None if is_loopback(host) else rate_limit
        self._host = host
        self._server = f"{host}:{parts.port}" if parts.port else host
        self._session = Session(loopback=is_loopback(host))
        self._stopped = Event()
        self._is_known = False
        self.sent = 0
        self.server_time: datetime | None = None

    def __repr__(self) -> str:
        return f"Transport(url={self.url!r}, token='****')"

    @property
    def digest_key(self) -> bytes:
        """A key for hashes, derived from the token, which cannot be derived from it."""
        return hmac.digest(self._token.encode(), b"redcap_dagster digest key", "sha256")

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "A REDCap client cannot be pickled, as it holds a token and a connection. Create a new "
            "one where it is needed, from its URL and a token that is read there."
        )

    def fork(self) -> Self:
        """Return another connection to the same project, for another thread.

        It counts its own requests.
        """
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._session = Session(loopback=is_loopback(self._host))
        other._stopped = Event()
        other.sent = 0
        return other

    def stop(self) -> None:
        """Stop for good, from another thread: requests in progress and waiting ones raise."""
        self._stopped.set()
        self._session.stop()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def post(
        self,
        request: str,
        parameters: Mapping[str, str],
        receive: Callable[[Response], T],
        should_retry: ShouldRetry = is_temporary,
    ) -> T:
        """Return what `receive` makes of the response to a request that may be sent twice.

        Where the network or the server fails, the request is retried after a wait.

        Args:
            request: The kind of request, for errors and the log: ``record export``.
            parameters: The API parameters, without the token.
            receive: Reads the response, which is closed afterwards.
            should_retry: Whether to send the request again, given the error and the number of
                attempts so far. Defaults to retries of every error that may pass by itself.

        Raises:
            REDCapError: The request failed. The type says why.
        """

        def once() -> T:
            with self._send(request, parameters) as response:
                received = receive(response)
            self._is_known = True
            return received

        return self._retry(request, once, should_retry)

    def post_once(
        self,
        request: str,
        parameters: Mapping[str, str],
        receive: Callable[[Response], T],
        file: tuple[str, bytes, str] | None = None,
    ) -> T:
        """Return what `receive` makes of the response to a change, which is never sent twice.

        Args:
            request: The kind of request, for errors and the log: ``user import``.
            parameters: The API parameters, without the token.
            receive: Reads the response, which is closed afterwards.
            file: Name, content and MIME type of a file to send. Defaults to no file.

        Raises:
            OutcomeUnknownError: The response was lost. REDCap may have made the change.
            REDCapError: REDCap did not make the change. The type says why.
        """
        lost: REDCapError
        # The server may close an idle connection just when the change is sent on it.
        self._session.close()
        try:
            with self._send(request, parameters, file) as response:
                return receive(response)
        except LOST_RESPONSES as error:
            if not may_have_been_made(error):
                raise
            lost = error
        raise unknown_outcome(request, lost)

    def open(self, request: str, parameters: Mapping[str, str]) -> Response:
        """Return the response to a request like `post`. The caller reads its body and closes it.

        Raises:
            REDCapError: The request failed. The type says why. Failures while the body is read
                are not retried.
        """
        return self._retry(request, partial(self._send, request, parameters), is_temporary)

    def _retry(self, request: str, once: Callable[[], T], should_retry: ShouldRetry) -> T:
        """Return the result of a request, retried where that may help.

        A web page of a URL that never sent data is probably that of a wrong URL: the request is
        retried once. A URL that did may be under maintenance.
        """

        def may_help(error: BaseException, attempts: int) -> bool:
            is_wrong_url = isinstance(error, WebPageError) and not self._is_known and attempts > 1
            return not is_wrong_url and should_retry(error, attempts)

        return retry(request, once, self._retry_settings, self._stopped, may_help)

    def _send(
        self,
        request: str,
        parameters: Mapping[str, str],
        file: tuple[str, bytes, str] | None = None,
    ) -> Response:
        sent = {"token": self._token, **parameters}
        if len(sent) > self.max_parameters:
            raise TooManyParametersError(
                f"{request}: the request has {len(sent)} parameters, and PHP ignores those after "
                f"max_input_vars (1,000 by default). At most {self.max_parameters} are sent: name "
                "fewer records or fields at once, or instruments instead of fields. If the "
                "server's limit is higher, raise max_parameters.",
                request=request,
            )
        self._take_turn(request)
        self.sent += 1
        failure: NetworkError | TLSError | WrongURLError
        deadline = Deadline(self._total_timeout, self._session.abort)
        try:
            received = self._session.post(
                self.url,
                data=sent if file else encode_form(sent),
                files={"file": file} if file else None,
                headers=None if file else {"Content-Type": "application/x-www-form-urlencoded"},
                allow_redirects=False,
                stream=True,
                timeout=self._timeout,
                verify=self._verify,
            )
        except requests.exceptions.SSLError as error:
            failure = tls_error(request, self._server, error)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            what = TOTAL_TIMED_OUT if deadline.passed else describe_failure(error)
            failure = network_error(request, self._server, what)
            failure.sent = not never_connected(error)
        else:
            self.server_time = read_date(received.headers.get("date", "")) or self.server_time
            response = Response(
                request,
                self.url,
                received.status_code,
                received.headers,
                read_chunks(received, request, self._server, deadline),
                partial(_close, received, deadline),
                parameters,
            )
            return self._check_status(response)
        deadline.cancel()
        raise failure

    def _check_status(self, response: Response) -> Response:
        """Return a response with status 200.

        REDCap forbids a request for a wrong token and for a missing right, and only its sentence
        says which. Who has any right may request the version, so a second request tells.
        """
        if response.status == 200:
            return response
        limit = Deadline(_ERROR_TIMEOUT, self._session.abort)
        try:
            raise_status_error(response)
        except REDCapError as error:
            if error.status not in (401, 403) or isinstance(error, BlockedError):
                raise
            refused = error
        finally:
            limit.cancel()
            response.close()
        knows_token = response.sent != _VERSION and self._sends_version(refused)
        if knows_token is None:
            raise refused
        raise tell_token_from_right(refused, response.sent, knows_token=knows_token)

    def _sends_version(self, refused: REDCapError) -> bool | None:
        """Return whether REDCap sends its version; None where neither that nor a refusal came."""
        try:
            self._send(refused.request, _VERSION).close()
        except REDCapError as error:
            return None if error.status not in (401, 403) else False
        return True

    def _take_turn(self, request: str) -> None:
        """Wait until the rate limit allows one more request, but no longer than it may take.

        Raises:
            NetworkError: The rate limit does not allow it in time, or the client was stopped.
        """
        overdue = monotonic() + self._total_timeout
        while not self._stopped.is_set():
            if self._rate is None:
                return
            wait = get_rate_limiter(self._host, self._rate).take_turn()
            if not wait:
                return
            if monotonic() + wait > overdue:
                raise self._not_sent(request, RATE_LIMITED)
            self._stopped.wait(wait)
        raise self._not_sent(request, "the client was stopped before the request was sent")

    def _not_sent(self, request: str, what: str) -> NetworkError:
        error = network_error(request, self._server, what)
        error.sent = False
        return error


def _close(received: requests.Response, deadline: Deadline) -> None:
    deadline.cancel()
    received.close()
