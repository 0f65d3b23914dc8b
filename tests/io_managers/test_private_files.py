"""What is made is for the user alone, and only files are opened."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager, TableIOManager
from tests.io_managers.conftest import VISIT

TABLE = pa.table({"a": [1]})
MAKERS: dict[str, Callable[[Path], TableIOManager]] = {
    "duckdb": lambda base: DuckDBTableIOManager(database=str(base / "stored.duckdb")),
    "parquet": lambda base: ParquetTableIOManager(base_path=str(base)),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777], ids=oct)
def test_files_and_folders_are_private_under_any_umask(
    tmp_path: Path, kind: str, umask: int
) -> None:
    tables = MAKERS[kind](tmp_path / "new" / "base")
    before = os.umask(umask)
    try:
        tables.write_table(VISIT, TABLE)
        tables.write_partitions(VISIT, {"one": TABLE})
        assert tables.read_table(VISIT, ["one"]) == TABLE
    finally:
        os.umask(before)
    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("duckdb", f"stored.duckdb{suffix}") for suffix in ("", ".wal", ".lock")),
        ("parquet", "trial_clean/visit.parquet"),
        *(
            ("parquet", f"trial_clean/visit/{name}")
            for name in ("one.parquet", "_partitioning", "_dagster_asset", "_lock")
        ),
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_refused_unopened(
    tmp_path: Path, kind: str, name: str
) -> None:
    tables = MAKERS[kind](tmp_path)
    tables.write_partitions(VISIT, {"one": TABLE})
    pipe = tmp_path / name
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    for use in (
        lambda: tables.read_table(VISIT, None),
        lambda: tables.read_sources([VISIT]),
        lambda: tables.write_table(VISIT, TABLE),
        lambda: tables.write_partitions(VISIT, {"one": TABLE}),
    ):
        with pytest.raises(ValueError, match="not a regular file"):
            use()
