"""The invalid values of a clean table, one row each, with a link to correct the value."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.frames import Rows
from redcap_dagster.project import REDCapProject, build_page_url
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_INSTANCE
from redcap_dagster.tables.cleaning.clean_table import CleanTable
from redcap_dagster.tables.instruments import read_text

_REASONS: Mapping[pa.DataType, str] = {
    pa.int64(): "not an integer",
    pa.float64(): "not a number",
    pa.bool_(): "neither 0 nor 1",
    pa.date32(): "not a date",
    pa.timestamp("us"): "not a date and time",
    pa.time64("us"): "not a time",
}
# The percent sign is escaped first, as the other escapes contain one.
_ESCAPES = {character: f"%{ord(character):02X}" for character in "% \"#&'+<=>?\\"}


def list_invalid_values(
    cleaned: CleanTable, records: Rows, instrument: str, project: REDCapProject, url: str = ""
) -> pa.Table:
    """Return one row per invalid value: a value that is null in a clean table for that reason.

    Args:
        cleaned: Result of `clean`.
        records: Records that were given to `clean`.
        instrument: Name of the instrument.
        project: Structure of the project.
        url: URL of the API, for the links. Defaults to blank: no links.

    Returns:
        The keys of the instrument's table, ``field_name`` (column of the export), ``value``,
        ``reason`` and ``link``, which opens the data entry form in REDCap and holds the record id.
        The link is null if the URL, REDCap's version or, in a longitudinal project, the event's id
        is unknown.

    Example:
        >>> from redcap_dagster.tables import CleaningRules, clean
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "age", "form_name": "a",
        ...      "text_validation_type_or_show_slider_number": "integer"}])
        >>> records = pa.table({"id": ["1"], "age": ["old"], "a_complete": ["2"]})
        >>> cleaned = clean(records, "a", project, CleaningRules())
        >>> list_invalid_values(cleaned, records, "a", project).select([1, 2, 3]).to_pylist()
        [{'field_name': 'age', 'value': 'old', 'reason': 'not an integer'}]
    """
    text = read_text(records)
    keys = cleaned.table.select(project.key_columns(instrument))
    columns = [(name, pa.string()) for name in ("field_name", "value", "reason", "link")]
    schema = pa.schema([*keys.schema, *(pa.field(*column) for column in columns)])
    tables = [schema.empty_table()]
    for name, rows in cleaned.invalid_rows.items():
        found = keys.filter(rows)
        count = found.num_rows
        arrays = [
            *found.columns,
            pa.repeat(name, count),
            text[name].filter(rows),
            pa.repeat(_find_reason(cleaned.table, name), count),
            _build_links(found, instrument, project, url),
        ]
        tables.append(pa.table(arrays, schema=schema))
    return pa.concat_tables(tables)


def _find_reason(table: pa.Table, name: str) -> str:
    """Return why a value of a column is invalid."""
    if name not in table.column_names:
        return _REASONS[pa.bool_()]  # an option of a checkbox that is a list
    return _REASONS.get(table.schema.field(name).type, "not one of the choices")


def _build_links(
    keys: pa.Table, instrument: str, project: REDCapProject, url: str
) -> pa.Array | pa.ChunkedArray:
    """Return the URL of each row's data entry form; null where it is unknown."""
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
