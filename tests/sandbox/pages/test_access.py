"""Who may open the pages: with the key, from this machine, and with forms of the pages alone."""

import asyncio
import html
import logging
import re
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import Dialect
from redcap_dagster.sandbox.faults import Status
from redcap_dagster.sandbox.pages.app import create_pages
from redcap_dagster.sandbox.pages.session import Session
from redcap_dagster.sandbox.store.store import Store
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS
from tests.sandbox.pages.conftest import Visitor, error_of

ENTRY = "/redcap_v14.7.3/index.php?pid=1&page=visit&id=%26%2B%2F%20%C3%A9"


@pytest.mark.parametrize("path", ["/", "/new-project", "/redcap_v14.7.3/index.php?pid=1", ENTRY])
def test_without_the_key_no_page_is_shown(sandbox: Sandbox, path: str) -> None:
    token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
    stranger = Visitor(sandbox, with_key=False)
    for key in ("", "x", token, "%ff"):
        shown = stranger.get(path + ("&" if "?" in path else "?") + f"key={key}")
        assert shown.status_code == 403
        assert "REDCAP_URL=" in shown.text
        assert "pid=" not in shown.text


def test_the_key_opens_the_page_that_was_wanted(sandbox: Sandbox) -> None:
    visitor = Visitor(sandbox, with_key=False)
    visitor.get(ENTRY)
    entered = visitor.session.get(sandbox.pages_url, timeout=120, allow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, ENTRY)
    (value,) = visitor.session.cookies.values()  # what was wanted is forgotten
    given = entered.headers["set-cookie"].partition(value)[2].partition(",")[0]
    assert given == "; HttpOnly; Path=/; SameSite=lax"
    assert value not in sandbox.pages_url
    again = visitor.session.get(sandbox.pages_url, timeout=120, allow_redirects=False)
    assert again.headers["location"] == "/"


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "http://evil.example", "/a\r\nb"]
)
def test_the_key_leads_to_no_other_host(sandbox: Sandbox, wanted: str) -> None:
    port = urlsplit(sandbox.url).port
    cookies = {f"redcap_sandbox_{port}_wanted": quote(wanted, safe="")}
    entered = requests.get(sandbox.pages_url, cookies=cookies, timeout=120, allow_redirects=False)
    assert entered.headers["location"] == "/"


def test_a_page_opens_with_the_key_in_its_own_address(sandbox: Sandbox) -> None:
    visitor = Visitor(sandbox, with_key=False)
    key = sandbox.pages_url.partition("?")[2]
    entered = visitor.get(f"{ENTRY}&{key}", allow_redirects=False)
    assert entered.headers["location"] == ENTRY.replace("%20", "+")


def test_the_session_ends_with_the_sandbox(sandbox: Sandbox) -> None:
    visitor = Visitor(sandbox)
    cookies = dict(visitor.session.cookies)
    key = sandbox.pages_url.partition("?")[2]
    with Sandbox() as other:
        port = urlsplit(other.url).port
        moved = {f"redcap_sandbox_{port}_session": value for value in cookies.values()}
        root = other.url.removesuffix("api/")
        assert requests.get(root, cookies=moved, timeout=120).status_code == 403
        assert requests.get(f"{root}?{key}", timeout=120).status_code == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:9", 200),  # such as through a tunnel
        ("localhost:8000", 200),
        ("[::1]", 200),
        ("redcap.evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_a_page_of_another_host_cannot_pose_as_this_one(
    sandbox: Sandbox, visitor: Visitor, host: str, status: int
) -> None:
    def post(path: str, form: dict[str, str], **headers: str) -> int:
        connection = HTTPConnection(urlsplit(visitor.root).netloc, timeout=120)
        with closing(connection):
            connection.putrequest("POST" if form else "GET", path, skip_host=True)
            body = urlencode(form).encode()
            headers |= {"Host": host, "Content-Length": str(len(body))}
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            return connection.getresponse().status

    cookie = "; ".join(f"{name}={value}" for name, value in visitor.session.cookies.items())
    assert post("/", {}, Cookie=cookie) == status
    assert post("/?" + sandbox.pages_url.partition("?")[2], {}) == (303 if status == 200 else 403)
    # Whoever has a token may use any name of the server.
    token = sandbox.add_project(exports=CLASSIC)
    assert post("/api/", {"token": token, "content": "version"}) == 200


def test_a_form_of_another_page_changes_nothing(visitor: Visitor) -> None:
    form = {"project_title": "A title of its own", "purpose": "0"}
    for csrf, headers in (
        ("", {}),
        ("x", {}),
        (visitor.session.cookies.values()[0], {}),
        (visitor.csrf, {"Origin": "http://127.0.0.1:1"}),
        (visitor.csrf, {"Origin": "null"}),
    ):
        sent = visitor.post("/new-project", {**form, "csrf": csrf}, headers=headers)
        assert (sent.status_code, error_of(sent)[:22]) == (403, "This form was not sent")
    assert "A title of its own" not in visitor.get("/").text
    own = {"Origin": visitor.root}
    assert visitor.post("/new-project", form, headers=own).url.endswith("created=1")
    assert "A title of its own" in visitor.get("/").text


def test_pages_load_and_send_nothing_elsewhere(visitor: Visitor) -> None:
    for page in (visitor.get("/"), visitor.get("/nowhere"), Visitor.get(visitor, "/index.php")):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "style=" not in page.text
        assert "<script>" not in page.text
    assert visitor.get("/static/pages.css").headers["content-type"].startswith("text/css")
    # A client would resolve "../" itself.
    assert visitor.get("/static/..%2Fapp.py").status_code == 404


def test_no_page_and_no_log_has_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Sandbox() as sandbox:
        records = [{"id": "canary", "note": "x", "visit_complete": "2"}]
        token = sandbox.add_project(exports=CLASSIC, records=records)
        visitor = Visitor(sandbox)
        key = sandbox.pages_url.partition("key=")[2]
        secrets = [token, sandbox.super_token, key, *visitor.session.cookies.values()]
        seen, left = dict[str, str](), ["/"]
        while left:
            page = visitor.get(left.pop())
            seen[page.url.removeprefix(visitor.root)] = page.text
            links = re.findall('(?:href|action)="(/[^"#]*)"', page.text)
            left += {html.unescape(link) for link in links} - {*seen, *left}
        form = "/DataEntry/index.php?pid=1&page=visit&id=canary"
        assert "canary" in visitor.get(form).text
        assert visitor.get(form.replace("canary", "none")).status_code == 404
        visitor.post("/nowhere", {"token": token})
    assert len(seen) > 6
    assert [path for path, text in seen.items() for each in secrets if each in path + text] == []
    server = [line.getMessage() for line in caplog.records if not line.name.startswith("urllib3")]
    assert [line for line in server for each in (*secrets, "canary") if each in line] == []
    assert "page=DataEntry/index.php status=200" in server


def test_a_defect_is_told_without_values(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Store, "list_projects", lambda *_: ["canary"][int("canary")])
    page = visitor.get("/")
    assert page.status_code == 500
    assert "ValueError at test_access.py" in page.text
    assert "canary" not in page.text + caplog.text
    assert page.headers["content-security-policy"]


def test_faults_are_for_the_api_alone(sandbox: Sandbox, visitor: Visitor) -> None:
    sandbox.inject(Status(503))
    assert visitor.get("/").status_code == 200
    assert requests.post(sandbox.url, {"content": "version"}, timeout=120).status_code == 503


@pytest.mark.parametrize(
    ("address", "share", "status"),
    [("127.0.0.1", False, 200), ("192.0.2.1", False, 403), ("192.0.2.1", True, 200)],
)
def test_others_on_the_network_get_pages_only_if_shared(
    address: str, share: bool, status: int
) -> None:
    """One sandbox can listen on several addresses; that of the connection decides."""
    session = Session.create()
    store = Store(lambda: datetime.now(UTC), Dialect())
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [
            (b"host", b"192.0.2.1"),
            (b"cookie", f"redcap_sandbox_80_session={session.cookie}".encode()),
        ],
        "server": (address, 80),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(create_pages(store, session, share, print)(scope, receive, send))
    store.close()
    assert sent[0]["status"] == status
    assert (b"--share-pages" in sent[1]["body"]) == (status == 403)
