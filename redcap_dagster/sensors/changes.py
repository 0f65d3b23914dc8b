"""The changes of a project since a cursor, by bucket and instrument."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Changes:
    """The changes of a project.

    Attributes:
        instruments: Bucket (blank without partitions) to its changed instruments.
        structure: Whether the project's structure changed, and with it every table.
        digests: Digests of the changes; the same changes have the same digests.
        last_changed: Bucket to the latest possible time of its last change, as a timestamp in UTC.
        note: How the changes were found, and why, where that is not by the log. Defaults to blank.
    """

    instruments: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    structure: bool = False
    digests: set[str] = field(default_factory=set)
    last_changed: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def add(self, bucket: str, instruments: Iterable[str], when: float, digest: str) -> None:
        """Add a change of some instruments of a bucket."""
        self.instruments[bucket] |= set(instruments)
        self.digests.add(digest)
        self.last_changed[bucket] = max(self.last_changed.get(bucket, 0), when)
