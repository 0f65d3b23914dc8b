"""The rate limit, which all processes of a machine share."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from redcap_dagster.api import NetworkError, REDCapClient
from redcap_dagster.api.http import rate_limit
from redcap_dagster.api.http.rate_limit import RateLimiter, get_rate_limiter
from tests.fake_server import TOKEN, Reply, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"
SLOW_PACE = 80.0
"""Seconds between two requests that are not counted, at three a minute."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(rate_limit, "_LOCK_TIMEOUT", 0.05)
    get_rate_limiter.cache_clear()
    return tmp_path


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "redcap" / "host.sqlite"


@pytest.fixture
def limiter(path: Path, clock: Clock) -> RateLimiter:
    return RateLimiter(path, 3, clock)


# -- counting -------------------------------------------------------------------------------------


def test_the_rate_limit_is_shared_by_processes(folder: Path) -> None:
    other = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from redcap_dagster.api.http.rate_limit import get_rate_limiter\n"
        "limiter = get_rate_limiter('redcap.example.edu', 3)\n"
        "print([limiter.take_turn() for _ in range(2)])"
    )
    command = [sys.executable, "-c", other, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[0.0, 0.0]\n"

    here = get_rate_limiter("redcap.example.edu", 3)
    elsewhere = get_rate_limiter("other.example.edu", 3)

    assert (here.take_turn(), elsewhere.take_turn()) == (0, 0)
    assert 30 < here.take_turn() < 61
    files = list(folder.rglob("*.sqlite"))
    assert len(files) == 2
    for path in files:
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_no_minute_has_more_requests(limiter: RateLimiter, clock: Clock) -> None:
    sent = []
    for _ in range(20):
        while wait := limiter.take_turn():
            clock.now += wait
        sent.append(clock.now)
        clock.now += 7

    assert all(later - earlier >= 60 for earlier, later in zip(sent, sent[3:], strict=False))
    assert sent[-1] - sent[0] < 20 * 21


def test_a_clock_that_goes_back_makes_nobody_wait(limiter: RateLimiter, clock: Clock) -> None:
    assert [limiter.take_turn() for _ in range(3)] == [0, 0, 0]
    clock.now = 5.0  # the machine was started again

    assert [limiter.take_turn() for _ in range(3)] == [0, 0, 0]
    assert limiter.take_turn() == 60


# -- what cannot be counted -----------------------------------------------------------------------


def spoil_first_page() -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE turn (at REAL NOT NULL)")
        content = bytearray(database.serialize())
    content[100:120] = b"\xff" * 20
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [b"garbage", b"\0" * 5000, b"SQLite format 3\0" + b"x" * 8000, spoil_first_page()],
    ids=["text", "zeros", "header", "page"],
)
def test_a_broken_file_is_replaced(
    content: bytes, path: Path, limiter: RateLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)

    assert [limiter.take_turn() for _ in range(3)] == [0, 0, 0]

    assert limiter.take_turn() > 0
    assert caplog.messages == []


def replace_by_a_folder(path: Path) -> None:
    (path / "of the user").mkdir(parents=True)


def replace_by_a_pipe(path: Path) -> None:
    os.mkfifo(path)


def replace_by_a_link(path: Path) -> None:
    path.with_name("of the user").write_bytes(b"text")
    path.symlink_to(path.with_name("of the user"))


def replace_by_tables(*statements: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(";".join(statements))

    return spoil


def put_a_pipe_beside(end: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        os.mkfifo(path.with_name(f"{path.name}{end}"))
        with closing(sqlite3.connect(":memory:")) as other:
            other.execute("CREATE TABLE turn (at REAL NOT NULL)")
            content = bytearray(other.serialize())
        content[18:20] = bytes([2, 2]) if end != "-journal" else bytes([1, 1])  # whether by WAL
        path.write_bytes(content)

    return spoil


def open_the_folder(path: Path) -> None:
    path.parent.chmod(0o755)


@pytest.mark.parametrize(
    "spoil",
    [
        replace_by_a_folder,
        replace_by_a_pipe,
        replace_by_a_link,
        replace_by_tables("CREATE TABLE turn (other)"),
        replace_by_tables("CREATE TABLE turn (at)", "INSERT INTO turn VALUES (1), (NULL), (NULL)"),
        replace_by_tables("CREATE TABLE turn (at)", "INSERT INTO turn VALUES ('x'), ('y'), ('z')"),
        replace_by_tables("CREATE VIEW turn AS SELECT 1 AS at"),
        replace_by_tables(
            "CREATE TABLE turn (at REAL NOT NULL)",
            "CREATE TRIGGER t AFTER DELETE ON turn BEGIN SELECT RAISE(ABORT, 'x'); END",
        ),
        put_a_pipe_beside("-journal"),
        put_a_pipe_beside("-wal"),
        put_a_pipe_beside("-shm"),
        open_the_folder,
    ],
)
def test_what_cannot_be_counted_is_sent_slowly_with_one_warning(
    spoil: Callable[[Path], None],
    path: Path,
    limiter: RateLimiter,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path.parent.mkdir(mode=0o700)
    spoil(path)

    assert limiter.take_turn() == 0
    assert limiter.take_turn() == SLOW_PACE
    clock.now += SLOW_PACE
    assert limiter.take_turn() == 0

    [message] = caplog.messages
    assert "cannot be counted" in message
    assert "0.75 a minute" in message
    for kept in path.parent.glob("of the user"):
        assert kept.read_bytes() == b"text"


def test_requests_are_sent_slowly_without_a_temporary_folder(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    monkeypatch.setattr(Path, "mkdir", fail)
    limiter = get_rate_limiter("redcap.example.edu", 3)
    monkeypatch.setattr(limiter, "_clock", clock)

    assert [limiter.take_turn() for _ in range(2)] == [0, SLOW_PACE]
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY])
def test_a_disk_that_takes_nothing_is_told_once(
    code: int,
    limiter: RateLimiter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(sqlite3, "connect", fail)

    assert [limiter.take_turn() for _ in range(3)] == [0, SLOW_PACE, SLOW_PACE]
    assert len(caplog.messages) == 1


def test_a_process_that_was_stopped_while_it_counts_stops_no_other(
    path: Path, limiter: RateLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    limiter.take_turn()
    other = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", other, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        process.send_signal(signal.SIGSTOP)
        try:
            assert [limiter.take_turn() for _ in range(2)] == [0, SLOW_PACE]
        finally:
            process.send_signal(signal.SIGCONT)
            process.communicate()

    assert len(caplog.messages) == 1
    assert [limiter.take_turn() for _ in range(2)] == [0, 0]  # it is counted again


# -- in a client ----------------------------------------------------------------------------------


def far_client(server: Server, **settings: float) -> REDCapClient:
    """Return a client of another machine, which in truth is this one."""
    client = REDCapClient(FAR, TOKEN, **settings)
    client._transport.url = server.url
    return client


def test_each_request_to_another_machine_is_counted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    class Counter:
        def __init__(self, host: str, rate: int) -> None:
            self.key = (host, rate)

        def take_turn(self) -> float:
            asked.append(self.key)
            return 0.0

    monkeypatch.setattr("redcap_dagster.api.http.transport.get_rate_limiter", Counter)
    server.say("project", Reply(status=503), INFO)
    near = REDCapClient(server.url, TOKEN)
    far = far_client(server, rate_limit=7)
    monkeypatch.setattr("redcap_dagster.api.http.retries.sleep", lambda *_: None)

    near.export_project_info()
    assert asked == []

    server.say("project", Reply(status=503), INFO)
    far.export_project_info()
    assert asked == [("redcap.example.edu", 7)] * 2


def test_no_request_waits_longer_than_it_may_take(server: Server) -> None:
    server.say("project", INFO)
    client = far_client(server, rate_limit=1, total_timeout=30)
    client.export_project_info()

    with pytest.raises(NetworkError, match="raise rate_limit or total_timeout") as caught:
        client.export_project_info()

    assert caught.value.overdue
    assert not caught.value.sent
    assert len(server.requests) == 1


def test_a_client_that_was_stopped_does_not_wait(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    client = far_client(server, rate_limit=1)
    client.stop()

    with pytest.raises(NetworkError, match="was stopped"):
        client.export_project_info()

    assert server.requests == []
