"""Faults that pass requests on to REDCap, and change, delay or cut its response."""

import csv
import io
import json
import re
from dataclasses import dataclass, replace
from itertools import compress
from typing import Literal

from redcap_dagster.sandbox.dialects import Dialect
from redcap_dagster.sandbox.http.fault import InterceptedRequest, OutgoingResponse, REDCap
from redcap_dagster.sandbox.http.response_rows import is_csv, measure_rows, split_csv
from redcap_dagster.sandbox.protocol.formats import Table, write_csv

# The end of a body after its last text: a quote, then newlines, brackets and braces.
_CLOSING = re.compile(rb'"?[\n\]}]*\Z')


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
        text = write_csv(Table(tuple(header), found, delimiter=self.delimiter), Dialect())
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
