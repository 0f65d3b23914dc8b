"""The id of a query, which stays as long as the project, and the digest of what a rule read."""

import base64
import hashlib
import json
from collections.abc import Mapping

_LETTERS = 12


def build_query_id(
    server: str, project_id: int | None, rule: str, key: tuple[str, str, int | None], place: str
) -> str:
    """Return the id of a query: ``Q`` and twelve letters, the same in all runs and on all machines.

    It stands beside the record id in the tables, so that it does not have to hide it.

    Args:
        server: Host, port and path of the API.
        project_id: Id of the project; None if it is unknown.
        rule: Name of the rule.
        key: Record id, unique event name (blank in a classic project), and instance (None outside
            of repeating instruments and events).
        place: Name of the field; for the form as a whole, that of the instrument.

    Example:
        >>> build_query_id("redcap.example.edu/api", 12, "within_range", ("1", "", None), "age")
        'QZLOFVXFY7FUM'
    """
    parts = [server, project_id, rule, *key, place]
    digest = hashlib.sha256(json.dumps(parts).encode())
    return "Q" + base64.b32encode(digest.digest()).decode()[:_LETTERS]


def digest_values(salt: str, values: Mapping[str, str | None]) -> str:
    """Return a digest of the values that a rule read in a row; a blank and a null are the same.

    Args:
        salt: Text that makes the digests of two queries with the same values differ.
        values: The values, by column.

    Example:
        >>> digest_values("a", {"age": "4"}) == digest_values("b", {"age": "4"})
        False
    """
    filled = sorted((name, value) for name, value in values.items() if value)
    return hashlib.sha256(json.dumps([salt, filled]).encode()).hexdigest()[:32]
