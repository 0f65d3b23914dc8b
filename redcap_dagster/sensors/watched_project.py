"""A project that a change sensor watches, and the keyed digests of its structure and values."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from redcap_dagster.api import REDCapClient
from redcap_dagster.partitions import assign_buckets, bucket_keys
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_COLUMNS

KEY_COLUMNS = (EVENT_NAME, *REPEAT_COLUMNS)
"""The columns that identify a row of a record."""

OVERLAP = timedelta(minutes=5)
"""How far each query reaches back before the cursor: imports are visible when they are complete."""

MAX_AHEAD, MAX_BEHIND = timedelta(hours=14), timedelta(hours=12)
"""How far a server's clock may be ahead of UTC, and behind it: 26 hours together."""


@dataclass(frozen=True)
class WatchedProject:
    """A project that a change sensor watches.

    Attributes:
        client: Client of the project.
        project: Structure of the project when the definitions were loaded.
        buckets: Number of buckets; 0 without partitions.
        clock: Function that returns the current time in UTC. Defaults to the system's clock.
    """

    client: REDCapClient = field(repr=False)
    project: REDCapProject = field(repr=False)
    buckets: int
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @cached_property
    def instruments(self) -> set[str]:
        """The names of all instruments."""
        return {instrument.instrument_name for instrument in self.project.instruments}

    @property
    def every_bucket(self) -> list[str]:
        """All buckets; a single blank one without partitions."""
        return bucket_keys(self.buckets) if self.buckets else [""]

    def assign_buckets(self, records: list[str]) -> list[str]:
        """Return the bucket of each record; blank without partitions."""
        if not self.buckets:
            return [""] * len(records)
        assigned = assign_buckets(pa.chunked_array([records], pa.string()), self.buckets)
        buckets: list[str] = assigned.to_pylist()
        return buckets

    def digest(self, *parts: str) -> str:
        """Return a digest of texts, keyed so that a value cannot be guessed from it."""
        text = "\x1f".join(parts).encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self.client.digest_key, digest_size=6).hexdigest()

    def digest_row(self, row: Mapping[str, Any]) -> str:
        """Return a digest of an exported row."""
        return self.digest(*map(str, row.values()))

    def digest_structure(self) -> str:
        """Return a digest of the structure that REDCap exports now."""
        return self.digest(self.client.export_structure().project().to_json())


def to_minute(moment: datetime) -> datetime:
    """Return a time as the API takes it: to the minute, without a time zone."""
    return moment.replace(tzinfo=None, second=0, microsecond=0)
