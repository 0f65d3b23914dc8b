"""The interface of a fault: the request that it intercepts, and the response that it returns."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from redcap_dagster.sandbox.protocol.parameters import Parameters


@dataclass(frozen=True, slots=True)
class InterceptedRequest:
    """A request as a fault sees it.

    Attributes:
        parameters: Parameters of the request.
        times: When this fault intercepted a request, in seconds of a monotonic clock; the last is
            the time of this request.
    """

    parameters: Parameters
    times: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OutgoingResponse:
    """A response that is about to be sent: its content, its speed and how it ends.

    Attributes:
        status: HTTP status.
        headers: Header values by names in lower case, without length and compression.
        body: Body before compression. Defaults to an empty one.
        wait: Seconds before the first byte. Defaults to 0.
        piece: Bytes sent at a time. Defaults to 0, which sends all of them at once.
        pause: Seconds after each piece. Defaults to 0.
        share: Share of the compressed body that is sent, from 0 to 1. Defaults to 1.
        end: How the response ends. Defaults to ``whole``. Otherwise the connection closes after
            the share was sent, where the complete length was announced (``length``), where the
            body comes in ``chunks``, or where nothing was announced (``close``); or the
            connection is ``reset`` before the first byte.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    wait: float = 0.0
    piece: int = 0
    pause: float = 0.0
    share: float = 1.0
    end: Literal["whole", "length", "chunks", "close", "reset"] = "whole"


REDCap = Callable[[], Awaitable[OutgoingResponse]]
"""Passes the request on to REDCap and returns REDCap's response."""


class Fault(Protocol):
    """A failure between a client and REDCap.

    Any object with this method can be given to `Sandbox.inject`.
    """

    async def respond(self, request: InterceptedRequest, redcap: REDCap) -> OutgoingResponse:
        """Return the response to a request.

        Args:
            request: The intercepted request.
            redcap: Passes the request on to REDCap and returns REDCap's response. A fault that
                does not call it keeps the request from REDCap.
        """
