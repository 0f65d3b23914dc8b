"""Parquet files: whole or not there, private, in their folder."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from redcap_dagster.io_managers import ParquetTableIOManager
from tests.io_managers.conftest import VISIT


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


def test_what_is_damaged_is_never_read_as_other_data(tmp_path: Path) -> None:
    """Bytes of pages, page headers and footer, one at a time; then the name of a column."""
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    sex = pa.array(["f", "m", None] * 20).dictionary_encode()
    table = pa.table({"id": [str(number) for number in range(60)], "sex": sex, "age": range(60)})
    tables.write_table(VISIT, table)
    file = tmp_path / "trial_clean" / "visit.parquet"
    whole = file.read_bytes()
    damaged = 0
    for position in range(0, len(whole), 2):
        file.write_bytes(
            whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :]
        )
        try:
            found = tables.read_table(VISIT, None)
        except (RuntimeError, ValueError) as error:  # the file, or whose it is
            damaged += "Materialize" in str(error) or "another key" in str(error)
        else:
            assert found.to_pylist() == table.to_pylist(), position
    assert damaged > len(whole) // 4
    file.write_bytes(whole.replace(b"age", b"agf"))
    with pytest.raises(RuntimeError, match="not the columns and rows that were written"):
        tables.read_table(VISIT, None)


# -- files of other people -------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_folder_of_the_users_own_is_refused_and_left_as_it_is(
    tmp_path: Path, partitioned: bool
) -> None:
    own = tmp_path / "trial_clean" / "visit"
    own.mkdir(parents=True)
    (own / "protocol.docx").write_bytes(b"of the user")
    (own / "old.parquet").write_bytes(b"of the user")
    before = contents(tmp_path)
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    with pytest.raises(ValueError, match="did not write"):
        write(tables, partitioned)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("partitioned", [False, True])
def test_files_of_the_user_among_partitions_stay(tmp_path: Path, partitioned: bool) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    write(tables, partitioned=True)
    folder = tmp_path / "trial_clean" / "visit"
    (folder / "notes.txt").write_text("of the user")
    (folder / "mine.parquet").write_text("of the user")
    if partitioned:
        parts = {"1-of-3": pa.table({"id": ["1"]})}
        tables.write_partitions(VISIT, parts)
        assert tables.read_table(VISIT, None).to_pylist() == [{"id": "1"}]
    else:
        write(tables, partitioned=False)
        assert tables.read_table(VISIT, None).to_pylist() == [{"id": "1"}, {"id": "2"}]
    assert {"notes.txt", "mine.parquet"} <= {path.name for path in folder.iterdir()}
    assert not (folder / "1-of-2.parquet").exists()


def text_file(path: Path) -> None:
    path.write_text("of the user")


def empty_file(path: Path) -> None:
    path.write_bytes(b"")


def parquet_file(path: Path) -> None:
    pq.write_table(pa.table({"id": ["dagster_asset trial/clean/visit"]}), path)


@pytest.mark.parametrize("make", [text_file, empty_file, parquet_file])
@pytest.mark.parametrize("name", ["visit.parquet", "visit/1-of-2.parquet"])
def test_a_file_of_the_users_own_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    if "/" in name:
        write(tables, partitioned=True)
    own = tmp_path / "trial_clean" / name
    own.parent.mkdir(exist_ok=True)
    make(own)
    content = own.read_bytes()
    uses: list[Callable[[], object]] = [
        lambda: tables.read_table(VISIT, None),
        lambda: write(tables, partitioned=True),
        lambda: write(tables, partitioned=False),
    ]
    for use in uses[:2] if "/" in name else uses:
        with pytest.raises((ValueError, RuntimeError), match=r"did not write|damaged"):
            use()
        assert own.read_bytes() == content

    if "/" in name:  # the partitions that the table replaces, but no file of others among them
        write(tables, partitioned=False)
        assert own.read_bytes() == content


@pytest.mark.parametrize("cut", [slice(None, -9), slice(None, -200), slice(None, None, 2)])
def test_a_damaged_file_is_replaced_as_long_as_it_says_whose_it_is(
    tmp_path: Path, cut: slice
) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    write(tables, partitioned=False)
    file = tmp_path / "trial_clean" / "visit.parquet"
    damaged = file.read_bytes()[cut]
    file.write_bytes(damaged)
    if b"dagster_asset" in damaged:
        write(tables, partitioned=False)
        assert len(tables.read_table(VISIT, None)) == 2
    else:
        with pytest.raises(ValueError, match="if it is a damaged table, remove it"):
            write(tables, partitioned=False)
        assert file.read_bytes() == damaged


@pytest.mark.parametrize("taken", [".", "trial_clean", "trial_clean/visit"])
@pytest.mark.parametrize("link", [False, True])
def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path, taken: str, link: bool) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path / "base"))
    path = tmp_path / "base" / taken
    path.parent.mkdir(parents=True, exist_ok=True)
    if link:
        path.symlink_to(path.parent / "nowhere")
    else:
        path.write_text("of the user")

    with pytest.raises(LookupError):
        tables.read_table(VISIT, None)
    with pytest.raises(ValueError, match="is not a folder, so that no table can be stored"):
        write(tables, partitioned=True)
    assert link or path.read_text() == "of the user"


def test_from_partitions_to_none_and_back(tmp_path: Path) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    for partitioned in (True, False, True, False):
        write(tables, partitioned)
        assert tables.read_table(VISIT, None).to_pylist() == [{"id": "1"}, {"id": "2"}]


def test_partitions_that_were_replaced_do_not_come_back(tmp_path: Path) -> None:
    """A writer was killed before it removed the partitions that its table replaced."""
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    write(tables, partitioned=False)
    file = tmp_path / "trial_clean" / "visit.parquet"
    whole = file.read_bytes()
    write(tables, partitioned=True)
    file.write_bytes(whole)
    tables.write_partitions(VISIT, {"1-of-2": pa.table({"id": ["1"]})})
    assert tables.read_table(VISIT, None).to_pylist() == [{"id": "1"}]


@pytest.mark.parametrize(
    "linked", ["trial_clean", "trial_clean/visit", "trial_clean/visit.parquet"]
)
def test_a_link_out_of_the_base_folder_is_refused(tmp_path: Path, linked: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "visit").mkdir(parents=True)
    (elsewhere / "precious.parquet").write_bytes(b"of the user")
    base = tmp_path / "base"
    (base / linked).parent.mkdir(parents=True)
    target = elsewhere / "precious.parquet" if linked.endswith(".parquet") else elsewhere
    (base / linked).symlink_to(target)
    before = contents(elsewhere)
    tables = ParquetTableIOManager(base_path=str(base))
    for partitioned in (False, True):
        with pytest.raises(ValueError, match="A link leads"):
            write(tables, partitioned)
    for key in (None, ["1-of-2"]):
        with pytest.raises(ValueError, match="A link leads"):
            tables.read_table(VISIT, key)
    assert contents(elsewhere) == before


@pytest.mark.parametrize("name", ["1-of-2.parquet", "_partitioning", "_lock"])
def test_a_link_among_partitions_is_not_followed_either(tmp_path: Path, name: str) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path / "base"))
    write(tables, partitioned=True)
    file = tmp_path / "base" / "trial_clean" / "visit" / name
    outside = file.rename(tmp_path / name) if file.exists() else tmp_path / name
    outside.touch()
    file.symlink_to(outside)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="A link leads"):
        tables.read_table(VISIT, None)
    with pytest.raises(ValueError, match="A link leads"):
        write(tables, partitioned=False)
    assert contents(tmp_path) == before


def test_a_folder_of_the_user_beside_a_table_gets_no_lock(tmp_path: Path) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    write(tables, partitioned=False)
    (tmp_path / "trial_clean" / "visit").mkdir()
    before = contents(tmp_path)
    assert len(tables.read_table(VISIT, None)) == 2
    assert contents(tmp_path) == before


def write(tables: ParquetTableIOManager, partitioned: bool) -> None:
    table = pa.table({"id": ["1", "2"]})
    if partitioned:
        parts = {f"{number}-of-2": table.slice(number - 1, 1) for number in (1, 2)}
        tables.write_partitions(VISIT, parts)
    else:
        tables.write_table(VISIT, table)


def test_large_dictionaries_keep_their_entries(tmp_path: Path) -> None:
    tables = ParquetTableIOManager(base_path=str(tmp_path))
    entries = [f"choice number {number} of a long list" for number in range(8_000)]
    column = pa.DictionaryArray.from_arrays([7_000, 2, None], entries)
    tables.write_table(VISIT, pa.table({"choice": column}))
    read = tables.read_table(VISIT, None)["choice"].combine_chunks()
    assert read.dictionary.to_pylist() == entries
    assert read.to_pylist() == column.to_pylist()


def test_numbers_have_limits_in_the_file_and_text_does_not(tmp_path: Path) -> None:
    io_manager = ParquetTableIOManager(base_path=str(tmp_path))
    io_manager.write_table(VISIT, pa.table({"id": ["1", "2"], "a.b": [7, 9]}))
    group = pq.read_metadata(tmp_path / "trial_clean" / "visit.parquet").row_group(0)
    assert group.column(0).statistics is None
    assert (group.column(1).statistics.min, group.column(1).statistics.max) == (7, 9)
