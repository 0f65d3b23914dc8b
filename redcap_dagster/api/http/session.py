"""An HTTP session with a host: no cookies, no redirects, and it can be ended while it waits."""

import socket
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from threading import Timer
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Session(requests.Session):
    """A session that leaves redirects alone; another one reads them even if it follows none.

    Args:
        loopback: Whether the host is this machine.
    """

    def __init__(self, *, loopback: bool) -> None:
        super().__init__()
        self.headers["Accept-Encoding"] = "gzip"
        self.headers["User-Agent"] = f"redcap-dagster/{version('redcap-dagster')}"
        # An http:// request to this machine must not go by a proxy of the environment.
        self.trust_env = not loopback
        # Without an auth of its own, requests would send a password that it finds in ~/.netrc.
        self.auth = _no_auth
        # With cookies, REDCap would take parallel requests for one browser session (a guess).
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._adapter = _Adapter()
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Give none."""

    def cut(self) -> None:
        """End what is under way: whoever waits for an answer in another thread gets an error."""
        opening = [connection.sock for connection in list(self._adapter.connections)]
        for one in [*opening, *self._adapter.sockets]:
            with suppress(OSError, AttributeError):  # it may be closed, or not yet open
                one.shutdown(socket.SHUT_RDWR)


class Deadline:
    """Ends a request that takes too long altogether, however often a few bytes come.

    Args:
        seconds: After how many.
        end: Ends it.

    Attributes:
        passed: Whether it came to that.
    """

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self.passed = False
        self._end = end
        self._timer = Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Let the request be: it is done."""
        self._timer.cancel()

    def _pass(self) -> None:
        self.passed = True
        self._end()


def _no_auth(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


class _Adapter(HTTPAdapter):
    """Keeps track of its connections, as those that are in use are nowhere else.

    And of their sockets: a connection that closes after an answer has let go of its own while the
    answer is still on its way.
    """

    def __init__(self) -> None:
        self.connections: WeakSet[HTTPConnection] = WeakSet()
        self.sockets: WeakSet[socket.socket] = WeakSet()
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections to hosts."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make the pools of connections by a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def _pools(self) -> dict[str, type[HTTPConnectionPool]]:
        connections, sockets = self.connections, self.sockets

        class Plain(HTTPConnection):
            def connect(self) -> None:
                connections.add(self)
                super().connect()
                sockets.add(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                connections.add(self)
                super().connect()
                sockets.add(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}
