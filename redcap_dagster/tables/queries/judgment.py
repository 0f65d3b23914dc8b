"""What one run says of each query: certainly wrong, certainly right, or why neither can be said."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Field, REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    status_column,
)
from redcap_dagster.tables.quality import RuleFindings
from redcap_dagster.tables.queries.identity import build_query_id
from redcap_dagster.tables.queries.life import State
from redcap_dagster.tables.queries.query import Query, RowKey


@dataclass(frozen=True)
class JudgedForm:
    """An instrument that a run judged.

    Attributes:
        instrument: Name of the instrument.
        records: Its records, as text.
        findings: What the rules found, one row per row of the records.
        severities: Severity of each rule's queries, ``warn`` or ``error``. Defaults to ``warn``.
        hidden: Columns that export rights hide. Defaults to none.
    """

    instrument: str
    records: pa.Table = field(repr=False)
    findings: Sequence[RuleFindings] = field(repr=False)
    severities: Mapping[str, str] = field(default_factory=dict)
    hidden: Collection[str] = ()


@dataclass(frozen=True)
class Judgment:
    """What one run judged, and what it knows of records that it does not see.

    Attributes:
        project: The structure.
        server: Host, port and path of the API, of which query ids are made.
        at: When the records were exported, with a time zone.
        forms: The judged instruments, by name.
        rules: The rules whose findings are queries.
        instruments: The instruments that have tables. Defaults to all of the project.
        listed: Ids of the records that REDCap lists. Defaults to None: unknown.
        sees_all_records: Whether a record that REDCap does not list was certainly deleted, as the
            token's user sees the records of all access groups. Defaults to False.
        is_whole: Whether the run is about all records, so that it knows all queries. Defaults to
            True.
    """

    project: REDCapProject = field(repr=False)
    server: str
    at: datetime
    forms: Mapping[str, JudgedForm] = field(repr=False)
    rules: Collection[str]
    instruments: Collection[str] | None = None
    listed: Collection[str] | None = field(default=None, repr=False)
    sees_all_records: bool = False
    is_whole: bool = True

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The fields of all instruments by name, with the record id and the forms' statuses."""
        names = [form.instrument_name for form in self.project.instruments]
        own = [each for name in names for each in self.project.instrument_fields(name)]
        return {each.field_name: each for each in (*own, self.project.fields[0])}

    @cached_property
    def _columns(self) -> Mapping[str, Sequence[str]]:
        """The export columns of each field; a checkbox has several."""
        columns = {self.project.record_id_field: [self.project.record_id_field]}
        for form in self.project.instruments:
            for column in self.project.columns(form.instrument_name):
                columns.setdefault(column.field.field_name, []).append(column.name)
        return columns

    @cached_property
    def _findings(self) -> Mapping[tuple[str, str], Sequence[RuleFindings]]:
        """The findings by rule and field, or by instrument where they are about the form.

        One of the project's own rules has one for each of its instruments, with a blank place.
        """
        findings: dict[tuple[str, str], list[RuleFindings]] = {}
        for form in self.forms.values():
            for one in form.findings:
                if one.rule in self.rules:
                    place = "" if _is_own_rule(one) else one.field or one.instrument
                    findings.setdefault((one.rule, place), []).append(one)
        return findings

    @cached_property
    def _hidden(self) -> frozenset[str]:
        """Columns that export rights hide, and their fields."""
        columns = {name for form in self.forms.values() for name in form.hidden}
        fields = {name for name, own in self._columns.items() if not columns.isdisjoint(own)}
        return frozenset(columns | fields)

    def find_wrong(self) -> Iterator[tuple[Query, Mapping[str, str | None], str]]:
        """Yield each query that is certainly wrong, the values that its rule read, and its value.

        The value is the one of its field, or the ticked options of a checkbox; blank for the form
        as a whole.
        """
        for found in chain.from_iterable(self._findings.values()):
            rows = np.flatnonzero(found.wrong.to_numpy(zero_copy_only=False))
            if not len(rows):
                continue
            form = self.forms[found.instrument]
            records = self._take_rows(form, rows, found.field)
            seen = self._find_listed(records)
            rows, records = rows[seen], records.filter(pa.array(seen))
            read = found.read.take(rows).to_pylist()
            groups = _list_texts(records, ACCESS_GROUP)
            values = self._list_values(records, found.field)
            keys = self._list_keys(records)
            for key, group, row, value in zip(keys, groups, read, values, strict=True):
                place = found.field or self._find_place(found, key)
                query = Query(
                    self._build_id(found.rule, key, place),
                    *key,
                    group,
                    found.instrument,
                    found.field,
                    found.rule,
                    found.letter,
                    found.text,
                    form.severities.get(found.rule, "warn"),
                )
                yield query, row, value

    def look_up(self, queries: Iterable[Query]) -> Mapping[str, State]:
        """Return what the run says of queries that it did not find wrong, by their ids."""
        by_finding: dict[tuple[str, str], list[Query]] = {}
        for query in queries:
            place = "" if _is_own_rule(query) else query.place
            by_finding.setdefault((query.rule, place), []).append(query)
        return {
            query.query_id: state
            for found, same in by_finding.items()
            for query, state in self._judge_together(self._findings.get(found, ()), same)
        }

    def _take_rows(self, form: JudgedForm, rows: Any, name: str = "") -> pa.Table:
        """Return rows of a form with their keys, their access group, and one field."""
        own = (self.project.record_id_field, EVENT_NAME, REPEAT_INSTANCE, ACCESS_GROUP)
        wanted = dict.fromkeys((*own, *self._columns.get(name, ())))
        there = [column for column in wanted if column in form.records.column_names]
        return form.records.select(there).take(rows)

    def _find_listed(self, records: pa.Table) -> Any:
        """Return True for each row of a record that REDCap still lists, as far as is known.

        A record may be gone since the tables of other instruments were stored.
        """
        if self.listed is None:
            return np.repeat(True, len(records))
        ids = _list_texts(records, self.project.record_id_field)
        return np.array([record in self.listed for record in ids], bool)

    def _judge_together(
        self, findings: Sequence[RuleFindings], queries: Sequence[Query]
    ) -> Iterator[tuple[Query, State]]:
        """Yield what the run says of queries of one rule in one place."""
        rows = [(one, self._find_rows(self.forms[one.instrument], queries)) for one in findings]
        for query in queries:
            instrument = self._find_instrument(query)
            form = self.forms.get(instrument or "")
            if query.rule not in self.rules or instrument is None:
                yield query, State.WITHDRAWN
            elif self.listed is not None and query.record not in self.listed:
                yield query, State.DELETED if self.sees_all_records else State.HIDDEN
            elif form is None:
                yield query, State.NOT_JUDGED
            elif not findings:
                yield query, self._explain_missing_rule(form, query)
            else:
                place = self._find_place(query, query.key)
                same = [
                    (one, row)
                    for one, found in rows
                    if query.field or self._find_place(one, query.key) == place
                    for row in found.get(query.key, ())
                ]
                yield query, self._judge_rows(form, query, same)

    def _judge_rows(
        self, form: JudgedForm, query: Query, rows: Sequence[tuple[RuleFindings, int]]
    ) -> State:
        """Return what the findings say of a query that is not wrong in any of its rows."""
        if not rows:
            return self._explain_missing_row(form)
        if all(found.certain[row].as_py() for found, row in rows):
            return State.SOLVED
        read = {word for one, _ in rows for word in _list_words(one.read.column_names)}
        hidden = self._is_hidden(query) or not self._hidden.isdisjoint(read)
        return State.HIDDEN if hidden else State.NOT_JUDGED

    def _explain_missing_rule(self, form: JudgedForm, query: Query) -> State:
        """Return why a rule did not judge a field or a form.

        Some rules judge the forms that are marked Complete, which the status tells.
        """
        if query.key not in self._find_rows(form, [query]):
            return self._explain_missing_row(form)
        hidden = self._is_hidden(query) or status_column(query.instrument) in form.hidden
        return State.HIDDEN if hidden else State.WITHDRAWN

    def _find_place(self, found: RuleFindings | Query, key: RowKey) -> str:
        """Return where a finding about a form is: in the form, or in all forms of the event.

        The row of one of the project's own rules is that of all its instruments, except for the
        instances of a repeating instrument.
        """
        _, event, instance = key
        repeats = instance is not None and event in self.project.events_where_repeating(
            found.instrument
        )
        return found.instrument if repeats or not _is_own_rule(found) else ""

    def _find_instrument(self, query: Query) -> str | None:
        """Return the instrument on which a query's field is now; None if it has no table."""
        if query.field and query.field not in self.fields:
            return None
        field_now = self.fields.get(query.field)
        is_record_id = query.field == self.project.record_id_field
        moved = field_now is not None and not is_record_id
        name = field_now.form_name if field_now is not None and moved else query.instrument
        if self.instruments is not None:
            return name if name in self.instruments else None
        known = {form.instrument_name for form in self.project.instruments}
        return name if name in known else None

    def _explain_missing_row(self, form: JudgedForm) -> State:
        """Return why an instrument does not have a row any more.

        A row is there if one of its values says that the form was saved, and that may be hidden.
        """
        if form.hidden:
            return State.HIDDEN
        return State.NOT_JUDGED if self.listed is None else State.DELETED

    def _is_hidden(self, query: Query) -> bool:
        return not self._hidden.isdisjoint(self._columns.get(query.field, ()))

    def _find_rows(
        self, form: JudgedForm, queries: Sequence[Query]
    ) -> Mapping[RowKey, Sequence[int]]:
        """Return the rows of each query; duplicate rows have one key."""
        wanted = {query.key for query in queries}
        ids = pa.array({query.record for query in queries}, pa.string())
        near = pc.is_in(form.records[self.project.record_id_field], value_set=ids)
        places = np.flatnonzero(near.to_numpy())
        rows: dict[RowKey, list[int]] = {}
        for place, key in zip(places, self._list_keys(self._take_rows(form, places)), strict=True):
            if key in wanted:
                rows.setdefault(key, []).append(int(place))
        return rows

    def _list_keys(self, records: pa.Table) -> Sequence[RowKey]:
        ids = _list_texts(records, self.project.record_id_field)
        events = _list_texts(records, EVENT_NAME, exists=self.project.is_longitudinal)
        numbers = _list_texts(records, REPEAT_INSTANCE, exists=self.project.has_repeating)
        instances = [int(number) if number.isdecimal() else None for number in numbers]
        return list(zip(ids, events, instances, strict=True))

    def _list_values(self, records: pa.Table, name: str) -> Sequence[str]:
        field_now = self.fields.get(name)
        if field_now is None:
            return [""] * len(records)
        if field_now.field_type != "checkbox":
            return _list_texts(records, name)
        options = [
            (column.choice.code, _list_texts(records, column.name))
            for column in self.project.columns(field_now.form_name)
            if column.choice is not None and column.field.field_name == name
        ]
        return [
            ", ".join(code for code, ticks in options if ticks[row] == "1")
            for row in range(len(records))
        ]

    def _build_id(self, rule: str, key: RowKey, place: str) -> str:
        return build_query_id(self.server, self.project.info.project_id, rule, key, place)


def _is_own_rule(found: RuleFindings | Query) -> bool:
    """Whether a finding or a query is about a row, and of one of the project's own rules."""
    return not (found.field or found.letter)


def _list_words(names: Iterable[str]) -> Iterator[str]:
    """Yield the names of fields in the names of columns, such as ``[visit_1][age]``."""
    for name in names:
        yield from re.findall(r"\w+", name)


def _list_texts(records: pa.Table, name: str, *, exists: bool = True) -> Sequence[str]:
    """Return a column with blanks for nulls; all blank if the table does not have it."""
    if not exists or name not in records.column_names:
        return [""] * len(records)
    return [text or "" for text in records[name].to_pylist()]
