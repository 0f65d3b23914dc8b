"""The open list and the history after one more run."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

import pyarrow as pa

from redcap_dagster.project import StructureError
from redcap_dagster.project.links import RecordForm, build_form_urls
from redcap_dagster.tables.queries.columns import (
    HISTORY_SCHEMA,
    OF_QUERY,
    OF_STEP,
    OPEN_SCHEMA,
    TYPES,
)
from redcap_dagster.tables.queries.confirmations import Confirmations
from redcap_dagster.tables.queries.identity import digest_values
from redcap_dagster.tables.queries.judgment import Judgment
from redcap_dagster.tables.queries.life import LISTED, Life, State, Step
from redcap_dagster.tables.queries.query import Query

_UNKNOWN: Final = "no query has its id"


@dataclass(frozen=True)
class QueryTables:
    """The queries after a run.

    Attributes:
        open: The open list: one row per query that nobody has mended or confirmed.
        history: One row per step in the life of each query.
        refused: Why a confirmation was refused, by the number of its row.
        not_found: Rows of the confirmations whose ids the run does not know, but other records may
            have. Defaults to none, as in a run about all records.
    """

    open: pa.Table = field(repr=False)
    history: pa.Table = field(repr=False)
    refused: Mapping[str, str] = field(default_factory=dict)
    not_found: Sequence[str] = ()

    def count_states(self) -> Mapping[str, int]:
        """Return how many queries have each state."""
        last = {row["query_id"]: row["state"] for row in _sort_steps(self.history)}
        counts = Counter(last.values())
        return {state.value: counts[state.value] for state in State}

    def count_open(self) -> Sequence[tuple[str, str, int]]:
        """Return how many queries are in the open list, by rule and access group.

        Records without a group have a blank one.
        """
        rows = zip(
            self.open["rule"].to_pylist(), self.open["access_group"].to_pylist(), strict=True
        )
        counts = Counter((rule, group or "") for rule, group in rows)
        return [(*both, count) for both, count in sorted(counts.items())]


@dataclass
class _Case:
    """A query with its life."""

    query: Query
    life: Life
    value: str = ""


def update_queries(
    judgment: Judgment,
    history: pa.Table | None = None,
    confirmations: Confirmations | None = None,
    *,
    show_values: bool = False,
    url: str = "",
    make_salt: Callable[[], str] = lambda: secrets.token_hex(8),
) -> QueryTables:
    """Return the open list and the history after a run.

    A query is solved only if its rule was judged again on its row and is certainly not violated.

    Args:
        judgment: What the run judged.
        history: The stored history. Defaults to none, for the first run.
        confirmations: What a data manager confirmed. Defaults to none.
        show_values: Whether the open list has the values of the fields, except for identifiers.
            Defaults to False.
        url: URL of the API, for links. Defaults to blank, for none.
        make_salt: Returns a new salt for the digests of a query. Defaults to a random one.

    Example:
        >>> from datetime import UTC, datetime
        >>> from redcap_dagster.project import REDCapProject
        >>> from redcap_dagster.tables.quality import RuleFindings
        >>> from redcap_dagster.tables.queries.judgment import JudgedForm
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "visit"},
        ...               {"field_name": "age", "form_name": "visit"}])
        >>> records = pa.table({"id": ["1", "2"], "age": ["400", "40"],
        ...                     "visit_complete": ["2", "2"]})
        >>> found = RuleFindings(
        ...     rule="within_range", letter="D", instrument="visit", field="age",
        ...     wrong=pa.array([True, False]), certain=pa.array([True, True]),
        ...     read=records.select(["age"]), text="The value is out of range.")
        >>> judgment = Judgment(
        ...     project, "redcap.example.edu/api", datetime(2026, 1, 31, tzinfo=UTC),
        ...     {"visit": JudgedForm("visit", records, [found])}, {"within_range"})
        >>> update_queries(judgment).open.select(["record", "field", "state"]).to_pylist()
        [{'record': '1', 'field': 'age', 'state': 'open'}]
    """
    given = confirmations or Confirmations()
    at = judgment.at.astimezone(UTC).replace(tzinfo=None)
    cases = {case.query.query_id: case for case in _read_cases(history)}
    for query_id, case in cases.items():
        case.life = case.life.confirm(given.by_query.get(query_id, ()), at)
    wrong: dict[str, _Case] = {}
    for query, read, value in judgment.find_wrong():
        if query.query_id in wrong:  # of a duplicate row
            continue
        known = cases.get(query.query_id)
        life = Life(make_salt()) if known is None else known.life
        life = life.find_wrong(digest_values(life.salt, read), at)
        if known is None:
            life = life.confirm(given.by_query.get(query.query_id, ()), at)
        wrong[query.query_id] = _Case(query, life, value)
    others = [case for query_id, case in cases.items() if query_id not in wrong]
    said = judgment.look_up(case.query for case in others)
    for case in others:
        case.life = case.life.miss(said[case.query.query_id], at)
    cases |= wrong
    unknown = [one.row for one in given.given if one.query_id not in cases]
    listed = [case for case in (*wrong.values(), *others) if case.life.state in LISTED]
    return QueryTables(
        _build_open(judgment, listed, url, show_values=show_values),
        _build_history(cases.values()),
        {**given.refused, **dict.fromkeys(unknown if judgment.is_whole else (), _UNKNOWN)},
        () if judgment.is_whole else unknown,
    )


def read_history(stored: pa.Table) -> pa.Table:
    """Return a stored history with the types of its columns, whichever storage keeps it.

    Raises:
        StructureError: It does not have the columns of a history.
    """
    missing = [name for name in HISTORY_SCHEMA.names if name not in stored.column_names]
    if missing:
        raise StructureError(
            f"The stored history of the queries does not have the columns {missing}, so it was not "
            "replaced. Rename or drop that table."
        )
    return stored.select(HISTORY_SCHEMA.names).cast(HISTORY_SCHEMA)


def _read_cases(history: pa.Table | None) -> Iterator[_Case]:
    """Yield the queries of a stored history."""
    steps: dict[str, list[Mapping[str, Any]]] = {}
    for row in () if history is None else _sort_steps(history):
        steps.setdefault(row["query_id"], []).append(row)
    for rows in steps.values():
        last = rows[-1]
        query = Query(**{name: _fill_text(last, name) for name in OF_QUERY})
        life = Life(
            last["salt"],
            tuple(
                Step(
                    **{name: _fill_text(row, name) for name in OF_STEP if name != "state"},
                    state=State(row["state"]),
                )
                for row in rows
            ),
        )
        yield _Case(query, life)


def _sort_steps(history: pa.Table) -> Sequence[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = history.to_pylist()
    return sorted(rows, key=lambda row: row["step"])


def _fill_text(row: Mapping[str, Any], name: str) -> Any:
    """Return a cell; blank for a null of a text."""
    return row[name] if name in TYPES else row[name] or ""


def _build_history(cases: Iterable[_Case]) -> pa.Table:
    rows = [
        {
            **{name: getattr(case.query, name) for name in OF_QUERY},
            "step": number,
            **{name: getattr(step, name) for name in OF_STEP},
            "salt": case.life.salt,
        }
        for case in cases
        for number, step in enumerate(case.life.steps, start=1)
    ]
    return _build_table(rows, HISTORY_SCHEMA)


def _build_open(
    judgment: Judgment, cases: Sequence[_Case], url: str, *, show_values: bool
) -> pa.Table:
    forms = [
        RecordForm(query.instrument, query.record, query.event, query.instance, query.field)
        for query in (case.query for case in cases)
    ]
    rows = [
        {
            **{name: getattr(case.query, name) for name in OF_QUERY},
            "label": _find_label(judgment, case.query),
            "value": _show_value(judgment, case),
            "since": case.life.steps[-1].since,
            "state": case.life.state,
            "link": link,
        }
        for case, link in zip(cases, build_form_urls(url, judgment.project, forms), strict=True)
    ]
    table = _build_table(rows, OPEN_SCHEMA)
    return table if show_values else table.drop_columns("value")


def _find_label(judgment: Judgment, query: Query) -> str:
    """Return the label of a query's field, or of its instrument."""
    if query.field in judgment.fields:
        return judgment.fields[query.field].field_label
    labels = {form.instrument_name: form.instrument_label for form in judgment.project.instruments}
    return "" if query.field else labels.get(query.instrument, "")


def _show_value(judgment: Judgment, case: _Case) -> str:
    field_now = judgment.fields.get(case.query.field)
    is_identifier = field_now is not None and field_now.is_identifier
    return "" if is_identifier else case.value


def _build_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table, with blanks null."""
    return pa.table(
        {
            each.name: pa.array(
                [None if row[each.name] == "" else row[each.name] for row in rows], each.type
            )
            for each in schema
        },
        schema=schema,
    )
