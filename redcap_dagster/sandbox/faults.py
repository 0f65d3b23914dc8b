"""Failures between a client and REDCap, to give to `Sandbox.inject`.

Each fault imitates what users of real servers reported. It intercepts requests before REDCap: it
responds without REDCap, or passes the request on and changes REDCap's response.
To write another fault, implement `Fault`.

Example:
    >>> import requests
    >>> from redcap_dagster.sandbox import Sandbox
    >>> from redcap_dagster.sandbox.faults import Status
    >>> with Sandbox() as sandbox:
    ...     sandbox.inject(Status(503, "<html>Service Unavailable</html>"), times=1)
    ...     print([requests.post(sandbox.url, timeout=10).status_code for _ in range(2)])
    [503, 501]
"""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Final, Literal

from starlette.concurrency import run_in_threadpool

from redcap_dagster.sandbox.http.fault import Fault, InterceptedRequest, OutgoingResponse, REDCap
from redcap_dagster.sandbox.http.response_rows import is_csv, measure_rows, split_csv
from redcap_dagster.sandbox.protocol.formats import Table, write_csv

__all__ = [
    "EMPTY",
    "NO_DATABASE",
    "OUT_OF_MEMORY",
    "WEB_PAGE",
    "Ban",
    "Cost",
    "Cut",
    "Delimiter",
    "DroppedRecords",
    "Fault",
    "Firewall",
    "InterceptedRequest",
    "Latin1",
    "Meanwhile",
    "MemoryLimit",
    "OutgoingResponse",
    "REDCap",
    "Redirect",
    "Reset",
    "SlowFirstByte",
    "SlowTrickle",
    "Status",
]

# The end of a body after its last text: a quote, then newlines, brackets and braces.
_CLOSING = re.compile(rb'"?[\n\]}]*\Z')

# -- responses without REDCap ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """A response of a web server, a proxy or PHP, with any status and body.

    Args:
        status: HTTP status.
        body: Text of the response. Defaults to an empty one.
        content_type: Content type. Defaults to HTML.
        headers: Further headers, by names in lower case. Defaults to none.

    Example:
        >>> Status(429, headers={"retry-after": "2"}).status
        429
    """

    status: int
    body: str = ""
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def respond(
        self,
        request: InterceptedRequest,  # noqa: ARG002
        redcap: REDCap,  # noqa: ARG002
    ) -> OutgoingResponse:
        """Return the response without REDCap."""
        headers = {"content-type": self.content_type, **self.headers}
        return OutgoingResponse(self.status, headers, self.body.encode())


WEB_PAGE: Final = Status(200, "<!DOCTYPE html>\n<html><body>Please log in.</body></html>")
"""A page for sign-on or maintenance, with status 200."""

OUT_OF_MEMORY: Final = Status(
    200,
    "<br />\n<b>Fatal error</b>:  Allowed memory size of 536870912 bytes exhausted (tried to "
    "allocate 20480 bytes) in <b>index.php</b> on line <b>1</b><br />\n",
)
"""PHP's message that its memory is exhausted, with status 200."""

NO_DATABASE: Final = Status(
    200, "The hostname (db) / username (redcap) / password (***) combination could not connect"
)
"""REDCap's message that it cannot reach its database, with status 200."""

EMPTY: Final = Status(200)
"""A response without a body, with status 200."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect to another URL.

    Args:
        location: URL of the redirect.
        status: HTTP status. Defaults to 302.

    Example:
        >>> Redirect("https://redcap.example/api/", status=307).status
        307
    """

    location: str
    status: int = 302

    async def respond(
        self,
        request: InterceptedRequest,  # noqa: ARG002
        redcap: REDCap,  # noqa: ARG002
    ) -> OutgoingResponse:
        """Return the redirect without REDCap."""
        return OutgoingResponse(self.status, {"location": self.location})


@dataclass(frozen=True, slots=True)
class Firewall:
    """A firewall that refuses requests that name too many records, with status 403.

    Args:
        records: Most records that a request may name.

    Example:
        >>> Firewall(records=847).records
        847
    """

    records: int

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:
        """Pass smaller requests on to REDCap."""
        if len(request.parameters.get_list("records")) <= self.records:
            return await redcap()
        page = Status(403, "<html><body>403 Forbidden</body></html>")
        return await page.respond(request, redcap)


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban of all requests, with status 403, once there were too many within a minute.

    The ban lasts until `Sandbox.clear_faults`. What REDCap then responds is a guess.

    Args:
        per_minute: Most requests within a minute. Defaults to 600.

    Example:
        >>> Ban().per_minute
        600
    """

    per_minute: int = 600

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:
        """Pass requests on to REDCap until there were too many within a minute."""
        spans = zip(request.times, request.times[self.per_minute :], strict=False)
        if not any(last - first < 60 for first, last in spans):
            return await redcap()
        page = Status(403, "<html><body>Your address is banned.</body></html>")
        return await page.respond(request, redcap)


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """PHP's message that its memory is exhausted, instead of responses with too many cells.

    Args:
        cells: Most cells that a response may have.

    Example:
        >>> MemoryLimit(cells=1000).cells
        1000
    """

    cells: int

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:
        """Return REDCap's response unless it is too large."""
        response = await redcap()
        if sum(cells for _, cells in measure_rows(response)) <= self.cells:
            return response
        return await OUT_OF_MEMORY.respond(request, redcap)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """A change in REDCap just before it handles a request.

    Args:
        act: Function to call, without arguments.

    Example:
        >>> from redcap_dagster.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     token = sandbox.add_project(
        ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]})
        ...     lose_rights = Meanwhile(lambda: sandbox.set_rights(token, {"api_export": 0}))
        ...     sandbox.inject(lose_rights, content="record", after=1, times=1)
    """

    act: Callable[[], object]

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Call the function, then return REDCap's response."""
        await run_in_threadpool(self.act)
        return await redcap()


# -- changes of REDCap's response -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DroppedRecords:
    """A response in CSV or JSON without the rows of its last records.

    Args:
        count: Records to drop. Defaults to 1.

    Example:
        >>> DroppedRecords().count
        1
    """

    count: int = 1

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return REDCap's response without these rows, and otherwise unchanged."""
        response = await redcap()
        ids = [record for record, _ in measure_rows(response)]
        dropped = list(dict.fromkeys(reversed(ids)))[: self.count]
        kept = [record not in dropped for record in ids]
        if all(kept):
            return response
        if is_csv(response):
            header, *found = split_csv(response.body)
            return replace(response, body=header + b"".join(compress(found, kept)))
        objects = list(compress(json.loads(response.body), kept))
        return replace(response, body=json.dumps(objects, ensure_ascii=False).encode())


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A response in CSV with another delimiter than the one requested.

    Args:
        delimiter: Delimiter of the response. Defaults to a semicolon.

    Example:
        >>> Delimiter().delimiter
        ';'
    """

    delimiter: str = ";"

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return REDCap's response, written with this delimiter if it is CSV."""
        response = await redcap()
        if not is_csv(response):
            return response
        header, *found = csv.reader(io.StringIO(response.body.decode(), newline=""))
        text = write_csv(Table(tuple(header), found, delimiter=self.delimiter))
        return replace(response, body=text.encode())


@dataclass(frozen=True, slots=True)
class Latin1:
    """A response whose last text ends in a byte that is not UTF-8, as if pasted from a PDF.

    Example:
        >>> Latin1()
        Latin1()
    """

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return REDCap's response with a no-break space in Latin-1 added."""
        response = await redcap()
        return replace(response, body=_CLOSING.sub(b"\xa0\\g<0>", response.body, count=1))


@dataclass(frozen=True, slots=True)
class Cut:
    """A share of REDCap's response; REDCap handled the request completely.

    Args:
        share: Share of the response that arrives, from 0 to 1. Defaults to 0.5.
        end: How the response ends. Defaults to ``length``: the connection closes, and the
            complete length was announced. With ``chunks`` it closes in a body that comes in
            chunks, with ``close`` in a body of which nothing was announced. With ``whole`` PHP
            stops, and the share arrives as if it were the complete response.

    Example:
        >>> Cut(share=0.25, end="chunks")
        Cut(share=0.25, end='chunks')
    """

    share: float = 0.5
    end: Literal["length", "chunks", "close", "whole"] = "length"

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return REDCap's response, cut."""
        response = await redcap()
        if self.end == "whole":
            return replace(response, body=response.body[: int(len(response.body) * self.share)])
        return replace(response, share=self.share, end=self.end)


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset of the connection instead of a response; REDCap handled the request completely.

    Example:
        >>> Reset()
        Reset()
    """

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return a response that resets the connection."""
        return replace(await redcap(), end="reset")


@dataclass(frozen=True, slots=True)
class SlowFirstByte:
    """A response whose first byte is late.

    Args:
        seconds: Seconds to wait before the first byte.

    Example:
        >>> SlowFirstByte(seconds=0.5).seconds
        0.5
    """

    seconds: float

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return REDCap's response, delayed."""
        response = await redcap()
        return replace(response, wait=response.wait + self.seconds)


@dataclass(frozen=True, slots=True)
class SlowTrickle:
    """A response in small pieces, with a pause after each.

    Args:
        pause: Seconds after each piece.
        piece: Bytes in a piece. Defaults to 1.

    Example:
        >>> SlowTrickle(pause=0.5).piece
        1
    """

    pause: float
    piece: int = 1

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return REDCap's response, slowed down."""
        return replace(await redcap(), piece=self.piece, pause=self.pause)


@dataclass(frozen=True, slots=True)
class Cost:
    """A delay that grows with the records and cells of the response, as with PHP.

    Args:
        per_record: Seconds for each record. Defaults to 0.
        per_cell: Seconds for each cell. Defaults to 0.
        at_most: Longest delay in seconds. Defaults to 60.

    Example:
        >>> Cost(per_record=0.01).at_most
        60.0
    """

    per_record: float = 0.0
    per_cell: float = 0.0
    at_most: float = 60.0

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:  # noqa: ARG002
        """Return REDCap's response, delayed by its records and cells."""
        response = await redcap()
        found = measure_rows(response)
        records = len({record for record, _ in found})
        seconds = records * self.per_record + sum(cells for _, cells in found) * self.per_cell
        return replace(response, wait=response.wait + min(seconds, self.at_most))
