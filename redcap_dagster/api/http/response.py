"""The bytes of an answer -> JSON, text, or a typed error; `rows` reads CSV.

Nothing is taken for data that is not: a web page, an error, an empty body.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from redcap_dagster.api.errors import (
    BlockedError,
    EmptyResponseError,
    MalformedResponseError,
    NotUTF8Error,
    REDCapError,
    RefusedError,
    RightsError,
    ServerError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.http.refusals import extract_message, known_refusal, unknown_refusal

_LOOK = 1 << 16
"""How much of an answer is looked at to see what it is."""

_MOST = 1 << 30
"""Bytes of a text that is read as a whole. REDCap builds it in PHP's memory, which rarely is as
much; what is longer has no end."""

_MAYBE_TOKEN = re.compile(r"[0-9A-Za-z]{32,}")


@dataclass(frozen=True)
class Response:
    """An answer whose head has come and whose body is on its way.

    Attributes:
        request: The kind of request, for errors: ``record export``.
        url: The address that was asked.
        status: The HTTP status.
        headers: By name, in whatever case.
        chunks: The body, decompressed.
        close: Lets go of the connection; by then the body may be read or not.
    """

    request: str
    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    chunks: Iterator[bytes] = field(repr=False)
    close: Callable[[], None] = field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


# -- status ---------------------------------------------------------------------------------------


def check_status(response: Response) -> None:
    """Raise the error that the status and the body of an answer mean; 200 means none.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    if response.status == 200:
        return
    if 300 <= response.status < 400:
        raise _redirect_error(response)
    body = read_start(response.chunks).decode("utf-8", "replace")
    message = extract_message(body)
    error = known_refusal(message or body, response.request, response.status)
    error = error or _status_error(response, message)
    if isinstance(error, ServerError):
        error.retry_after = _retry_after(response)
    raise error


def _status_error(response: Response, message: str | None) -> REDCapError:
    """Judge an answer by its status, where its message is of no known form or none at all."""
    request, status = response.request, response.status
    if status in (408, 429) or (status >= 500 and status != 501):
        error = ServerError(
            f"{request}: the server failed or is too busy (status {status}). Try again later; if "
            "it lasts, ask for less at once, or tell the server's administrator.",
            request=request,
            server_message=message,
        )
        error.status = status
        return error
    if message is not None and status in (401, 403):
        return RightsError(
            f"{request}: REDCap says that the token's user may not do this (status {status}). "
            "Check the user's rights in the project; the error's attribute server_message says "
            "more.",
            request=request,
            server_message=message,
        )
    if message is not None:
        return unknown_refusal(message, request, status)
    if status in (401, 403, 407):
        return BlockedError(
            f"{request}: not REDCap but something in front of it refused (status {status}): a "
            "firewall, a sign-on page, or a ban of this machine's address for too many requests. "
            "Ask the server's administrator which, and run nothing until you know.",
            request=request,
        )
    if status in (404, 405, 410, 501):
        return WrongURLError(
            f"{request}: there is no REDCap API at {response.url} (status {status}). Take the URL "
            "from the project's API page; it ends in /api/.",
            request=request,
        )
    return RefusedError(
        f"{request}: the web server refused the request (status {status}). Status 413 and 414 "
        "mean that it was too large: ask for less at once. Otherwise check the URL.",
        request=request,
    )


def _redirect_error(response: Response) -> WrongURLError:
    """Name the address that a redirect points to, without what may be secret in it."""
    try:
        parts = urlsplit(urljoin(response.url, response.headers.get("Location", "")))
        host = parts.netloc.rpartition("@")[2]
        path = parts.path.partition(";")[0]
        target = _MAYBE_TOKEN.sub("****", f"{parts.scheme}://{host}{path}")
    except ValueError:
        target = None
    error = WrongURLError(
        f"{response.request}: {response.url} redirects to {target or 'what is no address'} "
        f"(status {response.status}), and the token is never sent after a redirect. If that is "
        "your REDCap, give that address, ending in /api/; if it is a sign-on page, the API is not "
        "reachable from here.",
        request=response.request,
    )
    error.url = target
    return error


def _retry_after(response: Response) -> float | None:
    """Seconds that the server wants to be left alone: it gives them, or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


# -- structure ------------------------------------------------------------------------------------


def read_json(response: Response) -> Any:
    """Read a whole answer as JSON.

    Raises:
        REDCapError: It is something else; the type says what.
    """
    text = read_text(response)
    problem = ""
    try:
        return json.loads(text)
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        problem = f"not well-formed JSON{where}"
    except RecursionError:
        problem = "its JSON is nested too deep"
    raise malformed_error(response, problem)


def read_text(response: Response) -> str:
    """Read a whole answer as text that is no error, no web page and not blank.

    Raises:
        REDCapError: It is something else; the type says what.
    """
    body = read_body(response)
    check_data(response, body)
    position = 0
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = error.start
    raise not_utf8_error(response, f"byte {position} of the answer")


def read_body(response: Response, most: int = _MOST) -> bytes:
    """Read a whole answer, whatever it is.

    Raises:
        MalformedResponseError: It is longer than any that REDCap writes.
    """
    chunks, size = [], 0
    for chunk in response.chunks:
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise malformed_error(response, f"it is longer than {most >> 20} MiB")
    return b"".join(chunks)


# -- what is no data ------------------------------------------------------------------------------


def read_start(chunks: Iterator[bytes]) -> bytes:
    """Read as much of a body as is needed to see what it is."""
    seen = b""
    for chunk in chunks:
        seen += chunk
        if len(seen) >= _LOOK:
            break
    return seen[:_LOOK]


def check_data(response: Response, body: bytes) -> None:
    """Raise if the start of an answer with status 200 shows that it holds no data.

    Raises:
        REDCapError: Of the type that says what it is.
    """
    head = body[:_LOOK].decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if not head:
        raise EmptyResponseError(
            f"{response.request}: the server sent an empty answer. That happens under load: try "
            "again; if it lasts, ask for less at once, or tell the server's administrator.",
            request=response.request,
        )
    message = extract_message(head)
    if message is not None:
        raise known_refusal(message, response.request, response.status) or unknown_refusal(
            message, response.request, response.status
        )
    first = head.partition("\n")[0]
    if first.startswith("<") or (first[0] not in "[{" and "could not connect" in first):
        raise page_error(response, head)


def page_error(response: Response, page: str) -> REDCapError:
    """Say what a page means that came instead of data: a failure that is known, or any page."""
    return known_refusal(page, response.request, response.status) or WebPageError(
        f"{response.request}: {response.url} sent a web page instead of data. It is a sign-on or "
        "maintenance page, a failure of PHP, or no REDCap API at all: open the address in a "
        "browser, and check that it ends in /api/.",
        request=response.request,
    )


def malformed_error(
    response: Response, problem: str, *, broke_off: bool = False
) -> MalformedResponseError:
    """Make the error for data that are not as REDCap writes them."""
    error = MalformedResponseError(
        f"{response.request}: the answer is not what REDCap writes: {problem}. Try again; if it "
        "lasts, have a look at the export in REDCap, or tell the server's administrator.",
        request=response.request,
    )
    error.broke_off = broke_off
    return error


def not_utf8_error(response: Response, where: str) -> NotUTF8Error:
    """Make the error for bytes that are no text; only their place is told."""
    return NotUTF8Error(
        f"{response.request}: {where}, is not UTF-8. A text was probably pasted or loaded into "
        "REDCap in another encoding: find it there and type it anew.",
        request=response.request,
    )
