"""A request and its answer as a fault has them in hand, before they are bytes on the wire."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from redcap_dagster.sandbox.protocol.parameters import Parameters

# A row of CSV with the newline that ends it; those inside quotes are part of it.
_ROW = re.compile(rb'(?:[^"\n]++|"[^"]*+")++\n?')
_QUOTED = re.compile(rb'"[^"]*+"')
_DELIMITER = re.compile(rb"[,;\t|^]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a fault stands before.

    Attributes:
        parameters: What is asked for.
        moments: When the requests to this fault came, in seconds; this one is the last.
    """

    parameters: Parameters
    moments: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer on its way: what is sent, how fast, and how it ends.

    Attributes:
        status: The HTTP status.
        headers: By names in lower case, without the body's length and compression.
        body: What is sent, before it is compressed.
        wait: Seconds before the first byte.
        piece: Bytes sent at a time; 0 sends all at once.
        pause: Seconds after each piece.
        share: How much of the compressed body is sent.
        end: How it ends: ``whole``; or by hanging up after the share, where the whole was
            announced by ``length`` or in ``chunks``, or nothing was announced (``close``); or by
            a ``reset`` before any byte.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    wait: float = 0.0
    piece: int = 0
    pause: float = 0.0
    share: float = 1.0
    end: Literal["whole", "length", "chunks", "close", "reset"] = "whole"


REDCap = Callable[[], Awaitable[Sent]]
"""Has REDCap do what is asked, and gives its answer."""


class Fault(Protocol):
    """Something that goes wrong."""

    async def answer(self, asked: Asked, redcap: REDCap) -> Sent:
        """Answer a request, with or without REDCap."""


# -- tables ---------------------------------------------------------------------------------------


def is_csv(sent: Sent) -> bool:
    """Say whether an answer is CSV with a header: newer servers send none where no row is."""
    is_table = sent.headers.get("content-type", "").startswith("text/csv")
    return is_table and b"\n" in sent.body.lstrip()


def lines(body: bytes) -> list[bytes]:
    """Take CSV apart into header and rows, byte for byte."""
    return _ROW.findall(body)


def rows(sent: Sent) -> list[tuple[object, int]]:
    """Give the first cell and the number of cells of each row; none of XML and other answers."""
    if sent.status != 200:
        return []
    if is_csv(sent):
        header, *found = lines(sent.body)
        columns = len(_DELIMITER.split(_QUOTED.sub(b"", header)))
        return [(_DELIMITER.split(row, 1)[0], columns) for row in found]
    if not sent.headers.get("content-type", "").startswith("application/json"):
        return []
    content = json.loads(sent.body)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        return []
    return [(next(iter(row.values())), len(row)) for row in content]
