"""The values that do not fit, as a table to work through: where they are, and a link to mend."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import REDCapProject, build_page_url
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_INSTANCE
from redcap_dagster.tables.cleaning import CleanTable

_REASONS: Mapping[pa.DataType, str] = {
    pa.int64(): "not an integer",
    pa.float64(): "not a number",
    pa.bool_(): "neither 0 nor 1",
    pa.date32(): "not a date",
    pa.timestamp("us"): "not a date and time",
    pa.time64("us"): "not a time",
}
# What cannot stand in a URL as it is. The percent sign comes first, as the others become one.
_ESCAPES = {character: f"%{ord(character):02X}" for character in "% \"#&'+<=>?\\"}


def list_invalid_values(
    cleaned: CleanTable, records: pa.Table, instrument: str, project: REDCapProject, url: str = ""
) -> pa.Table:
    """Give a row for each value that is null in a clean table because it does not fit.

    Args:
        cleaned: What `clean` gave.
        records: The records that it was given.
        instrument: The name of the form.
        project: The structure.
        url: The address of the API, for links.

    Returns:
        The keys of the instrument's table, ``field_name`` (the column of the export), ``value``,
        ``reason`` and ``link``, which opens the form in REDCap; without the address or the version
        it is null, as it is in a longitudinal project that does not tell its events' ids. The link
        holds the record id, as the keys do. Column by column, rows in their order.
    """
    keys = cleaned.table.select(project.key_columns(instrument))
    added = [(name, pa.string()) for name in ("field_name", "value", "reason", "link")]
    schema = pa.schema([*keys.schema, *(pa.field(*column) for column in added)])
    tables = [schema.empty_table()]
    for name, rows in cleaned.invalid_rows.items():
        found = keys.filter(rows)
        count = found.num_rows
        columns = [
            *found.columns,
            pa.repeat(name, count),
            records[name].filter(rows),
            pa.repeat(_reason(cleaned.table, name), count),
            _links(found, instrument, project, url),
        ]
        tables.append(pa.table(columns, schema=schema))
    return pa.concat_tables(tables)


def _reason(table: pa.Table, name: str) -> str:
    if name not in table.column_names:
        return _REASONS[pa.bool_()]  # a box of a checkbox that is kept as a list
    return _REASONS.get(table.schema.field(name).type, "not one of the choices")


def _links(
    keys: pa.Table, instrument: str, project: REDCapProject, url: str
) -> pa.Array | pa.ChunkedArray:
    """Give the address of each row's form."""
    entry = build_page_url(url, project, "DataEntry/index.php")
    if entry is None:
        return pa.nulls(keys.num_rows, pa.string())
    record = keys[project.record_id_field]
    for character, escape in _ESCAPES.items():
        record = pc.replace_substring(record, character, escape)
    parts = [f"{entry}&page={instrument}&id=", record]
    if project.is_longitudinal:
        names = pa.array([event.unique_event_name for event in project.events], pa.string())
        ids = pa.array([event.event_id for event in project.events], pa.int64())
        event = ids.take(pc.index_in(keys[EVENT_NAME], names).combine_chunks())
        parts += ["&event_id=", event.cast(pa.string())]
    if REPEAT_INSTANCE in keys.column_names:
        instance = keys[REPEAT_INSTANCE].fill_null(1).cast(pa.string())
        parts += ["&instance=", instance]
    return pc.binary_join_element_wise(*parts, "")
