"""Failures of network and TLS as typed errors.

The exceptions of requests hold the request with its token, so no message quotes them.
"""

from typing import Final

import requests
import urllib3

from redcap_dagster.api.errors import CertificateError, NetworkError, WrongURLError

READ_TIMED_OUT: Final = (
    "the server sent nothing within the time limit. Request less at once, or raise read_timeout"
)

TOTAL_TIMED_OUT: Final = (
    "the response was incomplete at the time limit. Request less at once, or raise total_timeout"
)


def describe_failure(error: Exception) -> str:
    """Return what failed and what to do, for the message of a `NetworkError`."""
    match error:
        case requests.exceptions.ProxyError():
            return "the proxy refused or cannot be reached. Check HTTPS_PROXY and NO_PROXY"
        case requests.ConnectTimeout():
            return "no connection within connect_timeout. Check the URL, VPN and firewall"
        case requests.Timeout():
            return READ_TIMED_OUT
        case _:
            return "no connection, or it was lost. Check the URL, VPN and firewall, or try again"


def never_connected(error: Exception) -> bool:
    """Return whether no connection was made, so that the server cannot have the request."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def tls_error(
    request: str, server: str, error: requests.exceptions.SSLError
) -> CertificateError | NetworkError | WrongURLError:
    """Return the error for a TLS connection that failed, by the words of OpenSSL."""
    words = str(error)
    if "WRONG_VERSION_NUMBER" in words:
        return WrongURLError(
            f"{request}: {server} does not speak TLS at this port, so the token was not sent. "
            "Check host and port of the URL.",
            request=request,
        )
    if "EOF" in words:
        what = "the server ended the TLS connection. Check host and port of the URL, or try again"
        return network_error(request, server, what)
    return CertificateError(
        f"{request}: the TLS certificate of {server} cannot be verified, so the token was not "
        "sent. If your institution has its own certificate authority, give the path of its PEM "
        "file as ca_bundle.",
        request=request,
    )


def network_error(request: str, server: str, what: str) -> NetworkError:
    """Return the error for a response that did not arrive, or not completely."""
    error = NetworkError(f"{request} from {server}: {what}.", request=request)
    error.overdue = what == TOTAL_TIMED_OUT
    return error
