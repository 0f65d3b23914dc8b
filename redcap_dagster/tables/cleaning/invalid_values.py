"""The invalid values of a clean table, one row each, with a link to correct the value."""

from collections.abc import Mapping

import pyarrow as pa

from redcap_dagster.frames import Rows
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.links import RecordForm, build_form_urls
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_INSTANCE
from redcap_dagster.tables.cleaning.clean_table import CleanTable
from redcap_dagster.tables.text_columns import read_text

_REASONS: Mapping[pa.DataType, str] = {
    pa.int64(): "not an integer",
    pa.float64(): "not a number",
    pa.bool_(): "neither 0 nor 1",
    pa.date32(): "not a date",
    pa.timestamp("us"): "not a date and time",
    pa.time64("us"): "not a time",
}


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
        The link is null if the URL, REDCap's version or the project id is unknown; it opens the
        record's home page if the event's id is.

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
    fields = {column.name: column.field.field_name for column in project.columns(instrument)}
    tables = [schema.empty_table()]
    for name, rows in cleaned.invalid_rows.items():
        found = keys.filter(rows)
        count = found.num_rows
        forms = _list_forms(found, instrument, fields.get(name, name), project)
        arrays = [
            *found.columns,
            pa.repeat(name, count),
            text[name].filter(rows),
            pa.repeat(_find_reason(cleaned.table, name), count),
            pa.array(build_form_urls(url, project, forms), pa.string()),
        ]
        tables.append(pa.table(arrays, schema=schema))
    return pa.concat_tables(tables)


def _find_reason(table: pa.Table, name: str) -> str:
    """Return why a value of a column is invalid."""
    if name not in table.column_names:
        return _REASONS[pa.bool_()]  # an option of a checkbox that is a list
    return _REASONS.get(table.schema.field(name).type, "not one of the choices")


def _list_forms(
    keys: pa.Table, instrument: str, field: str, project: REDCapProject
) -> list[RecordForm]:
    """Return the form of each row."""
    blank: pa.Array = pa.nulls(keys.num_rows)
    records, events, instances = (
        (keys[name] if name in keys.column_names else blank).to_pylist()
        for name in (project.record_id_field, EVENT_NAME, REPEAT_INSTANCE)
    )
    return [
        RecordForm(instrument, record, event or "", instance, field)
        for record, event, instance in zip(records, events, instances, strict=True)
    ]
