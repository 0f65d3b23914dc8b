"""A response as JSON, text or a typed error; `api.export.reader` reads CSV.

A web page, an error or an empty body is never taken for data.
"""

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import urljoin, urlsplit

from redcap_dagster.api.errors import (
    BlockedError,
    EmptyResponseError,
    MalformedResponseError,
    NetworkError,
    NotUTF8Error,
    REDCapError,
    RefusedError,
    ServerError,
    ServerMemoryError,
    WebPageError,
    WrongURLError,
)
from redcap_dagster.api.http.refusals import (
    extract_message,
    known_refusal,
    rights_error,
    unknown_refusal,
)
from redcap_dagster.api.http.server_sentences import quote_sentence

_START = 1 << 16
"""Bytes of a response that are read to see what it is."""

_LONGEST = 1 << 30
"""Bytes of the longest body. REDCap builds it in PHP's memory, which is rarely as large."""

_MAYBE_TOKEN = re.compile(r"[0-9A-Za-z]{32,}")

_PAGE = re.compile(
    r"<(?:!doctype\s+html|(?:html|head|body|title|meta|script|center|div|h1|p|br|b)\b)",
    re.IGNORECASE,
)
"""How a web page begins, or a message of PHP."""

_HOST = re.compile(r"[0-9A-Za-z.:*\[\]-]+")


@dataclass(frozen=True)
class Response:
    """A response whose headers were received, and whose body is read from the connection.

    Attributes:
        request: The kind of request, for messages: ``record export``.
        url: The URL of the request.
        status: The HTTP status.
        headers: The headers by name, in any case.
        chunks: The body, decompressed.
        close: Releases the connection, whether or not the body was read.
        sent: The parameters of the request, without the token. Defaults to none.
    """

    request: str
    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    chunks: Iterator[bytes] = field(repr=False)
    close: Callable[[], None] = field(repr=False)
    sent: Mapping[str, str] = field(default_factory=dict, repr=False)

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
    """Return the first bytes of the body of an error; none where it does not arrive soon.

    Raises:
        NetworkError: The request took too long.
    """
    try:
        return read_start(chunks)
    except NetworkError as error:
        if error.overdue:
            raise
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
    target = _name_target(response)
    error = WrongURLError(
        f"{response.request}: {response.url} redirects to {target or 'an invalid URL'} "
        f"(status {response.status}), and the token is never sent after a redirect. If that is "
        "your REDCap, give its URL, ending in /api/; if it is a sign-on page, the API is not "
        "reachable from here.",
        request=response.request,
    )
    error.url, error.status = target, response.status
    return error


def _name_target(response: Response) -> str | None:
    """Return the URL of a redirect, its path only if that is likely to be the path of an API."""
    try:
        parts = urlsplit(urljoin(response.url, response.headers.get("Location", "")))
        host = _MAYBE_TOKEN.sub("****", parts.netloc.rpartition("@")[2])
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return None
    harmless = {"", "api", "redcap", *urlsplit(response.url).path.split("/")}
    path = parts.path if harmless.issuperset(parts.path.split("/")) else "/****"
    return f"{parts.scheme}://{host}{path}"


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


# -- structure ------------------------------------------------------------------------------------


def read_json(response: Response) -> Any:
    """Return the body as JSON.

    Raises:
        REDCapError: The body is not JSON. The type says what it is.
    """
    text = read_text(response)
    problem = ""
    try:
        return json.loads(text)
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        problem = f"not well-formed JSON{where}"
    except RecursionError:
        problem = "its JSON is nested too deeply"
    raise malformed_error(response, problem)


def read_text(response: Response) -> str:
    """Return the body as text.

    Raises:
        REDCapError: The body is an error, a web page, blank, or not UTF-8. The type says which.
    """
    body = read_body(response)
    check_data(response, body)
    return decode_utf8(response, body)


def decode_utf8(response: Response, body: bytes) -> str:
    """Return a body as text.

    Raises:
        NotUTF8Error: The body is not UTF-8.
    """
    position = 0
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = error.start
    raise not_utf8_error(response, f"byte {position} of the response")


def read_body(response: Response, most: int = _LONGEST) -> bytes:
    """Return the body, whatever it is.

    Args:
        response: The response.
        most: The most bytes. Defaults to 1 GiB.

    Raises:
        MalformedResponseError: The body is longer.
    """
    chunks, size = [], 0
    for chunk in response.chunks:
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise malformed_error(response, f"it is longer than {most >> 20} MiB")
    return b"".join(chunks)


# -- errors in place of data ----------------------------------------------------------------------


def read_start(chunks: Iterator[bytes]) -> bytes:
    """Return the first bytes of a body, enough to see what it is. The last chunk may be cut."""
    return read_first_chunks(chunks)[:_START]


def read_first_chunks(chunks: Iterator[bytes]) -> bytes:
    """Return the first chunks of a body, enough to see what it is."""
    seen = bytearray()
    for chunk in chunks:
        seen += chunk
        if len(seen) >= _START:
            break
    return bytes(seen)


def check_data(response: Response, body: bytes) -> None:
    """Raise the error for a body with status 200 that does not hold data.

    Raises:
        REDCapError: The body is empty, an error or a web page. The type says which.
    """
    head = body[:_START].decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if not head:
        raise EmptyResponseError(
            f"{response.request}: the server sent an empty response, as it may under load. Try "
            "again; if it lasts, request less at once, or tell the server's administrator.",
            request=response.request,
        )
    message = extract_message(head)
    if message is not None:
        refused = message, response.request, response.status, response.sent
        raise known_refusal(*refused) or unknown_refusal(*refused)
    if head.startswith("<") or _is_sentence(head.partition("\n")[0]):
        raise page_error(response, head)


def check_file(response: Response, body: bytes, mime_types: Collection[str]) -> None:
    """Raise the error for a body in the place of a file that is an error or a web page.

    Args:
        response: The response.
        body: The first bytes of the body.
        mime_types: The types of the file, by its headers and its name. A web page is a file of type
            HTML or XML, and an error one of type JSON, XML or text.

    Raises:
        REDCapError: The body is an error or a web page. The type says which.
    """
    head = body[:_START].decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    page = _PAGE.match(head)
    looks_like = ("html", "xml") if page else ("xml",) if head[:1] == "<" else ("json",)
    if head.startswith("ERROR:"):
        looks_like = ("text/",)
    if any(word in mime_type for word in looks_like for mime_type in mime_types):
        return
    if page:
        raise page_error(response, head)
    if extract_message(head) is not None:
        check_data(response, body)


def _is_sentence(line: str) -> bool:
    """Return whether a line is neither JSON nor CSV, in which REDCap quotes cells with blanks."""
    words = line.split()
    return len(words) > 3 and line[0].isalpha() and not re.search(r'[",;\t|^]', line)


def page_error(response: Response, page: str) -> REDCapError:
    """Return the error for a web page instead of data: a known failure, or any page."""
    refused = page, response.request, response.status, response.sent
    return known_refusal(*refused) or WebPageError(
        f"{response.request}: {response.url} sent a web page instead of data: a sign-on or "
        "maintenance page, a failure of PHP, or a page of something other than REDCap. Open the "
        "URL in a browser, and check that it ends in /api/.",
        request=response.request,
    )


def malformed_error(
    response: Response, problem: str, *, broke_off: bool = False
) -> MalformedResponseError:
    """Return the error for a body that REDCap would not write."""
    error = MalformedResponseError(
        f"{response.request}: the response is not as REDCap writes it: {problem}. Try again; if "
        "it lasts, make the export in REDCap itself, or tell the server's administrator.",
        request=response.request,
    )
    error.broke_off = broke_off
    return error


def not_utf8_error(response: Response, where: str) -> NotUTF8Error:
    """Return the error for bytes that are not UTF-8. Its message has only their place."""
    return NotUTF8Error(
        f"{response.request}: {where}, is not UTF-8. A text was probably pasted or loaded into "
        "REDCap in another encoding. Find it there and type it again.",
        request=response.request,
    )
