"""One POST to REDCap, done safely: TLS, time limits, retries, rate limit, and a token kept secret.

The exceptions of requests hold the request with its token, so none of them leaves this room, not
even as the context of another.
"""

import hmac
import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from redcap_dagster.api.errors import (
    CertificateError,
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    NotUTF8Error,
    OutcomeUnknownError,
    REDCapError,
    ServerError,
    ServerMemoryError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.http.body import encode_form, read_chunks
from redcap_dagster.api.http.network_errors import (
    TOO_LONG,
    describe_failure,
    network_error,
    never_connected,
    tls_error,
)
from redcap_dagster.api.http.rate_limit import shared_limiter
from redcap_dagster.api.http.response import Response, check_status
from redcap_dagster.api.http.retries import RetrySettings, ShouldRetry, is_temporary, retry
from redcap_dagster.api.http.session import Deadline, Session
from redcap_dagster.api.http.url import is_loopback, normalize_url

logger = logging.getLogger("redcap_dagster.api")

T = TypeVar("T")

_GLANCE = 0.5
"""Seconds after which whoever waits looks whether that is still wanted."""


class Transport:
    """A connection to the API of one project. It holds the token, and cannot be pickled.

    Attributes:
        url: The address of the API, ending in a slash.
        sent: How many requests were sent so far, retries among them.
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
    ) -> None:
        self.url = normalize_url(url)
        self._token = check_token(token)
        if ca_bundle is not None and not Path(ca_bundle).exists():
            raise ValueError("ca_bundle: there is no such file; give the path of a PEM file.")
        if retries < 0:
            raise ValueError("retries: give 0 for none, or a number of retries.")
        if backoff < 0:
            raise ValueError("backoff: give seconds, from 0 on.")
        if rate_limit is not None and rate_limit < 1:
            raise ValueError("rate_limit: give requests per minute, or None for no limit.")
        if not verify_tls:
            logger.warning(
                "TLS certificates are not verified (verify_tls=False): whoever sits between here "
                "and REDCap can read the token and the data. Give ca_bundle instead."
            )
        self._verify: bool | str = str(ca_bundle) if verify_tls and ca_bundle else verify_tls
        self._timeout = (connect_timeout, read_timeout)
        self._longest = total_timeout
        self._patience = RetrySettings(retries, backoff)
        address = urlsplit(self.url)
        host = address.hostname or ""
        self._rate = None if is_loopback(host) else rate_limit
        self._host = host
        self._server = f"{host}:{address.port}" if address.port else host
        self._session = Session(loopback=is_loopback(host))
        self._stopped = Event()
        self.sent = 0

    def __repr__(self) -> str:
        return f"Transport(url={self.url!r}, token='****')"

    @property
    def digest_key(self) -> bytes:
        """A key for hashes: the same for the same token, which it does not tell."""
        return hmac.digest(self._token.encode(), b"redcap_dagster digest key", "sha256")

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "A REDCap client cannot be pickled, as it holds a token and a connection. Make a new "
            "one where it is needed, from its URL and a token that is read there."
        )

    def fork(self) -> Self:
        """Give another connection to the same project, for another thread.

        Its requests are not among those counted here.
        """
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin._session = Session(loopback=is_loopback(self._host))
        twin._stopped = Event()
        twin.sent = 0
        return twin

    def stop(self) -> None:
        """End for good, from another thread, what is under way and waits: it raises at once."""
        self._stopped.set()
        self._session.cut()

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def post(
        self,
        request: str,
        parameters: Mapping[str, str],
        receive: Callable[[Response], T],
        should_retry: ShouldRetry = is_temporary,
    ) -> T:
        """Ask for what may be done twice, and give what `receive` makes of the answer.

        Where the network or the server fails, the whole is done again, after a while.

        Args:
            request: What it is, for errors and the log: ``record export``.
            parameters: Those of the API, without the token.
            receive: Reads the answer; it is closed afterwards.
            should_retry: Whether to send the request again, given the error and the number of
                attempts so far. Defaults to every error that may pass by itself.

        Raises:
            REDCapError: Of the type that says what is wrong.
        """

        def once() -> T:
            with self._send(request, parameters) as response:
                return receive(response)

        return retry(request, once, self._patience, self._stopped, should_retry)

    def post_once(
        self,
        request: str,
        parameters: Mapping[str, str],
        receive: Callable[[Response], T],
        file: tuple[str, bytes, str] | None = None,
    ) -> T:
        """Ask for a change like `post`, but never twice.

        Args:
            request: As for `post`.
            parameters: As for `post`.
            receive: As for `post`.
            file: Name, content and MIME type of what goes along as ``file``.

        Raises:
            OutcomeUnknownError: It may have been done, and the answer was lost.
            REDCapError: It was not done; the type says why.
        """
        lost: REDCapError
        try:
            with self._send(request, parameters, file) as response:
                return receive(response)
        except _AFTER_WHICH_DONE_IS_UNKNOWN as error:
            if not _may_be_done(error):
                raise
            lost = error
        raise OutcomeUnknownError(
            f"{request}: the answer was lost ({type(lost).__name__}), so whether REDCap did it is "
            "unknown. Look in the project before you do it again.",
            request=request,
            server_message=lost.server_message,
        )

    def open(self, request: str, parameters: Mapping[str, str]) -> Response:
        """Ask like `post`, but leave the body to the caller, who closes the answer.

        Raises:
            REDCapError: Of the type that says what is wrong. What breaks in the body is not
                asked for again.
        """
        once = partial(self._send, request, parameters)
        return retry(request, once, self._patience, self._stopped, is_temporary)

    def _send(
        self,
        request: str,
        parameters: Mapping[str, str],
        file: tuple[str, bytes, str] | None = None,
    ) -> Response:
        self._take_turn(request)
        self.sent += 1
        failure: CertificateError | NetworkError | WrongURLError
        deadline = Deadline(self._longest, self._session.cut)
        sent = {"token": self._token, **parameters}
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
            what = TOO_LONG if deadline.passed else describe_failure(error)
            failure = network_error(request, self._server, what)
            failure.sent = not never_connected(error)
        else:
            response = Response(
                request,
                self.url,
                received.status_code,
                received.headers,
                read_chunks(received, request, self._server, deadline),
                partial(_close, received, deadline),
            )
            try:
                check_status(response)
            except REDCapError:
                response.close()
                raise
            return response
        deadline.cancel()
        raise failure

    def _take_turn(self, request: str) -> None:
        """Wait until the limit of requests lets one more through."""
        if self._rate is not None:
            limiter = shared_limiter(self._host, self._rate)
            while not limiter.try_acquire("request", timeout=_GLANCE):
                if self._stopped.is_set():
                    break
        if self._stopped.is_set():
            raise network_error(request, self._server, "the export was stopped, and this not sent")


def check_token(token: str) -> str:
    """Strip what surrounds a token, and check its form.

    Raises:
        ValueError: It is no token; the text does not show it.
    """
    stripped = token.strip()
    if not re.fullmatch(r"[0-9A-Za-z]{32}|[0-9A-Za-z]{64}", stripped):
        raise ValueError(
            f"token: has {len(stripped)} characters or others than letters and digits; REDCap's "
            "have 32 letters and digits. Copy it anew from the project's API page."
        )
    return stripped


def _close(received: requests.Response, deadline: Deadline) -> None:
    deadline.cancel()
    received.close()


# -- changes --------------------------------------------------------------------------------------

_AFTER_WHICH_DONE_IS_UNKNOWN = (
    NetworkError,
    ServerError,
    ServerMemoryError,
    EmptyResponseError,
    WebPageError,
    MalformedResponseError,
    NotUTF8Error,
)
"""Errors after which a change may have been done."""


def _may_be_done(error: REDCapError) -> bool:
    if isinstance(error, NetworkError):
        return error.sent
    return not (isinstance(error, ServerError) and error.status == 429)
