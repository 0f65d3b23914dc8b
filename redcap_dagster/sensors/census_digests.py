"""Digests of the record ids of each bucket, which differ if records were added, deleted or renamed.

The digest of a bucket is the sum of its records' digests: an id is added or removed without
knowledge of the others, and their order does not matter.
"""

import hashlib
from collections.abc import Mapping

import pyarrow.compute as pc

from redcap_dagster.sensors.changes import Changes
from redcap_dagster.sensors.watched_project import WatchedProject

_MODULUS = 2**64


def digest_census(watched: WatchedProject) -> dict[str, int]:
    """Return a digest of the record ids of each bucket, as REDCap lists them now."""
    listed = watched.client.export_census()[watched.project.record_id_field]
    records = pc.unique(listed).to_pylist()
    census: dict[str, int] = {}
    for record, bucket in zip(records, watched.assign_buckets(records), strict=True):
        add_record(watched, census, bucket, record)
    return census


def add_record(watched: WatchedProject, census: dict[str, int], bucket: str, record: str) -> None:
    """Add a record id to the digest of its bucket."""
    census[bucket] = (census.get(bucket, 0) + _digest_record(watched, record)) % _MODULUS


def remove_record(
    watched: WatchedProject, census: dict[str, int], bucket: str, record: str
) -> None:
    """Remove a record id from the digest of its bucket."""
    census[bucket] = (census.get(bucket, 0) - _digest_record(watched, record)) % _MODULUS


def add_census_changes(
    watched: WatchedProject,
    before: Mapping[str, int] | None,
    now: Mapping[str, int],
    changes: Changes,
) -> None:
    """Add the buckets whose record ids changed; every bucket if the earlier ones are unknown.

    Args:
        watched: The project.
        before: Earlier digest of each bucket; None where it is unknown.
        now: Present digest of each bucket.
        changes: Changes to which the buckets are added, with all instruments.
    """
    for bucket in watched.every_bucket:
        digest = now.get(bucket, 0)
        if before is None or before.get(bucket, 0) != digest:
            when = watched.clock().timestamp()
            changes.add(bucket, watched.instruments, when, watched.digest(bucket, str(digest)))


def _digest_record(watched: WatchedProject, record: str) -> int:
    digest = hashlib.blake2b(record.encode(), key=watched.client.digest_key, digest_size=8)
    return int.from_bytes(digest.digest())
