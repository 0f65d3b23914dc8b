"""One query: which rule found something wrong, where, and in which words."""

from dataclasses import dataclass

RowKey = tuple[str, str, int | None]
"""Record id, unique event name (blank in a classic project), instance (None without one)."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query, as both tables have it.

    Attributes:
        query_id: Its id; see `redcap_dagster.tables.queries.build_query_id`.
        record: Record id.
        event: Unique event name; blank in a classic project.
        instance: Number of the instance; None outside of repeating instruments and events.
        access_group: Unique name of the record's data access group; blank without one.
        instrument: Name of the instrument.
        field: Name of the field; blank for the form as a whole.
        rule: Name of the rule.
        letter: Letter of the rule in REDCap; blank without one.
        problem: What is wrong, in words and without values.
        severity: ``warn`` or ``error``.
    """

    query_id: str
    record: str
    event: str
    instance: int | None
    access_group: str
    instrument: str
    field: str
    rule: str
    letter: str
    problem: str
    severity: str

    @property
    def key(self) -> RowKey:
        """The key of its row in the instrument's table."""
        return (self.record, self.event, self.instance)

    @property
    def place(self) -> str:
        """Its field, or its instrument if it is about the form as a whole."""
        return self.field or self.instrument
