"""Where a token may go, how often it is sent, and where it is never seen."""

import copy
import ssl
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from pickle import dumps

import pytest
import requests
import trustme
from filelock import FileLock

from redcap_dagster.api import (
    CertificateError,
    NetworkError,
    REDCapClient,
    ServerError,
    TokenError,
)
from redcap_dagster.api.http.rate_limit import shared_limiter
from tests.fake_server import CANARY, RECORDS, TOKEN, Reply, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"


# -- addresses and tokens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        (" https://redcap.example.edu/api", FAR),
        ("https://redcap.example.edu/api//", FAR),
        ("https://redcap.example.edu:8443/r/api/", "https://redcap.example.edu:8443/r/api/"),
        ("http://localhost:80/api/", "http://localhost:80/api/"),
        ("http://127.8.9.1/api", "http://127.8.9.1/api/"),
        ("http://[::1]:1/api", "http://[::1]:1/api/"),
    ],
)
def test_addresses_are_normalized(url: str, normal: str) -> None:
    assert REDCapClient(url, TOKEN).url == normal


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://redcap.example.edu/api/", "https://"),
        ("http://127.0.0.1.example.edu/api/", "https://"),
        ("http://localhost@example.edu/api/", "user name"),
        ("https://me:CANARY@redcap.example.edu/api/", "user name"),
        ("https://redcap.example.edu/api/?token=CANARY", "from the"),
        ("https://redcap.example.edu/api/#CANARY", "from the"),
        ("ftp://redcap.example.edu/api/", "https://"),
        ("redcap.example.edu/api/", "not an address"),
        ("https://[CANARY/api/", "not an address"),
        ("https://redcap.example.edu:CANARY/api/", "not an address"),
        ("", "not an address"),
    ],
)
def test_an_address_that_a_token_must_not_go_to_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        REDCapClient(url, TOKEN)

    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "0", TOKEN[:-1] + "-", TOKEN * 3])
def test_what_is_no_token_is_refused_unseen(token: str) -> None:
    with pytest.raises(ValueError, match="Copy it anew") as caught:
        REDCapClient(FAR, token)

    assert TOKEN[:8] not in str(caught.value)


def test_what_surrounds_a_token_is_stripped(server: Server) -> None:
    server.say("project", INFO)

    REDCapClient(server.url, f" {TOKEN}\n").export_project_info()

    assert server.requests[0]["token"] == TOKEN


def test_a_client_shows_no_token_and_is_not_pickled() -> None:
    client = REDCapClient(FAR, TOKEN)

    for shown in (repr(client), str(vars(client)), str(client), f"{client}"):
        assert TOKEN not in shown
    for attempt in (dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            attempt(client)
        with pytest.raises(TypeError, match="cannot be pickled"):
            attempt(client._transport)


@pytest.mark.parametrize(
    "limits",
    [{"retries": -1}, {"backoff": -1}, {"rate_limit": 0}, {"ca_bundle": "/nowhere/ca.pem"}],
)
def test_senseless_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        REDCapClient(FAR, TOKEN, **limits)


# -- the request ----------------------------------------------------------------------------------


def test_the_request_carries_what_it_needs_and_no_more(
    server: Server, client: REDCapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say("project", replace(INFO, headers={"Set-Cookie": "session=1"}))
    # A proxy that does not exist: what is for this machine must not go by it.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    client.export_project_info()
    client.export_project_info()

    assert server.requests[1] == {
        "token": TOKEN,
        "content": "project",
        "format": "json",
        "returnFormat": "json",
    }
    headers = server.headers[1]
    assert headers["User-Agent"].startswith("redcap-dagster/")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Cookie" not in headers


def test_no_password_of_netrc_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine redcap.example.edu login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert (
        requests.Session()
        .prepare_request(requests.Request("POST", FAR))
        .headers.get("Authorization")
    )

    session = REDCapClient(FAR, TOKEN)._transport._session

    prepared = session.prepare_request(requests.Request("POST", FAR))
    assert "Authorization" not in prepared.headers


# -- retries --------------------------------------------------------------------------------------


def test_failures_that_pass_are_tried_again(
    server: Server, client: REDCapClient, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    broken = Reply(f"<p>{CANARY}</p>".encode(), 503)
    server.say("record", broken, Reply(RECORDS, end="short"), Reply(RECORDS))

    assert client.export_records().shape == (2, 2)

    assert len(server.asked("record")) == 3
    assert len(waits) == 2
    texts = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert texts[0].startswith("record export: ServerError, status 503; retry 1 of 2 in ")
    assert texts[1].startswith("record export: NetworkError; retry 2 of 2 in ")
    assert CANARY not in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_retries_are_counted(server: Server, waits: list[float], retries: int) -> None:
    server.say("project", Reply(status=502))

    with pytest.raises(ServerError):
        REDCapClient(server.url, TOKEN, retries=retries).export_project_info()

    assert len(server.requests) == retries + 1
    assert len(waits) == retries
    assert all(0 <= wait <= 60 for wait in waits)


def test_the_first_wait_is_as_short_as_it_is_told_to_be(server: Server, waits: list[float]) -> None:
    server.say("project", Reply(status=502))

    with pytest.raises(ServerError):
        REDCapClient(server.url, TOKEN, retries=3, backoff=0.001).export_project_info()

    assert all(wait <= most for wait, most in zip(waits, (0.001, 0.002, 0.004), strict=True))


def test_what_will_not_pass_is_not_tried_again(
    server: Server, client: REDCapClient, waits: list[float]
) -> None:
    server.say("project", json_reply({"error": "You do not have permissions to use the API"}, 403))

    with pytest.raises(TokenError):
        client.export_project_info()

    assert len(server.requests) == 1
    assert waits == []


def test_a_server_is_left_alone_as_long_as_it_wants(
    server: Server, client: REDCapClient, waits: list[float]
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    server.say(
        "project",
        Reply(status=429, headers={"Retry-After": "70"}),
        Reply(status=503, headers={"Retry-After": date}),
        INFO,
    )

    client.export_project_info()

    assert waits[0] == 70
    assert 80 < waits[1] <= 90


def test_a_server_that_wants_to_be_left_alone_for_long_is_not_asked_again(
    server: Server, client: REDCapClient, waits: list[float]
) -> None:
    server.say("project", Reply(status=429, headers={"Retry-After": "3600"}))

    with pytest.raises(ServerError) as caught:
        client.export_project_info()

    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1
    assert waits == []


def test_a_stream_that_breaks_off_is_not_begun_again(server: Server, client: REDCapClient) -> None:
    server.say("record", Reply(status=503), Reply(RECORDS, end="short"))

    with pytest.raises(NetworkError):
        list(client.stream_records())

    assert len(server.asked("record")) == 2


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


# -- rate limit -----------------------------------------------------------------------------------


def test_the_rate_limit_is_shared_by_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    waited: list[float] = []
    monkeypatch.setattr("pyrate_limiter.limiter.sleep", waited.append)
    other = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from redcap_dagster.api.http.rate_limit import shared_limiter\n"
        "limiter = shared_limiter('redcap.example.edu', 3)\n"
        "print([limiter.try_acquire('request') for _ in range(2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", other, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[True, True]\n"
    limiter = shared_limiter("redcap.example.edu", 3)
    elsewhere = shared_limiter("other.example.edu", 3)

    try:
        limiter.try_acquire("request")
        elsewhere.try_acquire("request")
        assert waited == []
        limiter.try_acquire("request")
        assert len(waited) == 1
        assert 30 < waited[0] < 61
        lock = next(tmp_path.rglob("redcap.example.edu*.lock"))
        with FileLock(lock):  # as another process holds it while it counts
            assert not limiter.try_acquire("request", timeout=0.01)
    finally:
        limiter.close()
        elsewhere.close()
        shared_limiter.cache_clear()
    files = list(tmp_path.rglob("*.sqlite"))
    assert len(files) == 2
    for path in files:
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared_limiter("a.example.edu", 3).close()
    shared_limiter.cache_clear()
    next(tmp_path.iterdir()).chmod(0o755)

    with pytest.raises(PermissionError, match="rate_limit=None"):
        shared_limiter("a.example.edu", 3)


def test_each_request_to_another_machine_is_counted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    class Counter:
        def __init__(self, host: str, rate: int) -> None:
            self.key = (host, rate)

        def try_acquire(self, _: str, timeout: float) -> bool:  # noqa: ARG002
            asked.append(self.key)
            return True

    monkeypatch.setattr("redcap_dagster.api.http.transport.shared_limiter", Counter)
    server.say("project", Reply(status=503), INFO)
    near = REDCapClient(server.url, TOKEN)
    far = REDCapClient(FAR, TOKEN, rate_limit=7)
    monkeypatch.setattr("redcap_dagster.api.http.retries.sleep", lambda *_: None)
    far._transport.url = server.url

    near.export_project_info()
    assert asked == []

    server.say("project", Reply(status=503), INFO)
    far.export_project_info()
    assert asked == [("redcap.example.edu", 7)] * 2
