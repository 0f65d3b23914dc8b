"""Fault injection: an application that passes requests through faults to the web application."""

import asyncio
import gzip
import logging
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redcap_dagster.sandbox.http.app import HandledRequest
from redcap_dagster.sandbox.http.fault import Fault, InterceptedRequest, OutgoingResponse, REDCap
from redcap_dagster.sandbox.http.form import MAX_BODY, read_form
from redcap_dagster.sandbox.http.web_server import TRANSPORT
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError

logger = logging.getLogger("redcap_dagster.sandbox")


@dataclass(slots=True)
class _Injection:
    fault: Fault
    content: str | None
    after: int
    times: int | None
    intercepted: list[float] = field(default_factory=list)

    def intercepts(self, parameters: Parameters) -> bool:
        """Count a request, and return whether the fault intercepts it."""
        if self.content not in (None, parameters.get_text("content")):
            return False
        self.intercepted.append(time.monotonic())
        number = len(self.intercepted) - self.after
        return number > 0 and (self.times is None or number <= self.times)


class FaultInjector:
    """An ASGI application that passes requests through faults to another one.

    Args:
        app: Application that faults pass requests on to.
        on_handled: Called with each request that a fault kept from the application.
    """

    def __init__(self, app: ASGIApp, on_handled: Callable[[HandledRequest], None]) -> None:
        self._app = app
        self._on_handled = on_handled
        # Replaced and never changed, because the server reads it in another thread.
        self._injections: tuple[_Injection, ...] = ()

    def inject(self, fault: Fault, content: str | None, after: int, times: int | None) -> None:
        """Add a fault, which intercepts requests before all earlier faults."""
        self._injections = (*self._injections, _Injection(fault, content, after, times))

    def clear(self) -> None:
        """Remove all faults."""
        self._injections = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        injections = self._injections
        if not injections or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        parameters = await _read_parameters(scope, body)
        reached = False

        async def redcap() -> OutgoingResponse:
            nonlocal reached
            reached = True
            return await _call_app(self._app, scope, body)

        respond: REDCap = redcap
        for injection in injections:
            if injection.intercepts(parameters):
                request = InterceptedRequest(parameters, tuple(injection.intercepted))
                respond = partial(injection.fault.respond, request, respond)
        try:
            response = await respond()
        except Exception as error:
            # The text may hold a value. The client receives a bare 500.
            logger.error("a fault failed: %s", type(error).__name__)
            raise
        if not reached:
            handled = HandledRequest.from_parameters(parameters, response.status)
            self._on_handled(handled)
            logger.info("content=%s status=%d by a fault", handled.content, handled.status)
        await _send_response(response, scope, receive, send)


# -- the request ----------------------------------------------------------------------------------


async def _read_body(receive: Receive) -> bytes:
    """Return the body, or as much of it as shows that it is too large."""
    body = bytearray()
    while len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _replay(body: bytes) -> Receive:
    """Return an ASGI ``receive`` that gives a body that was read already."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _read_parameters(scope: Scope, body: bytes) -> Parameters:
    try:
        parameters, _ = await read_form(Request(scope, _replay(body)))
    except RequestError:
        return Parameters.from_pairs([])
    return parameters


# -- the response ---------------------------------------------------------------------------------


async def _call_app(app: ASGIApp, scope: Scope, body: bytes) -> OutgoingResponse:
    """Return the application's response, without compression."""
    uncompressed = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
    head: Message = {}
    content = bytearray()

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            content.extend(message.get("body", b""))

    await app({**scope, "headers": uncompressed}, _replay(body), take)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head["headers"]}
    headers.pop("content-length", None)
    return OutgoingResponse(head["status"], headers, bytes(content))


async def _send_response(
    response: OutgoingResponse, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send a response at its speed and with its end; stop if the client disconnects."""
    if await _wait_or_disconnect(receive, response.wait):
        return
    headers, body = dict(response.headers), response.body
    if body and b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b""):
        headers |= {"content-encoding": "gzip", "vary": "Accept-Encoding"}
        body = gzip.compress(body, 1)
    if response.end in ("whole", "length"):
        headers["content-length"] = str(len(body))
    body = body[: int(len(body) * response.share)]
    transport: asyncio.Transport = scope[TRANSPORT]
    if response.end == "reset":
        linger = struct.pack("ii", 1, 0)  # with it, closing the socket sends a reset
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        await _wait_for_disconnect(receive)
        return
    if response.end == "close":
        # uvicorn announces the end of every HTTP/1.1 body, so this is written without uvicorn.
        lines = [f"HTTP/1.1 {response.status} ", "connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        transport.close()
        await _wait_for_disconnect(receive)
        return
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    size = response.piece or len(body) or 1
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if await _wait_or_disconnect(receive, response.pause):
            return
    if response.end == "whole":
        await send({"type": "http.response.body"})
    # Otherwise uvicorn closes the connection, because the body was not completed.


async def _wait_or_disconnect(receive: Receive, seconds: float) -> bool:
    """Wait, and return whether the client disconnected meanwhile."""
    if seconds <= 0:
        return False
    try:
        await asyncio.wait_for(_wait_for_disconnect(receive), seconds)
    except TimeoutError:
        return False
    return True


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
