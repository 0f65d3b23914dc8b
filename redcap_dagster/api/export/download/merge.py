"""The rows of several requests merged into one table, in REDCap's own order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.export.plan.listing import list_keys
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.reader.row_keys import drop_records, join_key_columns
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_COLUMNS,
    REPEAT_INSTANCE,
    SURVEY_IDENTIFIER,
    status_column,
    timestamp_column,
)

_CONTEXT = (ACCESS_GROUP, SURVEY_IDENTIFIER)


def join_parts(
    tables: Sequence[pa.Table], project: REDCapProject, records: Sequence[str]
) -> pa.Table:
    """Return tables with different columns as one: a row for each key that any of them has.

    Args:
        tables: At least one table. Each has all key columns that the project has.
        project: The structure, which determines the order of columns and rows.
        records: The record ids in REDCap's order.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "age", "form_name": "a"}])
        >>> late = pa.table({"id": ["2", "1"], "a_complete": ["2", "0"]})
        >>> early = pa.table({"id": ["1"], "age": ["40"]})
        >>> join_parts([late, early], project, ["1", "2"]).to_pylist()
        [{'id': '1', 'age': '40', 'a_complete': '0'}, {'id': '2', 'age': None, 'a_complete': '2'}]
    """
    if len(tables) == 1:
        return tables[0]
    names = (project.record_id_field, EVENT_NAME, *REPEAT_COLUMNS)
    keys = [name for name in names if name in tables[0].column_names]
    places = pa.concat_tables([table.select(keys) for table in tables])
    places = places.group_by(keys, use_threads=False).aggregate([])
    places = places.take(_order_rows(places, project, records))
    key_order = join_key_columns(places, keys)
    rows = [
        pc.index_in(key_order, join_key_columns(table, keys).combine_chunks()) for table in tables
    ]
    columns: dict[str, Any] = {name: places[name] for name in keys}
    for name in _order_columns([table.column_names for table in tables], project):
        if name not in columns:
            found = [
                table[name].take(row)
                for table, row in zip(tables, rows, strict=True)
                if name in table.column_names
            ]
            columns[name] = found[0] if len(found) == 1 else pc.coalesce(*found)
    return pa.table(columns)


def drop_added_rows(table: pa.Table, listed: pa.Table, query: ExportQuery) -> pa.Table:
    """Return joined rows without blank ones that one request for all columns does not return.

    Of a record that has only instances, a response without their instruments has a blank row (a
    guess). REDCap does not list that row beside the instances.

    Args:
        table: The rows of several responses for different columns.
        listed: The listed rows, with their instances.
        query: The query.
    """
    if REPEAT_INSTANCE not in table.column_names or REPEAT_INSTANCE not in listed.column_names:
        return table
    keys = list_keys(table, query.project.record_id_field)
    known = pc.is_in(join_key_columns(table, keys), join_key_columns(listed, keys))
    numbers = pc.indices_nonzero(pc.and_not(pc.is_null(table[REPEAT_INSTANCE]), known))
    if not len(numbers):  # the usual case
        return table
    zeros = _list_zero_columns(query)
    blank = np.ones(len(numbers), np.bool_)
    for name in {*table.column_names} - {*keys, *_CONTEXT}:
        cells = table[name].take(numbers)
        is_blank = pc.is_null(cells)
        if name in zeros:
            is_blank = pc.or_kleene(is_blank, pc.equal(cells, "0"))
        blank &= is_blank.to_numpy()
    kept = np.ones(table.num_rows, np.bool_)
    kept[numbers.to_numpy()[blank]] = False
    return table.filter(pa.array(kept))


def _list_zero_columns(query: ExportQuery) -> set[str]:
    """Return the columns with a 0 where nothing was saved: checkboxes, and statuses by default."""
    gray = query.selection.get("export_blank_for_gray_form_status")
    columns = {one.name: one for form in query.forms for one in query.project.columns(form)}
    statuses = set[str]() if gray else {status_column(form) for form in query.forms}
    return {name for name, one in columns.items() if one.choice is not None or name in statuses}


def replace_records(
    table: pa.Table, fresh: pa.Table, replaced: Sequence[str], records: pa.Array, id_field: str
) -> pa.Table:
    """Return a table in which all rows of some records are replaced, in REDCap's order.

    Args:
        table: All rows.
        fresh: The new rows of the replaced records.
        replaced: The ids of the replaced records.
        records: All record ids in REDCap's order. Rows of others are dropped.
        id_field: The record id field.
    """
    others = drop_records(table, replaced, id_field)
    rows = pa.concat_tables([others, fresh.select(others.column_names)])
    rank = pc.index_in(rows[id_field], records)
    # The sort is stable, so that the rows of a record stay in their order.
    order = pc.sort_indices(rank)  # nulls come last
    return rows.take(order.slice(0, len(order) - rank.null_count))


def _order_rows(places: pa.Table, project: REDCapProject, records: Sequence[str]) -> pa.Array:
    """Return the order of rows in REDCap: by record, first by event, then the instances."""

    def rank(name: str, order: Sequence[str]) -> pa.ChunkedArray:
        if name not in places.column_names:
            return pa.nulls(places.num_rows, pa.int32())
        return pc.index_in(places[name], pa.array(order, pa.string()))

    instance = (
        places[REPEAT_INSTANCE]
        if REPEAT_INSTANCE in places.column_names
        else pa.nulls(places.num_rows, pa.string())
    )
    ranks = pa.table(
        {
            "record": rank(project.record_id_field, records),
            "id": places[project.record_id_field],
            "repeats": pc.is_valid(instance),
            "event": rank(EVENT_NAME, [row.unique_event_name for row in project.events]),
            "form": pc.fill_null(
                rank(REPEAT_COLUMNS[0], [row.instrument_name for row in project.instruments]), -1
            ),
            "digits": pc.utf8_length(instance),
            "instance": instance,
        }
    )
    return pc.sort_indices(ranks, [(name, "ascending") for name in ranks.column_names])


def _order_columns(headers: Sequence[Sequence[str]], project: REDCapProject) -> list[str]:
    """Return columns in the order of the dictionary; others stay after their neighbor."""
    known = (project.record_id_field, EVENT_NAME, *REPEAT_COLUMNS, *_CONTEXT)
    rank = {name: number for number, name in enumerate(known)}
    for instrument in project.instruments:
        rank.setdefault(timestamp_column(instrument.instrument_name), len(rank))
        for field in project.instrument_fields(instrument.instrument_name):
            number = rank.setdefault(field.field_name, len(rank))
            if field.field_type == "checkbox":
                for choice in project.options(field):
                    column = project.export_column(field.field_name, choice.code)
                    rank.setdefault(column, number)
    places: dict[str, tuple[int, int]] = {}
    for header in headers:
        last = -1
        for number, name in enumerate(header):
            last = rank.get(name, last)
            places.setdefault(name, (last, number))
    return sorted(places, key=lambda name: places[name])
