"""Buckets of records: the partitions of a project that is too large for one run."""

import re
import zlib
from typing import Annotated

import dagster as dg
import pyarrow as pa
from pydantic import Field

from redcap_dagster.options import option

BUCKET = "_bucket"
"""Name of the column of a frame or stored table that holds the partition key of each row."""

_CHUNK = 1 << 15
"""Number of records that are assigned at once; a million ids as Python texts need much memory."""

_KEY = re.compile(r"\d+-of-(\d+)")


def buckets(count: int) -> dg.StaticPartitionsDefinition:
    """Return the partitions of records that are spread over a number of buckets.

    The keys hold that number, so buckets of different numbers have different keys.

    Args:
        count: Number of buckets.

    Raises:
        ValueError: The number is less than 1.

    Example:
        >>> buckets(16).get_partition_keys()[2]
        '03-of-16'
    """
    return dg.StaticPartitionsDefinition(bucket_keys(count))


def bucket_keys(count: int) -> list[str]:
    """Return the keys of the buckets, in order.

    Args:
        count: Number of buckets.

    Raises:
        ValueError: The number is less than 1.

    Example:
        >>> bucket_keys(2)
        ['1-of-2', '2-of-2']
    """
    if count < 1:
        raise ValueError(f"buckets got {count}. Give a number, at least 1.")
    width = len(str(count))
    return [f"{number:0{width}}-of-{count}" for number in range(1, count + 1)]


@option
class PartitionSettings:
    """How the records of a project are partitioned; for `build_redcap_definitions`.

    Attributes:
        buckets: Number of buckets over which records are spread by their ids, such as 32. Each
            bucket is exported, cleaned and stored by itself. Types are then never inferred, because
            no bucket has all values. Metadata tables are not partitioned.

    Raises:
        ValueError: There is less than one bucket.

    Example:
        >>> PartitionSettings(buckets=16).definition().get_partition_keys()[2]
        '03-of-16'
    """

    buckets: Annotated[int, Field(ge=1)]

    def definition(self) -> dg.StaticPartitionsDefinition:
        """Return Dagster's partitions."""
        return buckets(self.buckets)


def assign_buckets(records: pa.ChunkedArray, count: int) -> pa.ChunkedArray:
    """Return the bucket of each record, which depends only on the CRC-32 of its id in UTF-8.

    Args:
        records: Record ids as text, without nulls.
        count: Number of buckets.

    Example:
        >>> assign_buckets(pa.chunked_array([["1", "2", "1"]]), 16).to_pylist()
        ['08-of-16', '14-of-16', '08-of-16']
    """
    keys = pa.array(bucket_keys(count), pa.string())

    def assign_chunk(ids: pa.ChunkedArray) -> pa.Array:
        encoded = ids.combine_chunks().dictionary_encode()
        digests = (zlib.crc32(text.encode()) % count for text in encoded.dictionary.to_pylist())
        numbers = pa.array(digests, pa.int32())
        return keys.take(numbers.take(encoded.indices))

    chunks = (records.slice(start, _CHUNK) for start in range(0, len(records), _CHUNK))
    return pa.chunked_array(map(assign_chunk, chunks), pa.string())


bucket_of = assign_buckets
"""Earlier name of `assign_buckets`."""


def get_partitioning(partition_key: str) -> str:
    """Return the partitioning of a key: the number of buckets, or blank for other partitions.

    Args:
        partition_key: Key of a partition.

    Example:
        >>> get_partitioning("03-of-16"), get_partitioning("2024-01-31")
        ('16', '')
    """
    match = _KEY.fullmatch(partition_key)
    return match[1] if match else ""
