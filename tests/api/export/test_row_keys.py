"""Each row of an export has a key of its own, or none of its batch is passed on."""

from itertools import islice

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.api import MalformedResponseError
from redcap_dagster.api.export.reader.row_keys import check_row_keys

SCHEMA = pa.schema({"id": pa.string()})


@given(st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=30))
def test_a_row_that_comes_twice_is_counted_wherever_it_came_before(
    batches: list[list[int]],
) -> None:
    seen: set[int] = set()
    passed, again = 0, 0
    for ids in batches:
        again = len(ids) - len({*ids} - seen)
        if again:
            break
        seen.update(ids)
        passed += 1

    rows = check_row_keys(
        (pa.record_batch({"id": [str(one) for one in ids]}, SCHEMA) for ids in batches), "id"
    )

    assert [len(batch) for batch in islice(rows, passed)] == list(map(len, batches[:passed]))
    if again:
        with pytest.raises(MalformedResponseError, match=f" and {again} are of a record"):
            next(rows)
    assert next(rows, None) is None
