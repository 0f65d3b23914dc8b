"""The bytes on the wire: parameters as the body of a request, and the body of a response."""

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote_plus

import requests
import urllib3

from redcap_dagster.api.http.network_errors import READ_TIMED_OUT, TOTAL_TIMED_OUT, network_error
from redcap_dagster.api.http.session import Deadline

_CHUNK = 1 << 16

_PADDING = b"\0\r\n"
"""Bytes that servers send after the end of a gzip stream, as the last newline of a PHP file."""

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

    urllib3 detects an incomplete body by its length and framing, but not a gzip stream without
    its end, so the stream is decompressed here.

    Raises:
        NetworkError: The body broke off, or took too long.
    """
    zipped = received.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    gzip = None  # the member of the gzip stream that has begun and not ended
    what = "the response broke off and was discarded. Try again, or request less at once"
    try:
        for chunk in received.raw.stream(_CHUNK, decode_content=False):
            if not zipped:
                yield chunk
                continue
            while chunk := (chunk if gzip else chunk.lstrip(_PADDING)):
                gzip = gzip or zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                yield gzip.decompress(chunk)
                chunk = gzip.unused_data
                gzip = None if gzip.eof else gzip
        # Without a Content-Length, an aborted connection looks like the end of the body.
        if not deadline.passed and gzip is None:
            return
    except urllib3.exceptions.ReadTimeoutError:
        what = READ_TIMED_OUT
    except (urllib3.exceptions.HTTPError, zlib.error, OSError, ValueError):
        pass
    raise network_error(request, server, TOTAL_TIMED_OUT if deadline.passed else what)
