"""Failures of network and TLS as typed errors.

The exceptions of requests hold the request with its token, so no message quotes them.
"""

import ssl
from typing import Final

import requests
import urllib3

from redcap_dagster.api.errors import CertificateError, NetworkError, TLSError, WrongURLError

READ_TIMED_OUT: Final = (
    "the server sent nothing within the time limit. Request less at once, or raise read_timeout"
)

TOTAL_TIMED_OUT: Final = (
    "the response was incomplete at the time limit. Request less at once, or raise total_timeout"
)

RATE_LIMITED: Final = (
    "the rate limit, which all processes of this machine share, did not allow the request within "
    "total_timeout, so it was not sent. Run fewer exports at once, or raise rate_limit or "
    "total_timeout"
)

_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
"""OpenSSL's codes for a response that is not TLS."""

_ENDED: Final = "UNEXPECTED_EOF_WHILE_READING"

_CERTIFICATE: Final = (
    "CERTIFICATE_VERIFY_FAILED",
    "CA_KEY_TOO_SMALL",
    "CA_MD_TOO_WEAK",
    "EE_KEY_TOO_SMALL",
)
"""OpenSSL's codes for a certificate that this machine does not accept."""


def describe_failure(error: Exception) -> str:
    """Return what failed and what to do, for the message of a `NetworkError`."""
    match error:
        case requests.exceptions.ProxyError():
            return "the proxy refused or cannot be reached. Check HTTPS_PROXY and NO_PROXY"
        case requests.ConnectTimeout():
            return "no connection within connect_timeout. Check the URL, VPN and firewall"
        case requests.Timeout():
            return READ_TIMED_OUT
        case _ if isinstance(_find_reason(error), urllib3.exceptions.NameResolutionError):
            return (
                "the name of the server was not found. Check the URL for a typing error, and "
                "whether network and VPN are connected"
            )
        case _:
            return "no connection, or it was lost. Check the URL, VPN and firewall, or try again"


def never_connected(error: Exception) -> bool:
    """Return whether no connection was made, so that the server cannot have the request."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    return isinstance(_find_reason(error), urllib3.exceptions.NewConnectionError)


def _find_reason(error: Exception) -> object:
    """Return why urllib3 stopped, of an error of requests."""
    return getattr(error.args[0], "reason", None) if error.args else None


def tls_error(
    request: str, server: str, error: requests.exceptions.SSLError
) -> NetworkError | TLSError | WrongURLError:
    """Return the error for a TLS connection that failed, by OpenSSL's code for the reason."""
    cause = _find_cause(error)
    code, library = getattr(cause, "reason", None), getattr(cause, "library", None)
    if code in _NOT_TLS:
        return WrongURLError(
            f"{request}: {server} does not speak TLS at this port, so the token was not sent. "
            "Check host and port of the URL.",
            request=request,
        )
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) or code == _ENDED:
        what = "the server ended the TLS connection. Check host and port of the URL, or try again"
        return network_error(request, server, what)
    # OpenSSL's other libraries read the certificates of this machine.
    if code is None or code in _CERTIFICATE or library != "SSL":
        return CertificateError(
            f"{request}: the TLS certificate of {server} cannot be verified, so the token was not "
            "sent. If your institution has its own certificate authority, give the path of its PEM "
            "file as ca_bundle.",
            request=request,
        )
    return TLSError(
        f"{request}: {server} and this machine have no TLS version or cipher in common, or the "
        f"server asks for a client certificate (OpenSSL: {code}). REDCap did not receive the "
        "request. Ask the server's administrator which versions and ciphers it takes, and compare "
        "them with those that OpenSSL allows on this machine.",
        request=request,
    )


def _find_cause(error: BaseException) -> BaseException:
    """Return the error of Python's ``ssl`` that others wrap, or the innermost one."""
    inner = getattr(error, "reason", None) or next(iter(error.args), None)
    return _find_cause(inner) if isinstance(inner, BaseException) else error


def network_error(request: str, server: str, what: str) -> NetworkError:
    """Return the error for a response that did not arrive, or not completely."""
    error = NetworkError(f"{request} from {server}: {what}.", request=request)
    error.overdue = what in (TOTAL_TIMED_OUT, RATE_LIMITED)
    return error
