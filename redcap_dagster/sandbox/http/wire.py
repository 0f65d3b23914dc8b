"""The wire between a client and the sandbox, where faults strike: they stand before the app."""

import asyncio
import gzip
import logging
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from redcap_dagster.sandbox.http.app import MAX_BODY, Answered, read_form
from redcap_dagster.sandbox.http.exchange import Asked, Fault, REDCap, Sent
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError

logger = logging.getLogger("redcap_dagster.sandbox")

_TRANSPORT: Final = "redcap_dagster.transport"


class OpenProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, with the connection within reach of the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        app: Any = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, _TRANSPORT: transport}, receive, send)

        self.app = with_transport


@dataclass(slots=True)
class _Injection:
    fault: Fault
    content: str | None
    after: int
    times: int | None
    moments: list[float] = field(default_factory=list)

    def strikes(self, parameters: Parameters) -> bool:
        """Count a request, and say whether the fault stands before it."""
        if self.content not in (None, parameters.text("content")):
            return False
        self.moments.append(time.monotonic())
        number = len(self.moments) - self.after
        return number > 0 and (self.times is None or number <= self.times)


def web_server(app: ASGIApp) -> uvicorn.Server:
    """Make what serves an application, and says nothing of it."""
    config = uvicorn.Config(
        app,
        http=OpenProtocol,
        ws="none",
        # Its own logs would hold paths and tracebacks; ours name contents and statuses.
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


class Wire:
    """A web application with faults before it.

    Args:
        app: The application.
        answered: Called for each request that a fault kept from the application.
    """

    def __init__(self, app: ASGIApp, answered: Callable[[Answered], None]) -> None:
        self._app = app
        self._answered = answered
        # Never changed but replaced, as the server reads it in a thread of its own.
        self._injections: tuple[_Injection, ...] = ()

    def inject(self, fault: Fault, content: str | None, after: int, times: int | None) -> None:
        """Put a fault before the application and before all faults that are there."""
        self._injections = (*self._injections, _Injection(fault, content, after, times))

    def clear(self) -> None:
        """Take all faults away."""
        self._injections = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        injections = self._injections
        if not injections or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        parameters = await _parameters(scope, body)
        reached = False

        async def redcap() -> Sent:
            nonlocal reached
            reached = True
            return await _answer(self._app, scope, body)

        answer: REDCap = redcap
        for injection in injections:
            if injection.strikes(parameters):
                asked = Asked(parameters, tuple(injection.moments))
                answer = partial(injection.fault.answer, asked, answer)
        try:
            sent = await answer()
        except Exception as error:
            # Its text may hold a value. The client gets a bare 500.
            logger.error("a fault failed: %s", type(error).__name__)
            raise
        if not reached:
            seen = Answered.of(parameters, sent.status)
            self._answered(seen)
            logger.info("content=%s status=%d by a fault", seen.content, seen.status)
        await _send(sent, scope, receive, send)


# -- the request ----------------------------------------------------------------------------------


async def _read(receive: Receive) -> bytes:
    """Read a body, but no more of it than is needed to see that it is too large."""
    body = bytearray()
    while len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _received(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _parameters(scope: Scope, body: bytes) -> Parameters:
    try:
        parameters, _ = await read_form(Request(scope, _received(body)))
    except RequestError:
        return Parameters.of([])
    return parameters


# -- the answer -----------------------------------------------------------------------------------


async def _answer(app: ASGIApp, scope: Scope, body: bytes) -> Sent:
    """Have the application answer, without compression."""
    plain = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
    head: Message = {}
    content = bytearray()

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            content.extend(message.get("body", b""))

    await app({**scope, "headers": plain}, _received(body), take)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head["headers"]}
    headers.pop("content-length", None)
    return Sent(head["status"], headers, bytes(content))


async def _send(sent: Sent, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer as it is to be sent; where the client hangs up, leave it."""
    if await _gone(receive, sent.wait):
        return
    headers, body = dict(sent.headers), sent.body
    if body and b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b""):
        headers |= {"content-encoding": "gzip", "vary": "Accept-Encoding"}
        body = gzip.compress(body, 1)
    if sent.end in ("whole", "length"):
        headers["content-length"] = str(len(body))
    body = body[: int(len(body) * sent.share)]
    transport: asyncio.Transport = scope[_TRANSPORT]
    if sent.end == "reset":
        linger = struct.pack("ii", 1, 0)  # closing then sends a reset
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        await _hung_up(receive)
        return
    if sent.end == "close":
        # HTTP/1.1 by uvicorn always announces an end, so this is written past it.
        lines = [f"HTTP/1.1 {sent.status} ", "connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        transport.close()
        await _hung_up(receive)
        return
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": sent.status, "headers": pairs})
    size = sent.piece or len(body) or 1
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if await _gone(receive, sent.pause):
            return
    if sent.end == "whole":
        await send({"type": "http.response.body"})
    # Otherwise uvicorn hangs up, as the answer has no end.


async def _gone(receive: Receive, seconds: float) -> bool:
    """Wait, and say whether the client hung up meanwhile."""
    if seconds <= 0:
        return False
    try:
        await asyncio.wait_for(_hung_up(receive), seconds)
    except TimeoutError:
        return False
    return True


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
