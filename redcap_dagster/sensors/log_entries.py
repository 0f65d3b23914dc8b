"""An entry of REDCap's log: its time, its record, and the kind of change.

Wording differs by version and language. Only known wording shows that an entry is not a change of
records; `log_changes` asks REDCap for the type of an entry of unknown wording.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

TIME_FORMAT = "%Y-%m-%d %H:%M"
"""Format of the times of the log, which are minutes of the server's clock."""

Kind = Literal["add", "edit", "delete", "design", "unknown", ""]
"""Kind of a change; blank if neither records nor the structure changed."""

# As in "age = '40', race(2) = checked". A value may look the same: it then counts as a field.
_FIELD = re.compile(r"(?<![^\s,\]])([a-z][a-z0-9_]*)(?:\([^)]*\))? = ")

_DATA = re.compile(
    r"(?P<verb>create|update|delete)d? (?:survey )?(?P<what>record|response)\b"
    r"(?: \((?:api|import|auto calculation)\))?",
    re.IGNORECASE,
)
"""What the action of a changed record begins with; the record id follows."""

_EXPORT = re.compile(r"data export|page view", re.IGNORECASE)
_LOCK = re.compile(r"(?:record )?(?:un)?lock|.*\be-?sign", re.IGNORECASE)
_ACCESS = re.compile(
    r"users?\b|roles?\b|"
    r"(?:(?:add|edit|create|update|delete|change|remove|rename|assign|grant|revoke)e?d?|new)\b"
    r".*\b(?:users?|roles?|access|privileges|rights)\b",
    re.IGNORECASE,
)
_RECORDS = re.compile(
    r"\b(?:data|records?|responses?|instances?|surveys?|files?|documents?|groups?)\b"
)


@dataclass(frozen=True)
class LogEntry:
    """One entry of the log, without the values in its details.

    Attributes:
        minute: Time of the entry, in the server's time zone; None where it cannot be read.
        record: Record id; blank if the entry does not concern a record, None if that is unknown.
        kind: Kind of the change.
        fields: Names of the fields in the details.
    """

    minute: datetime | None
    record: str | None = field(repr=False)
    kind: Kind
    fields: frozenset[str]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the entry of an exported row, without its details. Any row has one."""
        action, details = _read_text(row, "action"), _read_text(row, "details")
        fields = frozenset(_FIELD.findall(details))
        record: str | None = _read_text(row, "record")
        kind = _classify(action.removesuffix(record or "\n"), details, record or "")
        if "record" not in row:  # before REDCap 13.4.9
            found = _DATA.match(action)
            record = action[found.end() :].strip() if found else ""
            if found:
                kind = _classify(found[0], details, record)
            if kind in ("unknown", "edit") and (not record or record.startswith("(")):
                record = None
        return cls(_find_minute(row.get("timestamp")), record, kind, fields)


def _classify(action: str, details: str, record: str) -> Kind:
    """Return the kind of a change, from an action without its record id."""
    data = _DATA.match(action)
    if data and record:
        verb, what = data["verb"].lower(), data["what"].lower()
        if what == "record" and verb in ("create", "delete"):
            return "add" if verb == "create" else "delete"
        return "edit"
    if _EXPORT.match(action) or _LOCK.match(action):
        return ""
    if _ACCESS.match(action) and not _RECORDS.search(action.lower()):
        return ""
    if details.startswith(("Export ", "Download ", "View ")):
        return ""
    if action.lower().startswith("manage/design"):
        return "edit" if record else "design"
    return "unknown"


def _read_text(row: Mapping[str, Any], column: str) -> str:
    """Return the text of a column; JSON may hold other types, and surrogates that no file takes."""
    value = row.get(column)
    return "" if value is None else str(value).encode(errors="replace").decode()


def _find_minute(value: Any) -> datetime | None:
    try:
        return read_minute(str(value)[:16])
    except ValueError:
        return None


def read_minute(text: str) -> datetime:
    """Return the time of an entry, in the server's time zone."""
    return datetime.strptime(text, TIME_FORMAT)  # noqa: DTZ007 its zone is unknown
