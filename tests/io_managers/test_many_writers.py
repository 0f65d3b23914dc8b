"""Writers that go from partitions to none and back, beside readers: old or new, never neither."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from redcap_dagster.io_managers import ParquetTableIOManager, atomic_files, partition_folder
from redcap_dagster.io_managers.atomic_files import lock_folder
from tests.io_managers.conftest import VISIT

ROWS = 12


def write(base: Path, version: int) -> None:
    """Write all rows of a version: as one table, or as partitions of one of two numbers."""
    tables = ParquetTableIOManager(base_path=str(base))
    table = pa.table({"version": pa.repeat(version, ROWS), "row": range(ROWS)})
    count = (1, 2, 3)[version % 3]
    if count == 1:
        tables.write_table(VISIT, table)
        return
    rows = ROWS // count
    parts = {f"{n + 1}-of-{count}": table.slice(rows * n, rows) for n in range(count)}
    tables.write_partitions(VISIT, parts)


@pytest.mark.slow
def test_each_read_is_of_one_version(tmp_path: Path) -> None:
    write(tmp_path, 0)
    stopped = threading.Event()

    def write_many(writer: int) -> None:
        for version in range(writer, 30 + writer):
            write(tmp_path, version)

    def read_on() -> int:
        tables, reads = ParquetTableIOManager(base_path=str(tmp_path)), 0
        while not stopped.is_set():
            found = tables.read_table(VISIT, None)
            assert len(set(found["version"].to_pylist())) == 1
            assert found["row"].to_pylist() == [*range(ROWS)]
            reads += 1
        return reads

    with ThreadPoolExecutor(5) as pool:
        readers = [pool.submit(read_on) for _ in range(2)]
        writers: list[Future[None]] = [pool.submit(write_many, writer) for writer in range(3)]
        try:
            for each in writers:
                each.result()
        finally:
            stopped.set()
        assert all(reader.result() > 0 for reader in readers)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_that_another_writer_just_began_is_no_folder_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_ours, looks = partition_folder.is_partition_folder, []

    def look(folder: UPath) -> bool:
        looks.append(is_ours(folder))
        if len(looks) == 1:  # the other writer begins after this look
            (folder / partition_folder.MARKER).write_text(VISIT.owner)
        return looks[-1]

    ParquetTableIOManager(base_path=str(tmp_path))._folder(VISIT).mkdir(parents=True)
    monkeypatch.setattr(partition_folder, "is_partition_folder", look)
    write(tmp_path, 1)
    assert looks[:2] == [False, True]


def test_a_writer_that_does_not_end_is_told_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1)
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    monkeypatch.setattr(atomic_files, "LOCK_TIMEOUT", 0.01)
    with lock_folder(tables._folder(VISIT)), ThreadPoolExecutor(1) as pool:
        for use in (lambda: tables.read_table(VISIT, None), lambda: write(tmp_path, 1)):
            with pytest.raises(TimeoutError, match="in use for"):
                pool.submit(use).result()
