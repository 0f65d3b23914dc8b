"""Parquet files: whole or not there, private, in their folder."""

import os
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from redcap_dagster.io_managers import ParquetTableIOManager, TablePlace
from tests.io_managers.conftest import VISIT


def test_files_and_folders_are_private_under_any_umask(tmp_path: Path) -> None:
    base = tmp_path / "new" / "base"
    io_manager = ParquetTableIOManager(base_path=str(base))
    before = os.umask(0o022)
    try:
        io_manager.write_table(VISIT, pa.table({"a": [1]}))
        io_manager.write_partitions(
            TablePlace(dg.AssetKey(["x", "y"])), {"one": pa.table({"a": [1]})}
        )
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in base.rglob("*.parquet")}
    assert modes == {0o600}
    folders = [base.parent, base, *(path for path in base.rglob("*") if path.is_dir())]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io_manager = ParquetTableIOManager(base_path=str(tmp_path))
    io_manager.write_table(VISIT, pa.table({"a": [1]}))

    def fail(_: pa.Table, file: object) -> None:
        file.write(b"PAR1 half of it")  # type: ignore[attr-defined]
        raise pa.ArrowInvalid("canary-4711")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(RuntimeError, match=r"trial_clean\.visit") as caught:
        io_manager.write_table(VISIT, pa.table({"a": [2]}))
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert io_manager.read_table(VISIT, None)["a"].to_pylist() == [1]
    assert [path.name for path in (tmp_path / "trial_clean").iterdir()] == ["visit.parquet"]


def test_what_killed_writers_left_goes_with_the_next_write(tmp_path: Path) -> None:
    io_manager = ParquetTableIOManager(base_path=str(tmp_path))
    io_manager.write_table(VISIT, pa.table({"a": [1]}))
    folder = tmp_path / "trial_clean"
    left, of_another, unfinished = (
        folder / f".{name}.tmp"
        for name in ("visit.parquet.1", "other.parquet.2", "visit.parquet.3")
    )
    for path in (left, of_another, unfinished):
        path.write_bytes(b"PAR1 half of it")
    for path in (left, of_another):
        os.utime(path, (0, 0))

    io_manager.write_table(VISIT, pa.table({"a": [2]}))

    assert {*folder.iterdir()} == {folder / "visit.parquet", of_another, unfinished}


@pytest.mark.parametrize(
    "key", ["../../out", "a/b", "..", "2020-01-01|North", "ü é", "%2F", "CON:"]
)
def test_a_partition_key_names_a_file_and_can_be_read_from_it(tmp_path: Path, key: str) -> None:
    io_manager = ParquetTableIOManager(base_path=str(tmp_path / "base"))
    io_manager.write_partitions(VISIT, {key: pa.table({"a": [1]})})
    (file,) = tmp_path.rglob("*.parquet")
    assert file.parent == tmp_path / "base" / "trial_clean" / "visit"
    assert unquote(file.name.removesuffix(".parquet")) == key
    assert io_manager.read_table(VISIT, [key])["a"].to_pylist() == [1]


def test_folders_are_not_taken_for_columns(tmp_path: Path) -> None:
    io_manager = ParquetTableIOManager(base_path=str(tmp_path / "year=2020"))
    io_manager.write_table(VISIT, pa.table({"a": [1]}))
    assert io_manager.read_table(VISIT, None).column_names == ["a"]


def test_an_object_store_gets_one_put(monkeypatch: pytest.MonkeyPatch) -> None:
    puts = []
    original = UPath("memory://").fs.__class__.open

    def count(self: object, path: str, mode: str = "rb", **options: object) -> object:
        if mode != "rb":
            puts.append(path)
        return original(self, path, mode, **options)

    monkeypatch.setattr(UPath("memory://").fs.__class__, "open", count)
    io_manager = ParquetTableIOManager(base_path="memory://one-put")
    io_manager.write_table(VISIT, pa.table({"a": [1]}))
    assert puts == ["/one-put/trial_clean/visit.parquet"]


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    io_manager = ParquetTableIOManager(base_path=str(tmp_path))
    io_manager.write_table(VISIT, pa.table({"a": [1]}))
    (tmp_path / "trial_clean" / "visit.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(RuntimeError, match=r"trial_clean\.visit.*Materialize"):
        io_manager.read_table(VISIT, None)
