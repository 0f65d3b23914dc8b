"""The bytes on the wire: parameters as the body of a request, and the body of a response."""

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote_plus

import requests
import urllib3

from redcap_dagster.api.errors import MalformedResponseError
from redcap_dagster.api.http.network_errors import READ_TIMED_OUT, TOTAL_TIMED_OUT, network_error
from redcap_dagster.api.http.session import Deadline

_CHUNK = 1 << 16

_PADDING = b"\0\r\n"
"""Bytes that servers send after the end of a gzip stream, as the last newline of a PHP file."""

_GZIP = ("gzip", "x-gzip")
_GZIP_BITS = zlib.MAX_WBITS | 16
_DEFLATE = "deflate"

_UNREADABLE = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")
"""Encodings that cannot be read here. No request accepts them."""

_PLAIN = re.compile(r"[0-9A-Za-z_.~-]*")


def encode_form(parameters: Mapping[str, str]) -> bytes:
    """Return parameters as the body of a request.

    The same as `urlencode`, which is slow for many record ids.

    Example:
        >>> encode_form({"records[0]": "A 1&2"})
        b'records%5B0%5D=A+1%262'
    """
    pairs = [f"{_quote_name(name)}={_quote(value)}" for name, value in parameters.items()]
    return "&".join(pairs).encode("ascii")


def _quote(text: str) -> str:
    is_plain = (text.isascii() and text.isalnum()) or _PLAIN.fullmatch(text)
    return text if is_plain else quote_plus(text)


_quote_name = lru_cache(1 << 12)(quote_plus)  # each request has records[0], records[1], ...


def read_chunks(
    received: requests.Response, request: str, server: str, deadline: Deadline
) -> Iterator[bytes]:
    """Yield the body, decompressed.

    urllib3 detects an incomplete body by its length and framing, but not a compressed stream
    without its end, so the stream is decompressed here.

    Raises:
        NetworkError: The body broke off, or took too long.
        MalformedResponseError: The body is compressed in a way that cannot be read.
    """
    what = "the response broke off and was discarded. Try again, or request less at once"
    chunks = received.raw.stream(_CHUNK, decode_content=False)
    for encoding in reversed(_list_encodings(received, request)):
        chunks = _decompress(chunks, gzip=encoding in _GZIP)
    try:
        yield from chunks
        # Without a Content-Length, an aborted connection looks like the end of the body.
        if not deadline.passed:
            return
    except urllib3.exceptions.ReadTimeoutError:
        what = READ_TIMED_OUT
    except (urllib3.exceptions.HTTPError, zlib.error, OSError, ValueError):
        pass
    raise network_error(request, server, TOTAL_TIMED_OUT if deadline.passed else what)


def _list_encodings(received: requests.Response, request: str) -> list[str]:
    """Return how the body is compressed, the first one first.

    Raises:
        MalformedResponseError: It cannot be read.
    """
    header = received.headers.get("Content-Encoding", "").lower()
    encodings = [name.strip() for name in header.split(",")]
    if unreadable := [name for name in encodings if name in _UNREADABLE]:
        raise MalformedResponseError(
            f"{request}: the response is compressed as {unreadable[-1]}, although the request "
            "accepts only gzip. A proxy or the web server probably ignores the header "
            "Accept-Encoding. Tell the server's administrator.",
            request=request,
        )
    # Others, such as none and utf-8, are sent by mistake, and the body is as it is.
    return [name for name in encodings if name in (*_GZIP, _DEFLATE)]


def _decompress(chunks: Iterator[bytes], *, gzip: bool) -> Iterator[bytes]:
    """Yield chunks decompressed.

    Raises:
        zlib.error: They are damaged, incomplete, or followed by something else than padding.
    """
    stream, padding = None, b""  # the member of a gzip stream that has begun and not ended
    for chunk in chunks:
        while chunk := chunk.lstrip(padding):
            stream = stream or zlib.decompressobj(_GZIP_BITS if gzip else _find_bits(chunk))
            yield stream.decompress(chunk)
            chunk, padding = stream.unused_data, _PADDING if stream.eof else b""
            stream = None if stream.eof else stream
    if stream:
        raise zlib.error("no end")


def _find_bits(start: bytes) -> int:
    """Return the format of a deflate stream: that of zlib, whose header some servers leave out."""
    return zlib.MAX_WBITS if start[0] & 15 == zlib.DEFLATED else -zlib.MAX_WBITS
