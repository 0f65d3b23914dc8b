"""Certificates of TLS: which are trusted."""

import ssl
from pathlib import Path

import pytest
import trustme

from redcap_dagster.api import (
    CertificateError,
    REDCapClient,
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


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_is_off_only_with_a_warning(
    tls: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = REDCapClient(tls, TOKEN, verify_tls=False)

    assert "verify_tls=False" in caplog.text
    assert client.export_project_info()["project_id"] == 1
