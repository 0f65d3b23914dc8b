"""A response as JSON, text or a typed error; `api.export.reader` reads CSV.

A web page, an error or an empty body is never taken for data.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
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
    find_message,
    known_refusal,
    unknown_refusal,
)

_START = 1 << 16
"""Bytes of a response that are read to see what it is."""

_LONGEST = 1 << 30
"""Bytes of the longest body. REDCap builds it in PHP's memory, which is rarely as large."""

_PAGE = re.compile(
    r"(?:<\?xml[^>]{0,200}>\s*+)?(?:<!--(?:[^-]|-(?!->))*+-->\s*+)*+"
    r"<(?:!doctype\s+html|(?:html|head|body|title|meta|script|center|div|h1|p|br|b)\b)",
    re.IGNORECASE,
)
"""How a web page begins, or a message of PHP."""

_PHP_MESSAGE = re.compile(
    r"(?:PHP )?(?:recoverable fatal|fatal|parse) error: |PHP (?:warning|notice|deprecated): ",
    re.IGNORECASE,
)
"""How a message of PHP begins that is not a web page."""

_NEVER_TEXT = (
    *("pdf", "zip", "bmp", "gif", "jpeg", "png", "tiff", "webp"),
    *("presentationml.presentation", "spreadsheetml.sheet", "wordprocessingml.document"),
)
"""Ends of the types of files that have bytes at their beginning which no text has."""

_GZIP_START = b"\x1f\x8b"

_BEGINNING = 16
"""Bytes of a response that hold the names of columns or of keys, rather than a value."""

_NOT_PRINTED = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


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
        content = json.loads(text)
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        problem = f"not well-formed JSON{where}"
    except RecursionError:
        problem = "its JSON is nested too deeply"
    if problem:
        raise malformed_error(response, problem)
    message = find_message(content)  # it may be longer than the start that was looked at
    if message is not None and not _is_record_list(response, content):
        raise _refusal(response, message)
    return content


def read_text(response: Response) -> str:
    """Return the body as text.

    Raises:
        REDCapError: The body is an error, a web page, blank, or not UTF-8. The type says which.
    """
    body = read_body(response)
    check_text(response, body)
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
            problem = f"it is longer than {most >> 20} MiB"
            raise malformed_error(response, problem, request_less=True)
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


def check_text(response: Response, body: bytes) -> None:
    """Raise the error for a body that is not text in any encoding.

    Raises:
        MalformedResponseError: It is probably compressed, and its header does not say so.
    """
    start = body[:_BEGINNING].decode("utf-8", "replace")
    if 4 * (start.count("\ufffd") + len(_NOT_PRINTED.findall(start))) > len(start):
        what = "gzip" if body.startswith(_GZIP_START) else "compressed, encrypted or damaged"
        raise malformed_error(
            response, f"it is not text but {what}, and its header Content-Encoding does not say so"
        )


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
    if message is not None and not _is_record_list(response, head):
        raise _refusal(response, message)
    if head.startswith("<") or _is_sentence(head.partition("\n")[0]):
        raise page_error(response, head)


def check_file(response: Response, start: bytes, mime_type: str) -> None:
    """Raise the error for a body in the place of a file that is an error or a web page.

    Args:
        response: The response.
        start: The first bytes of the body.
        mime_type: The type of the file. A web page is a file of type HTML or XML, an error one of
            type JSON, XML or text, and no text is an image or a PDF.

    Raises:
        REDCapError: The body is an error, a web page, or a text instead of an image or a PDF. The
            type says which.
    """
    head = _decode_start(start)
    page = _PAGE.match(head)
    message = _PHP_MESSAGE.match(head)
    if head[:1] == "<":
        looks_like = ("html", "xml") if page else ("xml",)
    else:
        looks_like = ("text/plain",) if message or head.startswith("ERROR:") else ("json",)
    if any(word in mime_type for word in looks_like):
        return
    if page or message:
        raise page_error(response, head)
    is_text = mime_type.endswith(_NEVER_TEXT) and _is_text(start)
    if is_text or extract_message(head) is not None:
        check_data(response, start)
    if is_text:
        raise malformed_error(response, f"it is a text, but its header says {mime_type}")


def _decode_start(body: bytes) -> str:
    """Return the first characters of a body, without blanks before them."""
    encoding = "utf-16" if body[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    return body[:_START].decode(encoding, "replace").lstrip("\ufeff \r\n\t")


def _is_text(start: bytes) -> bool:
    """Return whether bytes, the last of which may be cut, are printed characters in UTF-8."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return b"%PDF-" not in start[:1024] and _NOT_PRINTED.search(text) is None


def _refusal(response: Response, message: str) -> REDCapError:
    refused = message, response.request, response.status, response.sent
    return known_refusal(*refused) or unknown_refusal(*refused)


def _is_record_list(response: Response, content: Any) -> bool:
    """Return whether a list can be one of records, whose only field may be called ``error``."""
    sent = response.sent
    is_list = isinstance(content, list) or str(content).startswith("[")
    return is_list and sent.get("content") == "record" and sent.get("format") == "json"


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
    response: Response, problem: str, *, request_less: bool = False
) -> MalformedResponseError:
    """Return the error for a body that REDCap would not write."""
    error = MalformedResponseError(
        f"{response.request}: the response is not as REDCap writes it: {problem}. Try again; if "
        "it lasts, make the export in REDCap itself, or tell the server's administrator.",
        request=response.request,
    )
    error.request_less = request_less
    return error


def not_utf8_error(response: Response, where: str) -> NotUTF8Error:
    """Return the error for bytes that are not UTF-8. Its message has only their place."""
    return NotUTF8Error(
        f"{response.request}: {where}, is not UTF-8. A text was probably pasted or loaded into "
        "REDCap in another encoding. Find it there and type it again.",
        request=response.request,
    )
