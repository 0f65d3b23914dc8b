"""What failed on the way to REDCap -> a typed error.

The exceptions of requests hold the request with its token, so nothing of them goes into a text.
"""

from typing import Final

import requests
import urllib3

from redcap_dagster.api.errors import CertificateError, NetworkError, WrongURLError

TOO_SLOW: Final = "no answer within the time limit. Ask for less at once, or raise read_timeout"

TOO_LONG: Final = (
    "no whole answer within the time limit. Ask for less at once, or raise total_timeout"
)


def describe_failure(error: Exception) -> str:
    """Say what failed and what to do."""
    match error:
        case requests.exceptions.ProxyError():
            return "the proxy cannot be reached or refused. Check HTTPS_PROXY and NO_PROXY"
        case requests.ConnectTimeout():
            return "no connection within the time limit. Check the URL, VPN and firewall"
        case requests.Timeout():
            return TOO_SLOW
        case _:
            return "no connection, or it was lost. Check the URL, VPN and firewall, or try again"


def never_connected(error: Exception) -> bool:
    """Say whether the server cannot have seen the request."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def tls_error(
    request: str, server: str, error: requests.exceptions.SSLError
) -> CertificateError | NetworkError | WrongURLError:
    """Make the error for a TLS connection that failed, by the words of OpenSSL."""
    words = str(error)
    if "WRONG_VERSION_NUMBER" in words:
        return WrongURLError(
            f"{request}: {server} speaks no TLS at this port, so the token was not sent. Check "
            "host and port of the URL.",
            request=request,
        )
    if "EOF" in words:
        what = "the server hung up on TLS. Check host and port of the URL, or try again"
        return network_error(request, server, what)
    return CertificateError(
        f"{request}: the TLS certificate of {server} cannot be verified, so the token was not "
        "sent. If your institution has its own certificate authority, give the path of its PEM "
        "file as ca_bundle.",
        request=request,
    )


def network_error(request: str, server: str, what: str) -> NetworkError:
    """Make the error for an answer that did not come, or not whole."""
    error = NetworkError(f"{request} from {server}: {what}.", request=request)
    error.overdue = what == TOO_LONG
    return error
