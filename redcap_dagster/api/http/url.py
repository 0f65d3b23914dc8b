"""The URL of an API: checked, as the token is sent to it."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"[\w.:-]+")


def normalize_url(url: str) -> str:
    """Return the URL of an API with a slash at its end, without which REDCap redirects.

    Raises:
        ValueError: It is not a URL, or the token must not be sent to it.

    Example:
        >>> normalize_url(" https://redcap.example.edu/api")
        'https://redcap.example.edu/api/'
    """
    if not url:  # as os.environ.get returns None
        raise ValueError(
            "url: is missing. If it is read from an environment variable, set this variable."
        )
    url = url.strip(" ")
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ValueError(
            "url: has a newline, a blank or another character that is not printed. Copy it again, "
            "and if it is read from a file or a variable, without what surrounds it."
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")  # no label is blank or too long
    except ValueError:
        host = None
    if not host or not _HOST.fullmatch(host):
        raise ValueError("url: not a URL. Give one like https://redcap.example.edu/api/.")
    if "@" in parts.netloc:
        raise ValueError(
            "url: has a user name or password, which REDCap's API does not take. Leave them out."
        )
    if parts.query or parts.fragment:
        raise ValueError("url: has a query or a fragment. Leave out everything from the ? or # on.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(
            "url: does not begin with https://, so that others could read the token on the "
            "network. Give an https:// URL; http:// is for this machine only."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or IP address alone.

    Example:
        >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("10.0.0.1")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
