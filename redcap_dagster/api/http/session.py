"""An HTTP session without cookies and redirects, which another thread can abort."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from threading import Event, Timer, local
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_ABORT_INTERVAL = 0.2
"""Seconds between two attempts to abort a request."""

_KEEPALIVE_INTERVAL = 60
"""Seconds; the routers and firewalls that forget idle connections soonest do after some minutes."""

_KEEPALIVE = [
    (socket.IPPROTO_TCP, getattr(socket, name), _KEEPALIVE_INTERVAL)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL")  # systems differ
    if hasattr(socket, name)
]

_SOCKET_OPTIONS = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *_KEEPALIVE,
]
"""Packets without data, while REDCap works on a request and sends nothing for minutes."""


class Session(requests.Session):
    """A session that never reads a redirect; the one of requests does even if it follows none.

    Args:
        loopback: Whether the host is this machine.
    """

    def __init__(self, *, loopback: bool) -> None:
        super().__init__()
        self.headers["Accept-Encoding"] = "gzip"
        self.headers["User-Agent"] = f"redcap-dagster/{version('redcap-dagster')}"
        # A request to this machine must not use a proxy that the environment names.
        self.trust_env = not loopback
        # Without an auth of its own, requests would send a password that it finds in ~/.netrc.
        self.auth = _no_auth
        # With cookies, REDCap would take parallel requests for one browser session (a guess).
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._adapter = _Adapter()
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request. Warnings of urllib3 meanwhile are dropped, as they quote headers."""
        _THREAD.sends = True
        try:
            return super().send(request, **kwargs)
        finally:
            _THREAD.sends = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None, as redirects are not followed."""

    def stop(self) -> None:
        """Abort the requests in progress for good, also those whose connection is being opened."""
        self._adapter.stopped.set()
        self.abort()

    def abort(self) -> None:
        """Abort the requests in progress: the threads that wait for them get an error."""
        opening = [connection.sock for connection in list(self._adapter.connections)]
        for one in [*opening, *self._adapter.sockets]:
            with suppress(OSError, AttributeError):  # it may be closed, or not yet open
                one.shutdown(socket.SHUT_RDWR)


class Deadline:
    """A total time limit for one request, however often a few bytes arrive.

    A connection that is being opened cannot be aborted, so that the request is aborted again and
    again until it is done.

    Args:
        seconds: The time limit.
        abort: Is called when the limit has passed, to abort the request.

    Attributes:
        passed: Whether the limit has passed.
    """

    def __init__(self, seconds: float, abort: Callable[[], None]) -> None:
        self.passed = False
        self._abort = abort
        self._done = Event()
        self._timer = Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Stop the clock, as the request is done."""
        self._done.set()
        self._timer.cancel()

    def _pass(self) -> None:
        self.passed = True
        while not self._done.is_set():
            self._abort()
            self._done.wait(_ABORT_INTERVAL)


_THREAD = local()
"""Whether this thread is sending a request of this package."""


def _is_shown(record: logging.LogRecord) -> bool:
    return record.levelno < logging.WARNING or not getattr(_THREAD, "sends", False)


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_is_shown)


def _no_auth(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


class _Adapter(HTTPAdapter):
    """Keeps the connections in use and their sockets, so that the session can abort them.

    The sockets are kept apart: a connection that closes after a response releases its socket while
    the body is still being received.
    """

    def __init__(self) -> None:
        self.connections: WeakSet[HTTPConnection] = WeakSet()
        self.sockets: WeakSet[socket.socket] = WeakSet()
        self.stopped = Event()
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the connection pools for hosts."""
        super().init_poolmanager(*args, **kwargs, socket_options=_SOCKET_OPTIONS)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Create the connection pools for a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs, socket_options=_SOCKET_OPTIONS)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def _pools(self) -> dict[str, type[HTTPConnectionPool]]:
        # Not with the adapter: urllib3 keeps connections as long as the pool exists, and what they
        # hold must not hold the pool, or the sockets of a client that nobody uses stay open.
        connections, sockets, stopped = self.connections, self.sockets, self.stopped

        def add_open(opened: socket.socket) -> None:
            sockets.add(opened)
            if stopped.is_set():
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

        class Plain(HTTPConnection):
            def connect(self) -> None:
                connections.add(self)
                super().connect()
                add_open(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                connections.add(self)
                super().connect()
                add_open(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}
