"""The errors for responses with a status other than 200."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit

from redcap_dagster.api.errors import (
    BlockedError,
    MalformedResponseError,
    NetworkError,
    REDCapError,
    RefusedError,
    ServerError,
    ServerMemoryError,
    WrongURLError,
)
from redcap_dagster.api.http.refusals import (
    extract_message,
    known_refusal,
    rights_error,
    unknown_refusal,
)
from redcap_dagster.api.http.response import Response, read_start
from redcap_dagster.api.http.server_sentences import quote_sentence

_HOST = re.compile(r"[0-9A-Za-z.:-]+")

_USUAL_LABELS = ("api", "auth", "idp", "login", "redcap", "sso", "www")
"""Parts of the names of hosts to which an API may redirect, and which are shown."""


def raise_status_error(response: Response) -> NoReturn:
    """Raise the error for a status other than 200.

    Raises:
        REDCapError: The type says why.
    """
    if 300 <= response.status < 400:
        raise _redirect_error(response)
    body = _read_error_body(response.chunks).decode("utf-8", "replace")
    message = extract_message(body)
    error = _status_error(response, message, body)
    error.status = response.status
    if isinstance(error, ServerError):
        error.retry_after = _retry_after(response)
    raise error


def _read_error_body(chunks: Iterator[bytes]) -> bytes:
    """Return the first bytes of the body of an error; none if they cannot be read soon.

    Raises:
        NetworkError: The request took too long.
    """
    try:
        return read_start(chunks)
    except NetworkError as error:
        if error.overdue:
            raise
    except MalformedResponseError:  # the status is known without it
        pass
    return b""


def _status_error(response: Response, message: str | None, body: str) -> REDCapError:
    """Return the error for a status. What the server says only makes it more exact."""
    request, status, sent = response.request, response.status, response.sent
    said = quote_sentence(message, sent)
    if status in (404, 405, 410, 501) and (message is None or status == 501):
        return WrongURLError(
            f"{request}: {response.url} is not the URL of a REDCap API (status {status}). Take it "
            "from the project's API page; it ends in /api/.",
            request=request,
        )
    if status in (408, 429) or status >= 500:
        known = known_refusal(message or body, request, status, sent)
        if isinstance(known, ServerError | ServerMemoryError):
            return known
        return ServerError(
            f"{request}: the server failed or is too busy (status {status}).{said} Try again "
            "later; if it lasts, request less at once, or tell the server's administrator.",
            request=request,
            server_message=message,
        )
    if message is not None:
        known = known_refusal(message, request, status, sent)
        if known is None and status in (401, 403):
            return rights_error(message, request, sent)
        return known or unknown_refusal(message, request, status, sent)
    if status in (401, 403, 407):
        return BlockedError(
            f"{request}: the request was refused before REDCap (status {status}): by a firewall, a "
            "sign-on page, or a ban of this machine's IP address for too many requests. Ask the "
            "server's administrator which, and send no request until you know.",
            request=request,
        )
    return RefusedError(
        f"{request}: the web server refused the request (status {status}). Status 413 and 414 "
        "mean that it was too large: request less at once. Otherwise check the URL.",
        request=request,
    )


def _redirect_error(response: Response) -> WrongURLError:
    """Return the error for a redirect. It names the target without what may be secret in it."""
    try:
        target = urlsplit(urljoin(response.url, response.headers.get("Location", "")))
        url, what = _name_target(target, urlsplit(response.url)), "another host"
    except ValueError:
        url, what = None, "an invalid URL"
    error = WrongURLError(
        f"{response.request}: {response.url} redirects to {url or what} "
        f"(status {response.status}), and the token is never sent after a redirect. Open the URL "
        "in a browser to see where it leads. If that is your REDCap, give its URL, ending in "
        "/api/; if it is a sign-on page, the API is not reachable from here.",
        request=response.request,
    )
    error.url, error.status = url, response.status
    return error


def _name_target(target: SplitResult, asked: SplitResult) -> str | None:
    """Return the URL of a redirect, as far as it has words of the URL that was requested.

    A server can write anything into the name of a host, also a cell or the token. So a host of
    other words is not named, and a path of other words is left out.

    Raises:
        ValueError: It is not a URL of the web.
    """
    host, port = target.hostname, target.port
    if target.scheme not in ("http", "https") or not host or not _HOST.fullmatch(host):
        raise ValueError("not a URL of the web")
    labels = {*(asked.hostname or "").split("."), *_USUAL_LABELS}
    if not labels.issuperset(host.split(".")) or port not in (None, 80, 443, asked.port):
        return None
    harmless = {"", "api", "redcap", *asked.path.split("/")}
    path = target.path if harmless.issuperset(target.path.split("/")) else "/****"
    # urlsplit gives the host without the brackets of an IPv6 address.
    return f"{target.scheme}://{target.netloc.rpartition('@')[2]}{path}"


def _retry_after(response: Response) -> float | None:
    """Return the seconds of a ``Retry-After``, which has seconds or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    date = read_date(text)
    return None if date is None else max(0.0, date.timestamp() - time.time())


def read_date(text: str) -> datetime | None:
    """Return the time of a header; None if it is not one, or before 1970."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return date if date.year >= 1970 else None
