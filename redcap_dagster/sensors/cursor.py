"""The change sensor's cursor: up to when a project has been read, and digests of what was there."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

MAX_SEEN = 4000
"""Digests that a cursor keeps at most; a change beyond them is found twice rather than never."""

_VERSION = 1


@dataclass(frozen=True)
class Cursor:
    """Up to when a project has been read: times and keyed digests, without a record id or a value.

    The names of the attributes are the keys of the stored cursor.

    Attributes:
        looked: When REDCap was last queried, as a timestamp in UTC.
        since: Minute of the newest log entry, in the server's time zone; blank where the token may
            not read the log.
        newest: Digest of that entry, and of how many entries are the same.
        buckets: Number of buckets of `census`; 0 without partitions.
        structure: Digest of the project's structure; blank where it is unknown.
        census: Digest of the record ids of each bucket; None where it is unknown.
        seen: Digests of recent changes that the next query returns again.
    """

    looked: float
    since: str
    newest: str
    buckets: int
    structure: str
    census: Mapping[str, int] | None
    seen: tuple[str, ...]

    def to_json(self) -> str:
        """Return the text that Dagster stores."""
        return json.dumps({"version": _VERSION, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> Self | None:
        """Return the cursor of a stored text; None where it is missing, invalid or another version.

        Args:
            text: What `to_json` returned, or None.
        """
        try:
            stored = json.loads(text or "")
            if stored.pop("version") != _VERSION:
                return None
            return cls(**{**stored, "seen": tuple(stored["seen"])})
        except (ValueError, TypeError, LookupError, AttributeError):
            return None
