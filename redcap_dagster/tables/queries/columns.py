"""The columns of the open list and of the history: their types, and what they hold."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

import pyarrow as pa

from redcap_dagster.tables.queries.life import Step
from redcap_dagster.tables.queries.query import Query

_TIME = pa.timestamp("us")
TYPES: Final = {"instance": pa.int64(), "at": _TIME, "since": _TIME, "step": pa.int64()}
"""Types of the columns that do not hold text."""


def _build_schema(*names: str) -> pa.Schema:
    return pa.schema([(name, TYPES.get(name, pa.string())) for name in names])


OF_QUERY: Final = tuple(each.name for each in fields(Query))
OF_STEP: Final = tuple(each.name for each in fields(Step))

OPEN_SCHEMA: Final = _build_schema(
    *("query_id", "record", "event", "instance", "access_group", "instrument", "field", "label"),
    *("rule", "letter", "problem", "value", "severity", "since", "state", "link"),
)
"""The columns of the open list; ``value`` is left out where values are not shown."""

HISTORY_SCHEMA: Final = _build_schema(*OF_QUERY, "step", *OF_STEP, "salt")
"""The columns of the history."""

QUERY_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "query_id": "Id of the query, the same in all runs",
    "record": "Record id",
    "event": "Unique event name; null in a classic project",
    "instance": "Number of the instance; null outside of repeating instruments and events",
    "access_group": "Data access group of the record; null without one, or if the token may not "
    "read groups",
    "instrument": "Name of the instrument",
    "field": "Name of the field; null if the query is about the form as a whole",
    "label": "Label of the field, or of the instrument",
    "rule": "Name of the rule",
    "letter": "Letter of the rule in REDCap; null without one",
    "problem": "What is wrong, in words",
    "value": "The value; null for a field that is marked as an identifier",
    "severity": "warn or error",
    "since": "When the query entered the open list, in UTC",
    "state": "State of the query",
    "link": "URL of the form in REDCap, at the field",
    "step": "Number of the step in the life of the query, from 1",
    "what": "What happened: found, changed, found again, or the new state",
    "at": "When the run noticed it, in UTC",
    "digest": "Digest of the values that the rule read when it last found them wrong",
    "who": "Who confirmed the query; null for other steps",
    "why": "Reason of the confirmation; null for other steps",
    "salt": "Salt of the query's digests",
}
"""What each column of both tables holds, for Dagster's catalog and the warehouse."""
