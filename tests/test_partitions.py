"""Records spread over buckets."""

import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redcap_dagster.partitions import assign_buckets, bucket_keys, buckets, get_partitioning

IDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4))


@given(chunks=st.lists(IDS, max_size=3), count=st.integers(1, 40))
def test_a_record_is_in_the_bucket_of_its_checksum(chunks: list[list[str]], count: int) -> None:
    found = assign_buckets(pa.chunked_array(chunks, pa.string()), count).to_pylist()
    ids = [text for chunk in chunks for text in chunk]
    assert found == [bucket_keys(count)[zlib.crc32(text.encode()) % count] for text in ids]


def test_the_buckets_of_known_records_never_change() -> None:
    # A change would leave every warehouse with records in two buckets.
    ids = pa.chunked_array([["1", "2", "Ä-7", "1", ""]])
    expected = ["08-of-16", "14-of-16", "09-of-16", "08-of-16", "01-of-16"]
    assert assign_buckets(ids, 16).to_pylist() == expected


@pytest.mark.parametrize("count", [1, 9, 10, 100])
def test_keys_sort_and_say_their_number(count: int) -> None:
    keys = bucket_keys(count)
    assert len(set(keys)) == count
    assert keys == sorted(keys)
    assert {get_partitioning(key) for key in keys} == {str(count)}
    assert list(buckets(count).get_partition_keys()) == keys


def test_no_buckets_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        buckets(0)
