"""How far a project has been looked at, and what was found to have changed since."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

_VERSION = 1


@dataclass(frozen=True)
class Mark:
    """How far a project has been looked at. It holds times and keyed digests, and no record id.

    Attributes:
        looked: When, in UTC, as a timestamp.
        since: The newest entry of the log, to the minute and in the server's time zone; blank
            where the token may not read the log.
        buckets: The number of buckets that `census` is of; 0 for none.
        newest: A digest of that entry, and of how many are like it.
        structure: A digest of the dictionary; blank where it is not known.
        census: Bucket to a digest of the ids of its records; None where it is not known.
        seen: Digests of what was new lately and will be met again.
    """

    looked: float
    since: str
    newest: str
    buckets: int
    structure: str
    census: Mapping[str, int] | None
    seen: tuple[str, ...]

    def to_json(self) -> str:
        """Write it as a cursor."""
        return json.dumps({"version": _VERSION, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> Self | None:
        """Read a cursor; None where there is none, or it is of another version, or no cursor."""
        try:
            kept = json.loads(text or "")
            if kept.pop("version") != _VERSION:
                return None
            return cls(**{**kept, "seen": tuple(kept["seen"])})
        except (ValueError, TypeError, LookupError, AttributeError):
            return None


@dataclass
class Changes:
    """What changed.

    Attributes:
        forms: Bucket (blank where there are none) to the instruments concerned.
        structure: Whether the dictionary changed, and with it every table.
        digests: Of what was new; the same for the same changes.
        last: Bucket to when the last of its changes was made, at the latest, in UTC.
    """

    forms: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    structure: bool = False
    digests: set[str] = field(default_factory=set)
    last: dict[str, float] = field(default_factory=dict)

    def add(self, bucket: str, forms: Iterable[str], when: float, digest: str) -> None:
        """Note that instruments of a bucket changed."""
        self.forms[bucket] |= set(forms)
        self.digests.add(digest)
        self.last[bucket] = max(self.last.get(bucket, 0), when)
