"""Redis and PostgreSQL on loopback, each with a port, a folder and a password of its own."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.programs import running

LOOPBACK = "127.0.0.1"
READY = "eady to accept connections"


@contextmanager
def redis() -> Iterator[str]:
    """Run Redis, and give its URL."""
    port, password = _free_port(), secrets.token_hex()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = f"bind {LOOPBACK}\nport {port}\nrequirepass {password}\nsave ''\n"
        (folder / "redis.conf").write_text(settings)
        with running(_program("redis-server"), "redis.conf", folder=folder) as server:
            server.wait_until(lambda line: READY in line)
            yield f"redis://:{password}@{LOOPBACK}:{port}/0"


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL, and give the URL of a database."""
    port, password = _free_port(), secrets.token_hex()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text(password)
        user: dict[str, Any] = {}
        if os.getuid() == 0:  # It refuses to be run by root.
            user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        subprocess.run(
            [_program("initdb"), "-D", "data", "-U", "dagster", "--pwfile", "password",
             "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"],
            cwd=folder, check=True, capture_output=True, **user,
        )  # fmt: skip
        options = ("-D", "data", "-h", LOOPBACK, "-p", str(port), "-k", "", "-F")
        with running(_program("postgres"), *options, folder=folder, **user) as server:
            server.wait_until(lambda line: READY in line)
            # Without the driver's name, SQLAlchemy takes another one than dagster-postgres brings.
            yield f"postgresql+psycopg2://dagster:{password}@{LOOPBACK}:{port}/postgres"


def _program(name: str) -> str:
    """Find a program, those of PostgreSQL where Debian keeps them, or skip the test."""
    kept = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *kept]))
    if found is None:
        pytest.skip(f"needs {name}, which is not here")
    return found


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        port: int = found.getsockname()[1]
    return port
