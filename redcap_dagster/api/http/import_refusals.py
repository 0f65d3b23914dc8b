"""The import errors that REDCap sends, one per value, as a typed error.

REDCap sends a CSV row per value: record, field, value, message. The rows hold people's data, so the
message of the error has only field names and counts.
"""

import csv
import io
import re
from collections import Counter
from typing import Final

from redcap_dagster.api.errors import ImportRefusedError, RefusedValue
from redcap_dagster.project.name_lists import list_names

_KINDS: Final = (
    ("invalid format", "could not be validated"),
    ("not designated", "not designated for the event"),
    ("invalid choice", "not a valid category"),  # guess
)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def read_refused_values(message: str) -> tuple[RefusedValue, ...]:
    """Return the import errors of a message; none if it is any other message.

    Example:
        >>> [found] = read_refused_values('"1","weight","22","... could not be validated."')
        >>> found
        RefusedValue(field_name='weight', kind='invalid format')
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(message, newline=""), strict=True) if row]
    except csv.Error:
        return ()
    if not message.startswith('"') or any(len(row) != 4 for row in rows):
        return ()
    return tuple(RefusedValue(row[0], row[1], row[2], _find_kind(row[3]), row[3]) for row in rows)


def import_refused_error(refused_values: tuple[RefusedValue, ...]) -> ImportRefusedError:
    """Return the error for some import errors."""
    # Text in the place of a field name may be data, and is only counted.
    names = (refused.field_name for refused in refused_values)
    counts = Counter(name if _NAME.fullmatch(name) else "others" for name in names)
    shown = list_names([f"{name} ({count})" for name, count in counts.most_common()])
    error = ImportRefusedError(
        f"REDCap refused {len(refused_values)} values and imported nothing of this request: "
        f"{shown}. The error's attribute refused_values has each record, field and kind."
    )
    kinds = {refused.kind for refused in refused_values}
    error.kind = kinds.pop() if len(kinds) == 1 else "several"
    error.names = tuple(name for name in counts if name != "others")
    error.records = tuple(dict.fromkeys(refused.record for refused in refused_values))
    error.refused_values = refused_values
    return error


def _find_kind(message: str) -> str:
    return next((kind for kind, text in _KINDS if text in message), "unknown")
