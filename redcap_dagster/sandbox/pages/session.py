"""The session of the person at the pages: the key that opens it, its cookie, who may connect."""

import re
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

_LOCAL_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x7e]{0,2000}")


@dataclass(frozen=True, slots=True)
class Session:
    """The secrets of the one session that a sandbox has, new on each start.

    Attributes:
        key: Key in the address that opens the pages.
        cookie: Value of the cookie that a browser gets for the key.
        csrf: Token that each form of the pages sends, which other pages cannot know.
    """

    key: str = field(repr=False)
    cookie: str = field(repr=False)
    csrf: str = field(repr=False)

    @classmethod
    def create(cls) -> Self:
        """Return a session with random secrets."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    def has_cookie(self, request: Request) -> bool:
        """Return whether a request comes from a browser that was given the key."""
        return _is_same(request.cookies.get(_name_cookie(request), ""), self.cookie)

    def is_key(self, key: str) -> bool:
        """Return whether this is the key."""
        return _is_same(key, self.key)

    def is_own_form(self, request: Request, csrf: str) -> bool:
        """Return whether a form was sent by a page of this sandbox."""
        origin = request.headers.get("origin")
        own = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return origin in (None, own) and _is_same(csrf, self.csrf)


def is_local_connection(request: Request) -> bool:
    """Return whether a request came to a loopback address of this machine."""
    address, _ = request.scope["server"]
    return ip_address(address).is_loopback


def has_own_host(request: Request, url: str) -> bool:
    """Return whether the Host header is the sandbox's, which no page of another host can send.

    A host name that others control can lead to this machine; an IP address cannot.

    Args:
        request: Request.
        url: URL of the sandbox.
    """
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if host in ("localhost", urlsplit(url).hostname):
            return True
        ip_address(host)
    except ValueError:
        return False
    return True


# -- entering -------------------------------------------------------------------------------------


def enter(session: Session, request: Request) -> Response:
    """Return the response to a request with the key: the cookie, and a way to the wanted page."""
    rest = [pair for pair in parse_qsl(request.url.query) if pair[0] != "key"]
    path = request.url.path + (f"?{urlencode(rest)}" if rest else "")
    wanted = unquote(request.cookies.get(_name_cookie(request, "wanted"), ""))
    if path == "/" and _LOCAL_PATH.fullmatch(wanted):
        path = wanted
    response = RedirectResponse(path, 303)
    # Not strict: links to the pages, as Dagster shows them, come from other hosts. They change
    # nothing, as each form has a token of its own.
    response.set_cookie(_name_cookie(request), session.cookie, httponly=True, samesite="lax")
    response.delete_cookie(_name_cookie(request, "wanted"))
    return response


def remember_wanted(request: Request, response: Response) -> None:
    """Have the browser keep the address of a page that it may not open yet."""
    wanted = _read_wanted(request)
    if wanted != "/":
        name = _name_cookie(request, "wanted")
        response.set_cookie(name, quote(wanted, safe=""), httponly=True, samesite="lax")


def _read_wanted(request: Request) -> str:
    """Return the path and the query of a request, without a key; ``/`` if they are odd."""
    path = request.scope["raw_path"].decode("ascii", "replace")
    query = request.scope["query_string"].decode("ascii", "replace")
    wanted = f"{path}?{query}" if query else path
    keyed = any(name == "key" for name, _ in parse_qsl(query))
    return wanted if _LOCAL_PATH.fullmatch(wanted) and not keyed else "/"


def _name_cookie(request: Request, use: str = "session") -> str:
    """Return the name of a cookie; browsers give cookies to all ports of a host."""
    _, port = request.scope["server"]
    return f"redcap_sandbox_{port}_{use}"


def _is_same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode(), secret.encode())
