"""Buckets of records: the partitions of a project that is too large to be refreshed at once."""

import re
import zlib

import dagster as dg
import pyarrow as pa

from redcap_dagster.options import option

BUCKET = "_bucket"
"""The column of a frame, and of a stored table, that says which partition a row is of."""

_AT_ONCE = 1 << 15
"""Records."""

_KEY = re.compile(r"\d+-of-(\d+)")


def buckets(count: int) -> dg.StaticPartitionsDefinition:
    """Give the partitions of records that are spread over a number of buckets.

    Their keys say that number, so that those of one number never pass for those of another.

    Args:
        count: How many.

    Raises:
        ValueError: Fewer than one.

    Example:
        >>> buckets(16).get_partition_keys()[2]
        '03-of-16'
    """
    return dg.StaticPartitionsDefinition(bucket_keys(count))


def bucket_keys(count: int) -> list[str]:
    """Name the buckets, in order.

    Raises:
        ValueError: Fewer than one.

    Example:
        >>> bucket_keys(2)
        ['1-of-2', '2-of-2']
    """
    if count < 1:
        raise ValueError(f"buckets: give a number from 1 on; got {count}.")
    width = len(str(count))
    return [f"{number:0{width}}-of-{count}" for number in range(1, count + 1)]


@option
class PartitionSettings:
    """How the records of a project are partitioned; for `build_redcap_definitions`.

    Attributes:
        buckets: Number of buckets over which records are spread by their ids, such as 32. Each
            bucket is exported, cleaned and stored by itself; types are then never inferred, as no
            bucket has all values. Metadata tables are not partitioned.

    Raises:
        ValueError: There is less than one bucket.

    Example:
        >>> PartitionSettings(buckets=16).definition().get_partition_keys()[2]
        '03-of-16'
    """

    buckets: int

    def __post_init__(self) -> None:
        bucket_keys(self.buckets)

    def definition(self) -> dg.StaticPartitionsDefinition:
        """Return Dagster's partitions."""
        return buckets(self.buckets)


def assign_buckets(records: pa.ChunkedArray, count: int) -> pa.ChunkedArray:
    """Say which bucket each record is in: by the CRC-32 of its id in UTF-8, and nothing else.

    Args:
        records: Record ids as text, none of them null.
        count: The number of buckets.

    Example:
        >>> assign_buckets(pa.chunked_array([["1", "2", "1"]]), 16).to_pylist()
        ['08-of-16', '14-of-16', '08-of-16']
    """
    keys = pa.array(bucket_keys(count), pa.string())

    def of_some(ids: pa.ChunkedArray) -> pa.Array:
        encoded = ids.combine_chunks().dictionary_encode()
        digests = (zlib.crc32(text.encode()) % count for text in encoded.dictionary.to_pylist())
        numbers = pa.array(digests, pa.int32())
        return keys.take(numbers.take(encoded.indices))

    # A million ids at once, as texts of Python, would take more memory than all of their bucket.
    some = (records.slice(start, _AT_ONCE) for start in range(0, len(records), _AT_ONCE))
    return pa.chunked_array(map(of_some, some), pa.string())


bucket_of = assign_buckets
"""Earlier name of `assign_buckets`."""


def get_partitioning(partition_key: str) -> str:
    """Name the family of a partition: the number of buckets, or blank for partitions of others.

    Example:
        >>> get_partitioning("03-of-16"), get_partitioning("2024-01-31")
        ('16', '')
    """
    match = _KEY.fullmatch(partition_key)
    return match[1] if match else ""
