"""What goes wrong between a client and REDCap, as values to give to `Sandbox.inject`.

Each is made after what users of real servers reported. A fault stands before REDCap: it answers
itself, or has REDCap answer and spoils that.

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

from redcap_dagster.sandbox.http.exchange import Asked, REDCap, Sent, is_csv, lines, rows
from redcap_dagster.sandbox.protocol.formats import Table, to_csv

# What closes the last text of an answer: a quote, then newlines, brackets and braces.
_CLOSING = re.compile(rb'"?[\n\]}]*\Z')

# -- instead of REDCap ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """A web server, a proxy or PHP answers, and REDCap does nothing."""

    status: int
    body: str = ""
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Answer without REDCap."""
        headers = {"content-type": self.content_type, **self.headers}
        return Sent(self.status, headers, self.body.encode())


WEB_PAGE: Final = Status(200, "<!DOCTYPE html>\n<html><body>Please log in.</body></html>")
"""A page of sign-on or maintenance, with status 200."""

OUT_OF_MEMORY: Final = Status(
    200,
    "<br />\n<b>Fatal error</b>:  Allowed memory size of 536870912 bytes exhausted (tried to "
    "allocate 20480 bytes) in <b>index.php</b> on line <b>1</b><br />\n",
)
"""PHP's own message, with status 200."""

NO_DATABASE: Final = Status(
    200, "The hostname (db) / username (redcap) / password (***) combination could not connect"
)
"""REDCap without its database, with status 200."""

EMPTY: Final = Status(200)
"""No body, with status 200."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The address points to another one."""

    location: str
    status: int = 302

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Answer without REDCap."""
        return Sent(self.status, {"location": self.location})


@dataclass(frozen=True, slots=True)
class Firewall:
    """A firewall refuses a request for more than so many records."""

    records: int

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:
        """Let REDCap answer the smaller requests."""
        if len(asked.parameters.array("records")) <= self.records:
            return await redcap()
        return await Status(403, "<html><body>403 Forbidden</body></html>").answer(asked, redcap)


@dataclass(frozen=True, slots=True)
class Ban:
    """More than so many requests within a minute, and the address is banned for good.

    What REDCap then answers is a guess.
    """

    per_minute: int = 600

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:
        """Let REDCap answer as long as there were never too many."""
        spans = zip(asked.moments, asked.moments[self.per_minute :], strict=False)
        if not any(last - first < 60 for first, last in spans):
            return await redcap()
        return await Status(403, "<html><body>Your address is banned.</body></html>").answer(
            asked, redcap
        )


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """PHP runs out of memory over answers of more than so many cells."""

    cells: int

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:
        """Let REDCap answer what is not too large."""
        sent = await redcap()
        if sum(cells for _, cells in rows(sent)) <= self.cells:
            return sent
        return await OUT_OF_MEMORY.answer(asked, redcap)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Something happens in REDCap just before it answers.

    Example:
        >>> from redcap_dagster.sandbox import Sandbox
        >>> with Sandbox() as sandbox:
        ...     token = sandbox.add_project(
        ...         exports={"metadata": [{"field_name": "id", "form_name": "visit"}]})
        ...     lose = Meanwhile(lambda: sandbox.set_rights(token, {"api_export": 0}))
        ...     sandbox.inject(lose, content="record", after=1, times=1)
    """

    act: Callable[[], object]

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Let it happen, then let REDCap answer."""
        await run_in_threadpool(self.act)
        return await redcap()


# -- what becomes of REDCap's answer --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DroppedRecords:
    """Rows of the last so many records are left out of an answer in CSV or JSON."""

    count: int = 1

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Leave rows out, and nothing else."""
        sent = await redcap()
        ids = [record for record, _ in rows(sent)]
        left_out = list(dict.fromkeys(reversed(ids)))[: self.count]
        kept = [record not in left_out for record in ids]
        if all(kept):
            return sent
        if is_csv(sent):
            header, *found = lines(sent.body)
            return replace(sent, body=header + b"".join(compress(found, kept)))
        objects = list(compress(json.loads(sent.body), kept))
        return replace(sent, body=json.dumps(objects, ensure_ascii=False).encode())


@dataclass(frozen=True, slots=True)
class Delimiter:
    """CSV comes with another delimiter than the one asked for."""

    delimiter: str = ";"

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Write the answer anew, if it is CSV."""
        sent = await redcap()
        if not is_csv(sent):
            return sent
        header, *found = csv.reader(io.StringIO(sent.body.decode(), newline=""))
        text = to_csv(Table(tuple(header), found, delimiter=self.delimiter))
        return replace(sent, body=text.encode())


@dataclass(frozen=True, slots=True)
class Latin1:
    """The last text of an answer ends in a byte that is no UTF-8, as pasted from a PDF."""

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Add a blank that does not break, as Latin-1 has it."""
        sent = await redcap()
        return replace(sent, body=_CLOSING.sub(b"\xa0\\g<0>", sent.body, count=1))


@dataclass(frozen=True, slots=True)
class Cut:
    """REDCap does what is asked, and only a share of its answer arrives.

    Attributes:
        share: How much of it, from 0 to 1.
        end: What ends it: the connection, where the whole was announced by its ``length`` or in
            ``chunks``, or where nothing was announced (``close``); or PHP, so that what is left
            counts as ``whole``.
    """

    share: float = 0.5
    end: Literal["length", "chunks", "close", "whole"] = "length"

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Cut the answer."""
        sent = await redcap()
        if self.end == "whole":
            return replace(sent, body=sent.body[: int(len(sent.body) * self.share)])
        return replace(sent, share=self.share, end=self.end)


@dataclass(frozen=True, slots=True)
class Reset:
    """REDCap does what is asked, and the connection is reset before it can answer."""

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Lose the answer."""
        return replace(await redcap(), end="reset")


@dataclass(frozen=True, slots=True)
class SlowFirstByte:
    """The answer takes its time to begin."""

    seconds: float

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Delay the answer."""
        sent = await redcap()
        return replace(sent, wait=sent.wait + self.seconds)


@dataclass(frozen=True, slots=True)
class SlowTrickle:
    """The answer comes in small pieces, with a pause after each."""

    pause: float
    piece: int = 1

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Slow the answer down."""
        return replace(await redcap(), piece=self.piece, pause=self.pause)


@dataclass(frozen=True, slots=True)
class Cost:
    """Each record and each cell takes REDCap a while, in seconds, as with PHP."""

    per_record: float = 0.0
    per_cell: float = 0.0
    at_most: float = 60.0

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:  # noqa: ARG002
        """Delay the answer by what is in it."""
        sent = await redcap()
        found = rows(sent)
        records = len({record for record, _ in found})
        seconds = records * self.per_record + sum(cells for _, cells in found) * self.per_cell
        return replace(sent, wait=sent.wait + min(seconds, self.at_most))
