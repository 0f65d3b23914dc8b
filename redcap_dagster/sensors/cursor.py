"""The change sensor's cursor: up to when a project has been read, and digests of what was there."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from redcap_dagster.sensors.log_entries import read_minute

MAX_SEEN = 4000
"""Digests that a cursor keeps at most; a change beyond them is found twice rather than never."""

_LAST_YEAR = 9000
"""Later times are not those of a server, and cannot be computed with."""


def _check_minute(text: str) -> str:
    if text and not 1970 <= read_minute(text).year <= _LAST_YEAR:
        raise ValueError("since: the year cannot be that of a server.")
    return text


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
        version: Version of the stored cursor. Defaults to 1, the only one.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False
    )

    looked: Annotated[float, Field(ge=0, lt=(_LAST_YEAR - 1970) * 365 * 86_400)]
    since: Annotated[str, AfterValidator(_check_minute)]
    newest: str
    buckets: Annotated[int, Field(ge=0)]
    structure: str
    census: Mapping[str, int] | None
    seen: tuple[str, ...]
    version: Literal[1] = 1

    @property
    def is_blank(self) -> bool:
        """Whether nothing is known of the project: neither log nor records could be read."""
        return not (self.since or self.structure or self.seen or self.census)

    def to_json(self) -> str:
        """Return the text that Dagster stores."""
        return json.dumps({"version": self.version, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> "Cursor | None":
        """Return the cursor of a stored text; None where it is missing, invalid or another version.

        Args:
            text: What `to_json` returned, or None.
        """
        try:
            return _ADAPTER.validate_json(text or "")
        except ValueError:
            return None


_ADAPTER = TypeAdapter(Cursor)
