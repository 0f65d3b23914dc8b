"""What goes over a connection: parameters there, and the bytes of an answer back."""

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote_plus

import requests
import urllib3

from redcap_dagster.api.http.network_errors import TOO_LONG, TOO_SLOW, network_error
from redcap_dagster.api.http.session import Deadline

_CHUNK = 1 << 16

_PLAIN = re.compile(r"[0-9A-Za-z_.~-]*")


def encode_form(parameters: Mapping[str, str]) -> bytes:
    """Write parameters as the body of a request.

    As `urlencode` does, which takes longer for the ids of a request than Arrow for its answer.

    Example:
        >>> encode_form({"records[0]": "A 1&2"})
        b'records%5B0%5D=A+1%262'
    """
    pairs = (f"{_quoted_name(name)}={_quoted(value)}" for name, value in parameters.items())
    return "&".join(pairs).encode("ascii")


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote_plus(text)


_quoted_name = lru_cache(1 << 12)(quote_plus)  # the same in each request: records[0], records[1]


def read_chunks(
    received: requests.Response, request: str, server: str, deadline: Deadline
) -> Iterator[bytes]:
    """Give the body, decompressed; one that breaks off is an error.

    urllib3 sees that by length and framing, but takes a gzip that has no end for whole, so that
    is decompressed here.

    Raises:
        NetworkError: It broke off, or took too long.
    """
    zipped = received.headers.get("Content-Encoding", "") == "gzip"
    gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    what = "the answer broke off, and was thrown away. Try again, or ask for less at once"
    try:
        for chunk in received.raw.stream(_CHUNK, decode_content=False):
            yield gzip.decompress(chunk) if zipped else chunk
        # To be cut off looks like an end, where the answer did not announce its length.
        if not deadline.passed and (not zipped or (gzip.eof and not gzip.unused_data)):
            return
    except urllib3.exceptions.ReadTimeoutError:
        what = TOO_SLOW
    except (urllib3.exceptions.HTTPError, zlib.error, OSError):
        pass
    raise network_error(request, server, TOO_LONG if deadline.passed else what)
