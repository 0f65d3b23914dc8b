"""An entry of REDCap's log: when it was made, of which record, and what it tells of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

SHAPE = "%Y-%m-%d %H:%M"
"""How the log tells time: in minutes, by the server's clock."""

# As in "age = '40', race(2) = checked"; a value may hold the like, which is then looked at too.
_FIELD = re.compile(r"(?<![^\s,\]])([a-z][a-z0-9_]*)(?:\([^)]*\))? = ")


@dataclass(frozen=True)
class LogEntry:
    """What is taken of an entry of the log; of its details, the names of fields."""

    minute: datetime
    record: str = field(repr=False)
    kind: Literal["add", "edit", "delete", "design", ""]
    fields: frozenset[str]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read one as the log is exported, and let go of its details."""
        action, details = str(row["action"]).lower(), str(row.get("details") or "")
        record = str(row.get("record") or "")
        return cls(
            read_minute(str(row["timestamp"])[:16]),
            record,
            _kind(action, details, record),
            frozenset(_FIELD.findall(details)),
        )


def _kind(action: str, details: str, record: str) -> Literal["add", "edit", "delete", "design", ""]:
    """Say what an entry tells of: of nothing if it changed no data; if in doubt, of a change."""
    if action.startswith(("data export", "lock/unlock", "edit user", "add user", "delete user")):
        return ""
    if not record:
        return "" if details.startswith(("Export ", "Download ", "View ")) else "design"
    if action.startswith("create"):
        return "add"
    return "delete" if action.startswith("delete") else "edit"


def read_minute(text: str) -> datetime:
    """Read when an entry was made, in the server's own time."""
    return datetime.strptime(text, SHAPE)  # noqa: DTZ007 its zone is unknown
