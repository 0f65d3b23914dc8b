"""Faults that respond without REDCap, or let something happen before it handles a request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.concurrency import run_in_threadpool

from redcap_dagster.sandbox.http.fault import InterceptedRequest, OutgoingResponse, REDCap
from redcap_dagster.sandbox.http.response_rows import measure_rows


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
