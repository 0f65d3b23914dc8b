"""The columns of a large table are worked on in threads, those of a small one are not."""

import threading

import pytest

from redcap_dagster.tables.threads import _LARGE, map_columns


@pytest.mark.parametrize(("rows", "in_threads"), [(_LARGE - 1, False), (_LARGE, True)])
def test_only_columns_of_a_large_table_take_threads(rows: int, in_threads: bool) -> None:
    here = threading.get_ident()
    found = map_columns(lambda name: (name, threading.get_ident()), ["b", "a"], rows)
    assert [name for name, _ in found] == ["b", "a"]
    assert all((thread != here) is in_threads for _, thread in found)
