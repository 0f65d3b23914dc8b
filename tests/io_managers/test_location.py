import dagster as dg
import pytest

from redcap_dagster.io_managers import TablePlace


@pytest.mark.parametrize("path", [["..", "visit"], ["a", ".."], ["a/../..", "b"], ["a", "b\\c"]])
def test_no_key_leads_out_of_the_folder(path: list[str]) -> None:
    with pytest.raises(ValueError, match="out of its folder"):
        TablePlace(dg.AssetKey(path))


def test_tables_of_two_projects_never_meet() -> None:
    keys = [dg.AssetKey([name, "clean", "visit"]) for name in ("a", "b")]
    assert len({str(TablePlace(key)) for key in keys}) == 2
