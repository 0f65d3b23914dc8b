"""An entry of REDCap's log: its time, its record, and the kind of change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

TIME_FORMAT = "%Y-%m-%d %H:%M"
"""Format of the times of the log, which are minutes of the server's clock."""

# As in "age = '40', race(2) = checked". A value may look the same: it then counts as a field.
_FIELD = re.compile(r"(?<![^\s,\]])([a-z][a-z0-9_]*)(?:\([^)]*\))? = ")


@dataclass(frozen=True)
class LogEntry:
    """One entry of the log, without the values in its details.

    Attributes:
        minute: Time of the entry, in the server's time zone.
        record: Record id; blank if the entry does not concern a record.
        kind: Kind of the change; blank if nothing changed.
        fields: Names of the fields in the details.
    """

    minute: datetime
    record: str = field(repr=False)
    kind: Literal["add", "edit", "delete", "design", ""]
    fields: frozenset[str]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the entry of an exported row, without its details."""
        action, details = str(row["action"]).lower(), str(row.get("details") or "")
        record = str(row.get("record") or "")
        return cls(
            read_minute(str(row["timestamp"])[:16]),
            record,
            _classify(action, details, record),
            frozenset(_FIELD.findall(details)),
        )


def _classify(
    action: str, details: str, record: str
) -> Literal["add", "edit", "delete", "design", ""]:
    """Return the kind of a change; blank if nothing changed, a change in case of doubt."""
    if action.startswith(("data export", "lock/unlock", "edit user", "add user", "delete user")):
        return ""
    if not record:
        return "" if details.startswith(("Export ", "Download ", "View ")) else "design"
    if action.startswith("create"):
        return "add"
    return "delete" if action.startswith("delete") else "edit"


def read_minute(text: str) -> datetime:
    """Return the time of an entry, in the server's time zone."""
    return datetime.strptime(text, TIME_FORMAT)  # noqa: DTZ007 its zone is unknown
