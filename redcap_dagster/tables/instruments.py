"""A flat record export -> one table per instrument.

An export has one row per record, event and instance, and the columns of all instruments; most cells
are outside of any instrument. Whether a row belongs to an instrument depends on the project's
configuration and the row itself, never on other rows: the first instance of one instrument must not
change the tables of the others.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.frames import Rows
from redcap_dagster.project import NOT_COMPLETED, Column, REDCapProject, StructureError
from redcap_dagster.project.columns import is_status_field, is_timestamp_field
from redcap_dagster.project.system_columns import ARM, EVENT_NAME, REPEAT_INSTRUMENT
from redcap_dagster.tables.text_columns import read_column, read_text
from redcap_dagster.text_bytes import find_texts

_FEW_ROWS: Final = 8
"""Number of rows that leave a table in so few pieces that these are not copied."""


def split_by_instrument(
    export: Rows,
    project: REDCapProject,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> dict[str, pa.Table]:
    """Return one table per instrument from a flat record export.

    Args:
        export: A flat export with raw values, all text; blanks are ``""`` or null. A DataFrame, an
            Arrow table, or an object that offers the Arrow C stream.
        project: Structure of the project, which determines the tables, keys and columns.
        blank_status: Whether the export was requested with ``exportBlankForGrayFormStatus`` from a
            server that supports it; a status that is not blank then proves that the instrument was
            saved. Defaults to False.
        keep_unsaved: Whether rows of instruments that were never saved are kept, in all events
            that designate the instrument. Defaults to False.

    Returns:
        Tables by instrument, in the project's order. Columns are the keys, access group and survey
        identifier, then the instrument's own. All are the text that REDCap sent, with blanks null;
        ``redcap_arm`` is an integer. A column that the export does not have is null.

    Raises:
        StructureError: The export does not have the record id or has columns that are not text, two
            fields or options have the same column, or a field is named like a key column.
        TypeError: The export is not a table.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "visit"},
        ...     {"field_name": "age", "form_name": "visit"}])
        >>> export = pa.table({"id": ["1", "2"], "age": ["40", ""], "visit_complete": ["2", "0"]})
        >>> split_by_instrument(export, project)["visit"].to_pylist()
        [{'id': '1', 'age': '40', 'visit_complete': '2'}]
    """
    table = read_text(export)
    return {
        instrument.instrument_name: instrument_table(
            table,
            project,
            instrument.instrument_name,
            blank_status=blank_status,
            keep_unsaved=keep_unsaved,
        )
        for instrument in project.instruments
    }


def instrument_table(
    export: pa.Table,
    project: REDCapProject,
    instrument: str,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> pa.Table:
    """Return the table of one instrument; see `split_by_instrument`.

    Args:
        export: Columns of a flat export.
        project: Structure of the project.
        instrument: Name of the instrument.
        blank_status: As for `split_by_instrument`. Defaults to False.
        keep_unsaved: As for `split_by_instrument`. Defaults to False.

    Raises:
        StructureError: As of `split_by_instrument`.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> export = pa.table({"id": ["1", "2"], "a_complete": ["2", "0"]})
        >>> instrument_table(export, project, "a").to_pylist()
        [{'id': '1', 'a_complete': '2'}]
    """
    project.check_columns(instrument)
    columns = project.columns(instrument)
    rows = find_instrument_rows(
        export, project, instrument, blank_status=blank_status, keep_unsaved=keep_unsaved
    )
    keys = project.key_columns(instrument)
    names = (*keys, *project.context_columns, *(column.name for column in columns))
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise StructureError(
            f"The fields {duplicates} of {instrument!r} have the names of key columns: the table "
            "would have two columns of one name. Rename the fields in REDCap."
        )
    table = pa.table(
        {
            name: _find_arms(export, project)
            if name == ARM and name in keys
            else read_column(export, name)
            for name in names
        }
    )
    return _keep_rows(table, rows)


def _keep_rows(table: pa.Table, rows: pa.ChunkedArray) -> pa.Table:
    """Return some rows of a table, which are not copied if nearly all are kept."""
    left_out = np.flatnonzero(~rows.to_numpy())
    if len(left_out) > _FEW_ROWS:
        return table.filter(rows)
    starts, stops = [0, *(left_out + 1)], [*left_out, len(table)]
    pieces = [table.slice(start, stop - start) for start, stop in zip(starts, stops, strict=True)]
    return pa.concat_tables([piece for piece in pieces if len(piece)] or pieces[:1])


def find_instrument_rows(
    export: pa.Table,
    project: REDCapProject,
    instrument: str,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> pa.ChunkedArray:
    """Return True for each row of an export that belongs to an instrument."""
    if export.schema.get_field_index(project.record_id_field) < 0:
        raise StructureError(
            f"The export does not have the record id, {project.record_id_field!r}. It was probably "
            "requested with a selection of fields: add the record id to it."
        )
    rows = _find_base_rows(export, project, instrument)
    if not keep_unsaved:
        columns = project.columns(instrument)
        rows = find_saved(export, columns, blank_status=blank_status, among=rows)
    return pc.or_(rows, _find_instances(export, project, instrument))


def census_table(census: pa.Table, project: REDCapProject) -> pa.Table:
    """Return the census: one row per record and event that REDCap lists.

    Args:
        census: Export of the record id with access groups and survey fields, one row per record
            and event.
        project: Structure of the project.

    Returns:
        Record id, event and arm (if longitudinal), access group and survey identifier (if the
        project has them), in the order of the export.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> census_table(pa.table({"id": ["1", "2"], "other": ["x", "y"]}), project).column_names
        ['id']
    """
    keys = [project.record_id_field, EVENT_NAME][: 1 + project.is_longitudinal]
    rows = pa.table({name: read_column(census, name) for name in (*keys, *project.context_columns)})
    if not project.is_longitudinal:
        return rows
    return rows.add_column(2, ARM, _find_arms(rows, project))


def _find_instances(export: pa.Table, project: REDCapProject, instrument: str) -> pa.ChunkedArray:
    """Return True for each row that names the instrument: always one of its instances."""
    if not project.has_repeating:
        return _repeat_value(export, value=False)
    is_named = pc.equal(read_column(export, REPEAT_INSTRUMENT), instrument)
    return pc.fill_null(is_named, False)


def _find_base_rows(export: pa.Table, project: REDCapProject, instrument: str) -> pa.ChunkedArray:
    """Return True for each row of an event that has the instrument, outside of repeating ones."""
    repeating = project.events_where_repeating(instrument)
    if project.is_longitudinal:
        designated = project.designated_events(instrument)
        events = [event for event in designated if event not in repeating]
        rows = pc.is_in(read_column(export, EVENT_NAME), pa.array(events, pa.string()))
    else:
        rows = _repeat_value(export, value=not repeating)
    if not project.has_repeating:
        return rows
    return pc.and_(rows, pc.is_null(read_column(export, REPEAT_INSTRUMENT)))


def find_saved(
    export: pa.Table,
    columns: tuple[Column, ...],
    *,
    blank_status: bool,
    among: pa.ChunkedArray | None = None,
) -> pa.ChunkedArray:
    """Return True for each row with a value that only a saved instrument has.

    Args:
        export: Rows that have the columns.
        columns: Columns of the instrument.
        blank_status: As for `split_by_instrument`.
        among: True for each row that can be found. Defaults to all rows.
    """
    rows = _repeat_value(export, value=True) if among is None else among
    unproven = rows
    # The status proves it of most rows, any value of another column does; ticks are looked for.
    for column in sorted(columns, key=_rank_proof):
        if column.field.is_calculated:
            continue
        if not pc.any(unproven).as_py():
            break
        text = read_column(export, column.name)
        proven = _proves_saved(text, column, blank_status=blank_status)
        unproven = pc.and_not(unproven, proven)
    return pc.and_not(rows, unproven)


def _rank_proof(column: Column) -> int:
    """Return a lower number for a column that is read earlier."""
    if is_status_field(column.field):
        return 0
    return 2 if column.field.field_type == "checkbox" else 1


def _proves_saved(
    values: pa.ChunkedArray, column: Column, *, blank_status: bool
) -> pa.ChunkedArray:
    """Return True for each value that only a saved instrument has."""
    if column.field.field_type == "checkbox":
        return find_texts(values, ["1"])
    if is_timestamp_field(column.field):
        return pc.fill_null(pc.not_equal(values, NOT_COMPLETED), False)
    if is_status_field(column.field) and not blank_status:
        return find_texts(values, ["1", "2"])
    return pc.is_valid(values)


def _find_arms(export: pa.Table, project: REDCapProject) -> pa.ChunkedArray:
    """Return the arm number of each row's event."""
    names = pa.array([event.unique_event_name for event in project.events], pa.string())
    arms = pa.array([event.arm_num for event in project.events], pa.int64())
    event = read_column(export, EVENT_NAME)
    return pa.chunked_array(
        [arms.take(indices) for indices in pc.index_in(event, names).chunks], pa.int64()
    )


def _repeat_value(export: pa.Table, *, value: bool) -> pa.ChunkedArray:
    return pa.chunked_array([pa.repeat(value, export.num_rows)])
