"""Versions of a table: of the code and the rules that make it, and of its content."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import fields, replace
from operator import attrgetter

import dagster as dg

from redcap_dagster.catalog.column_schema import type_name
from redcap_dagster.checks.checks import Layer
from redcap_dagster.project import Field, Instrument, REDCapProject
from redcap_dagster.tables import CleaningRules, Contents

TABLE_VERSION = "1"
"""Increases when the package makes other tables from the same records, dictionary and rules."""

_dictionary_row = attrgetter(*(column.name for column in fields(Field)))


def code_version(
    layer: Layer, project: REDCapProject, instrument: Instrument | None, rules: CleaningRules
) -> str:
    """Return the version of the code and the rules that make a table.

    It changes with the dictionary and the columns of the table's instrument; for records also with
    the events and repeats that decide which rows belong to the instrument; for the clean table also
    with the cleaning rules and the missing data codes of the project. The order of rules does not
    matter.

    Args:
        layer: Layer of the table.
        project: The structure.
        instrument: The table's instrument; None for other tables, whose version never changes.
        rules: How records become clean tables.
    """
    if instrument is None:
        return _digest()
    name = instrument.instrument_name
    structure = _structure(project, name)
    if layer == "records":
        return _digest(*structure, *_row_selection(project, name), rules.keep_unsaved)
    given = replace(
        rules, types=dict(sorted(rules.types.items())), missing_values=sorted(rules.missing_values)
    )
    secondary = project.info.secondary_unique_field
    fields = {field.field_name for field in project.instrument_fields(name)}
    ids = [secondary] if secondary in fields else []  # which are text
    return _digest(*structure, project.info.missing_data_codes, given, *ids)


def _structure(project: REDCapProject, instrument: str) -> Iterable[object]:
    names = (*project.key_columns(instrument), *project.context_columns)
    rows = [_dictionary_row(field) for field in project.instrument_fields(instrument)]
    return names, [column.name for column in project.columns(instrument)], rows


def _row_selection(project: REDCapProject, instrument: str) -> Iterable[object]:
    events = set(project.designated_events(instrument))
    arms = [(event.unique_event_name, event.arm_num) for event in project.events]
    repeats = {*project.events_where_repeating(instrument), *(events & project.repeating_events)}
    return (
        sorted(arm for arm in arms if arm[0] in events),
        sorted(repeats),
        project.honors_blank_status,
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr((TABLE_VERSION, *parts)).encode()).hexdigest()[:16]


def data_version(contents: Contents, key: bytes) -> dg.DataVersion:
    """Return the version of a table's content: a keyed hash of its names, types and cells.

    Nobody can test a guess about the content against it without the key, which belongs to the
    project's token. How Arrow holds the table in memory does not matter.

    Args:
        contents: The table, and the digests of its columns.
        key: The key.
    """
    schema = contents.table.schema
    columns = [
        (name, type_name(kind), contents.digests[name])
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    return dg.DataVersion(hmac.new(key, repr(columns).encode(), hashlib.sha256).hexdigest()[:32])
