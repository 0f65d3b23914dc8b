"""A run that is killed at any moment leaves each table as it was or as it is to be, never half."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import dagster as dg
import pyarrow as pa
import pytest

from redcap_dagster.io_managers import TablePlace
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.execution.killable_run import io_manager, materialize

SEED = 20240131
KILLS = 12
ROWS = 300
BYTES = 10_000  # of noise in each text, so that writing takes its time
TABLES = [TablePlace(dg.AssetKey(["study", layer, form])) for layer in ("records", "clean")
          for form in ("visit", "lab")]  # fmt: skip


def column(name: str, form: str) -> dict[str, str]:
    return field(name, form, type="notes")


METADATA = [column("record_id", "visit"), column("note", "visit"), column("result", "lab")]
TEXTS = {"visit": "note", "lab": "result"}


def add_version(sandbox: Sandbox, version: int, chance: Random) -> str:
    """Add the project as it is later: every text and the number of rows tell the version."""
    rows = [
        {"record_id": str(record)}
        | {name: f"{version} {chance.randbytes(BYTES).hex()}" for name in TEXTS.values()}
        for record in range(1, ROWS + version + 1)
    ]
    exports = {"metadata": METADATA, "project": {"project_id": 1}}
    return sandbox.add_project(exports=exports, records=rows)


def version_of(table: pa.Table, form: str) -> int:
    """Make sure that a table is whole, and give its version."""
    texts = [text.split() for text in table[TEXTS[form]].to_pylist()]
    (version,) = {int(number) for number, _ in texts}
    assert {len(noise) for _, noise in texts} == {2 * BYTES}
    assert table["record_id"].to_pylist() == [str(n) for n in range(1, ROWS + version + 1)]
    return version


def wait_for_changes(folder: Path, number: int, process: BaseProcess) -> None:
    """Wait until the files of a warehouse have changed so often, or nothing changes them any more.

    Most of a run writes nothing: only who looks finds the moments in which it does.
    """
    last = files(folder)
    while number and process.is_alive():
        process.join(0.0005)
        number -= last != (last := files(folder))


def files(folder: Path) -> set[tuple[str, int, int]]:
    found = set()
    for path in folder.glob("warehouse/**/*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            found.add((str(path), status.st_size, status.st_mtime_ns))
    return found


@pytest.fixture(scope="module")
def start() -> Callable[..., BaseProcess]:
    """Start processes that have imported everything already."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.execution.killable_run"])

    def start(*arguments: object) -> BaseProcess:
        process = context.Process(target=materialize, args=arguments, daemon=True)
        process.start()
        return process

    return start


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_old_or_new(
    kind: str, start: Callable[..., BaseProcess], tmp_path: Path, redcap_dialect: str
) -> None:
    chance = Random(SEED)  # noqa: S311
    stored = io_manager(kind, tmp_path)
    killed = 0

    with Sandbox(dialect=redcap_dialect) as sandbox:

        def started(version: int) -> BaseProcess:
            token = add_version(sandbox, version, chance)
            return start(kind, tmp_path, sandbox.url, token)

        def run(version: int) -> None:
            process = started(version)
            process.join()
            assert process.exitcode == 0

        run(0)
        began = time.monotonic()
        run(1)
        whole = time.monotonic() - began
        versions = dict.fromkeys(TABLES, 1)
        for version in range(2, KILLS + 2):
            process = started(version)
            if version % 2:
                process.join(chance.uniform(0, whole))
            else:
                wait_for_changes(tmp_path, chance.randint(1, 60), process)
            process.kill()
            process.join()
            killed += process.exitcode == -signal.SIGKILL
            for place in TABLES:
                found = version_of(stored.read_table(place, None), place.table)
                assert found in (versions[place], version)
                versions[place] = found
        run(KILLS + 2)

    assert killed
    assert {version_of(stored.read_table(place, None), place.table) for place in TABLES} == {
        KILLS + 2
    }
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("warehouse/**/*")} <= {0}
