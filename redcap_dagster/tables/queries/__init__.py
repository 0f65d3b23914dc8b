"""What the rules found, as queries for the people who mend it: an open list, and a history.

In the order of use: `identity` names a query, `query` describes one, `life` is what happens to one,
`judgment` what a run says of each, `confirmations` what a data manager says, `update` makes the
tables `open` and `history`, with the `columns` of these. Imports `redcap_dagster.tables.quality`
and what that may import.
"""

from redcap_dagster.tables.queries.columns import QUERY_DESCRIPTIONS
from redcap_dagster.tables.queries.confirmations import (
    Confirmation,
    ConfirmationError,
    Confirmations,
    read_confirmations,
)
from redcap_dagster.tables.queries.identity import build_query_id
from redcap_dagster.tables.queries.judgment import JudgedForm, Judgment
from redcap_dagster.tables.queries.life import State
from redcap_dagster.tables.queries.update import QueryTables, read_history, update_queries

__all__ = [
    "QUERY_DESCRIPTIONS",
    "Confirmation",
    "ConfirmationError",
    "Confirmations",
    "JudgedForm",
    "Judgment",
    "QueryTables",
    "State",
    "build_query_id",
    "read_confirmations",
    "read_history",
    "update_queries",
]
