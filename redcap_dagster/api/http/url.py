"""Addresses to which a token may be sent."""

import ipaddress
from urllib.parse import urlsplit


def normalize_url(url: str) -> str:
    """Check the address of an API, and let it end in a slash, without which REDCap redirects.

    Raises:
        ValueError: It is none to which a token may be sent.

    Example:
        >>> normalize_url(" https://redcap.example.edu/api")
        'https://redcap.example.edu/api/'
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")  # no label is blank or too long
    except ValueError:
        host = None
    if not host:
        raise ValueError("url: not an address; give one like https://redcap.example.edu/api/.")
    if "@" in parts.netloc:
        raise ValueError("url: leave out user name and password; REDCap takes a token only.")
    if parts.query or parts.fragment:
        raise ValueError("url: leave out everything from the ? or # on.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(
            "url: must begin with https://, so that nobody reads the token on its way; http:// is "
            "for this machine only."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or number alone.

    Example:
        >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("10.0.0.1")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
