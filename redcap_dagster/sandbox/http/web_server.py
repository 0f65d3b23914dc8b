"""A web server in a thread of this process, which gives its application the open connection."""

import asyncio
import socket
import threading
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT: Final = "redcap_dagster.transport"
"""The key of a connection's transport in the scope of a request."""


class WebServer:
    """A web server that runs from its creation to `stop`.

    Args:
        app: Application that is served.
        listener: Socket that listens already, so that no request is refused once this returns.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http=_OpenProtocol,
            ws="none",
            # uvicorn's logs would hold paths and tracebacks; ours name contents and statuses.
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,  # the application has a clock of its own
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="redcap-sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and wait until the thread has ended."""
        self._server.should_exit = True
        self._thread.join()


class _OpenProtocol(H11Protocol):
    """HTTP as uvicorn implements it, with the connection in the scope of each request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app: Any = self.app

        async def app_with_transport(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, TRANSPORT: transport}, receive, send)

        self.app = app_with_transport
