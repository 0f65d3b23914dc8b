"""Certificates of TLS: which are trusted."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from redcap_dagster.api import (
    CertificateError,
    REDCapClient,
    TLSError,
)
from tests.fake_server import TOKEN, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(server: Server, authority: trustme.CA) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.say("project", INFO)
    return server.url.replace("http://", "https://")


@pytest.mark.parametrize("bundle", ["none", "garbage"])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls: str, server: Server, waits: list[float], bundle: str, tmp_path: Path
) -> None:
    garbage = tmp_path / "ca.pem"
    garbage.write_text("no certificate")

    client = REDCapClient(tls, TOKEN, ca_bundle=garbage if bundle == "garbage" else None)
    with pytest.raises(CertificateError, match="ca_bundle") as caught:
        client.export_project_info()

    assert caught.value.__context__ is None
    assert server.requests == []
    assert waits == []


def test_an_own_authority_is_trusted(tls: str, authority: trustme.CA, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)

    assert REDCapClient(tls, TOKEN, ca_bundle=bundle).export_project_info()["project_id"] == 1


def take_only_old_tls(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1


def take_only_other_ciphers(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("NULL-SHA256:@SECLEVEL=0")


def ask_for_a_certificate(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # refused within the handshake
    context.verify_mode = ssl.CERT_REQUIRED


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    "restrict", [take_only_old_tls, take_only_other_ciphers, ask_for_a_certificate]
)
def test_tls_that_does_not_fit_is_told_from_a_certificate(
    restrict: Callable[[ssl.SSLContext], None],
    server: Server,
    authority: trustme.CA,
    waits: list[float],
    tmp_path: Path,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    restrict(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url, bundle = server.url.replace("http:", "https:"), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)

    with pytest.raises(TLSError, match="TLS version or cipher") as caught:
        REDCapClient(url, TOKEN, ca_bundle=bundle).export_version()

    assert not isinstance(caught.value, CertificateError)
    assert caught.value.__context__ is None
    assert server.requests == []
    assert waits == []


@pytest.mark.parametrize("wrong", ["expired", "another host"])
def test_a_certificate_that_does_not_hold_is_told_as_such(
    wrong: str, server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = "127.0.0.1" if wrong == "expired" else "redcap.example.edu"
    expires = datetime(2020, 1, 1, tzinfo=UTC) if wrong == "expired" else None
    authority.issue_cert(name, not_after=expires).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url, bundle = server.url.replace("http:", "https:"), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)

    with pytest.raises(CertificateError, match="cannot be verified"):
        REDCapClient(url, TOKEN, ca_bundle=bundle).export_version()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_is_off_only_with_a_warning(
    tls: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = REDCapClient(tls, TOKEN, verify_tls=False)

    assert "verify_tls=False" in caplog.text
    assert client.export_project_info()["project_id"] == 1
