"""Versions: of a table's content, and of the way that it is made."""

import hashlib
import hmac
import io
from collections.abc import Iterable
from dataclasses import fields, replace
from operator import attrgetter

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from redcap_dagster.catalog.column_schema import type_name
from redcap_dagster.checks.rules import Layer
from redcap_dagster.project import Field, Instrument, REDCapProject
from redcap_dagster.tables import CleaningRules

MAKING = "1"
"""Goes up when this package makes other tables of the same records, dictionary and rules."""

_dictionary_row = attrgetter(*(column.name for column in fields(Field)))


def code_version(
    layer: Layer, project: REDCapProject, instrument: Instrument | None, rules: CleaningRules
) -> str:
    """Give the version of the way that a table is made.

    That of an instrument's tables changes with its dictionary and its columns; that of its records
    also with what decides which rows are theirs: the events that have the form, where it repeats,
    and whether the server tells what was saved; that of its clean table with the rules and the
    project's missing data codes. The order in which rules are given is no matter.
    """
    if instrument is None:
        return _digest()
    form = instrument.instrument_name
    structure = _structure(project, form)
    if layer == "records":
        return _digest(*structure, *_places(project, form), rules.keep_unsaved)
    given = replace(
        rules, types=dict(sorted(rules.types.items())), missing_values=sorted(rules.missing_values)
    )
    return _digest(*structure, project.info.missing_data_codes, given)


def _structure(project: REDCapProject, form: str) -> Iterable[object]:
    names = (*project.key_columns(form), *project.context_columns)
    rows = [_dictionary_row(field) for field in project.instrument_fields(form)]
    return names, [column.name for column in project.columns(form)], rows


def _places(project: REDCapProject, form: str) -> Iterable[object]:
    events = set(project.designated_events(form))
    arms = [(event.unique_event_name, event.arm_num) for event in project.events]
    repeats = {*project.events_where_repeating(form), *(events & project.repeating_events)}
    return (
        sorted(arm for arm in arms if arm[0] in events),
        sorted(repeats),
        project.honors_blank_status,
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr((MAKING, *parts)).encode()).hexdigest()[:16]


def data_version(table: pa.Table, key: bytes) -> dg.DataVersion:
    """Tell whether a table is the same as another time, from names, types and cells.

    The hash is keyed: without the key, which goes with the project's token, nobody can test a
    guess at the table's content against it. How Arrow has cut the table into chunks is no matter.
    """
    digest = hmac.new(key, repr(_signature(table)).encode(), hashlib.sha256)
    plain = pa.table(
        [_as_plain(column) for column in table.columns],
        names=table.column_names,
    )
    without_header = pyarrow.csv.WriteOptions(include_header=False)
    for batch in plain.to_batches(max_chunksize=50_000):
        text = io.BytesIO()
        pyarrow.csv.write_csv(batch, text, without_header)  # quotes text: blank and null differ
        digest.update(text.getbuffer())
    return dg.DataVersion(digest.hexdigest()[:32])


def _as_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Make a column what a CSV can hold."""
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    if pa.types.is_list(column.type):
        return pc.binary_join(column, "\x1f")
    return column


def _signature(table: pa.Table) -> list[tuple[str, str]]:
    return [
        (name, type_name(kind))
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
    ]
