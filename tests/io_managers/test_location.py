from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redcap_dagster.io_managers import TablePlace
from redcap_dagster.io_managers.location import check_regular_file


@pytest.mark.parametrize("path", [["..", "visit"], ["a", ".."], ["a/../..", "b"], ["a", "b\\c"]])
def test_no_key_leads_out_of_the_folder(path: list[str]) -> None:
    with pytest.raises(ValueError, match="out of its folder"):
        TablePlace(dg.AssetKey(path))


def test_tables_of_two_projects_never_meet() -> None:
    keys = [dg.AssetKey([name, "clean", "visit"]) for name in ("a", "b")]
    assert len({str(TablePlace(key)) for key in keys}) == 2


class RemovedPath(type(Path())):  # type: ignore[misc]
    """The path of a file that another process removes once it was seen."""

    def stat(self, **options: Any) -> Any:
        found = super().stat(**options)
        self.unlink()
        return found


def test_a_file_that_another_process_removes_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    path = RemovedPath(tmp_path / "visit.parquet")
    path.touch()
    check_regular_file(path)
    assert not (tmp_path / "visit.parquet").exists()
