"""The rate limit, which all processes of a machine share."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from redcap_dagster.api import (
    REDCapClient,
)
from redcap_dagster.api.http.rate_limit import get_shared_limiter
from tests.fake_server import TOKEN, Reply, Server, json_reply

INFO = json_reply({"project_id": 1, "is_longitudinal": 0})
FAR = "https://redcap.example.edu/api/"


# -- rate limit -----------------------------------------------------------------------------------


def test_the_rate_limit_is_shared_by_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    waited: list[float] = []
    monkeypatch.setattr("pyrate_limiter.limiter.sleep", waited.append)
    other = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from redcap_dagster.api.http.rate_limit import get_shared_limiter\n"
        "limiter = get_shared_limiter('redcap.example.edu', 3)\n"
        "print([limiter.try_acquire('request') for _ in range(2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", other, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[True, True]\n"
    limiter = get_shared_limiter("redcap.example.edu", 3)
    elsewhere = get_shared_limiter("other.example.edu", 3)

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
        get_shared_limiter.cache_clear()
    files = list(tmp_path.rglob("*.sqlite"))
    assert len(files) == 2
    for path in files:
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    get_shared_limiter("a.example.edu", 3).close()
    get_shared_limiter.cache_clear()
    next(tmp_path.iterdir()).chmod(0o755)

    with pytest.raises(PermissionError, match="rate_limit=None"):
        get_shared_limiter("a.example.edu", 3)


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

    monkeypatch.setattr("redcap_dagster.api.http.transport.get_shared_limiter", Counter)
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
