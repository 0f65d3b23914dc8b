"""A response as JSON, text or a typed error; `api.export.reader` reads CSV.

A web page, an error or an empty body is never taken for data.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from redcap_dagster.api.errors import (
    EmptyResponseError,
    MalformedResponseError,
    NotUTF8Error,
    REDCapError,
    WebPageError,
)
from redcap_dagster.api.http.refusals import (
    extract_message,
    known_refusal,
    unknown_refusal,
)

_START = 1 << 16
"""Bytes of a response that are read to see what it is."""

_LONGEST = 1 << 30
"""Bytes of the longest body. REDCap builds it in PHP's memory, which is rarely as large."""

_PAGE = re.compile(
    r"<(?:!doctype\s+html|(?:html|head|body|title|meta|script|center|div|h1|p|br|b)\b)",
    re.IGNORECASE,
)
"""How a web page begins, or a message of PHP."""


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
