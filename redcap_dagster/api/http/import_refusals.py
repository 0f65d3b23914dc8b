"""The import errors that REDCap sends, one per value, as a typed error.

REDCap sends a CSV row per value: record, field, value, message. The rows hold people's data, so the
message of the error has only field names and counts.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection
from typing import Final

from redcap_dagster.api.errors import ImportRefusedError, RefusedValue
from redcap_dagster.api.http.server_sentences import quote_sentence
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import ACCESS_GROUP, EVENT_NAME, REPEAT_COLUMNS

_KINDS: Final = (
    ("invalid format", "could not be validated"),
    ("not designated", "not designated for the event"),
    ("invalid choice", "not a valid category"),  # guess
)
_SYSTEM_COLUMNS: Final = (EVENT_NAME, *REPEAT_COLUMNS, ACCESS_GROUP)

_MOST_SENTENCES: Final = 3


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


def import_refused_error(
    refused_values: tuple[RefusedValue, ...], columns: Collection[str] = ()
) -> ImportRefusedError:
    """Return the error for some import errors.

    Args:
        refused_values: The import errors.
        columns: The columns of the project: any other name may be data, and is only counted.
            Defaults to REDCap's own columns.
    """
    names = [refused.field_name for refused in refused_values]
    known = {*columns, *_SYSTEM_COLUMNS}.intersection(names)
    counts = Counter(name if name in known else "others" for name in names)
    shown = list_names([f"{name} ({count})" for name, count in counts.most_common()])
    error = ImportRefusedError(
        f"REDCap refused {len(refused_values)} values and imported nothing of this request: "
        f"{shown}.{_quote_unknown(refused_values)} The error's attribute refused_values has each "
        "record, field and kind."
    )
    kinds = {refused.kind for refused in refused_values}
    error.kind = kinds.pop() if len(kinds) == 1 else "several"
    error.names = tuple(name for name in dict.fromkeys(names) if name in known)
    error.records = tuple(dict.fromkeys(refused.record for refused in refused_values))
    error.refused_values = refused_values
    return error


def name_columns(error: ImportRefusedError, columns: Collection[str]) -> None:
    """Name the refused columns in an error, of those that the project has."""
    named = import_refused_error(error.refused_values, columns)
    error.args, error.names = (f"{error.request}: {named}",), named.names


def _quote_unknown(refused_values: tuple[RefusedValue, ...]) -> str:
    """Return what may be shown of the messages whose kind is not known."""
    unknown = (refused.message for refused in refused_values if refused.kind == "unknown")
    quoted = dict.fromkeys(quote_sentence(message, {}) for message in dict.fromkeys(unknown))
    return "".join([sentence for sentence in quoted if sentence][:_MOST_SENTENCES])


def _find_kind(message: str) -> str:
    return next((kind for kind, text in _KINDS if text in message), "unknown")
