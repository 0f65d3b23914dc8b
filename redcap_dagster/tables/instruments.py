"""The block matrix of a record export -> one table per instrument.

An export has a row per record, event and instance, and the columns of all forms; most of its cells
stand where no form is. Which rows are a form's is decided here, from the project's configuration
and from the row itself, never from other rows (decision 2 of the design: a form that gets its first
instance must not change the tables of the others).
"""

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import NOT_COMPLETED, Column, REDCapProject, StructureError
from redcap_dagster.project.system_columns import (
    ARM,
    EVENT_NAME,
    REPEAT_INSTRUMENT,
    status_column,
    timestamp_column,
)


def split_by_instrument(
    export: pa.Table,
    project: REDCapProject,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> dict[str, pa.Table]:
    """Split a flat record export into one table per instrument.

    Args:
        export: The columns of a flat export with raw values, all text; blanks as ``""`` or null.
        project: The structure; it alone says which tables, keys and columns there are.
        blank_status: Whether the export was asked for with ``exportBlankForGrayFormStatus`` of a
            server that honours it: then a non-blank status proves that the form was saved.
        keep_unsaved: Keep every base row whose event designates the form, saved or not.

    Returns:
        Form name to table, in the project's order: keys, context columns, the form's columns; text
        as sent, blanks null, ``redcap_arm`` an integer. A column that the export lacks is null.

    Raises:
        StructureError: The export lacks the record id, or two options of a checkbox share a column.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "visit"},
        ...     {"field_name": "age", "form_name": "visit"}])
        >>> export = pa.table({"id": ["1", "2"], "age": ["40", ""], "visit_complete": ["2", "0"]})
        >>> split_by_instrument(export, project)["visit"].to_pylist()
        [{'id': '1', 'age': '40', 'visit_complete': '2'}]
    """
    return {
        instrument.instrument_name: instrument_table(
            export,
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
    form: str,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> pa.Table:
    """Give the table of one instrument; see `split_by_instrument`."""
    columns = project.columns(form)
    rows = instrument_rows(
        export, project, form, blank_status=blank_status, keep_unsaved=keep_unsaved
    )
    keys = project.key_columns(form)
    names = (*keys, *project.context_columns, *(column.name for column in columns))
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise StructureError(
            f"The fields {twins} of {form!r} have the names of columns that REDCap adds by itself. "
            "Rename them in REDCap."
        )
    table = pa.table(
        {
            name: _arm(export, project)
            if name == ARM and name in keys
            else export_text(export, name)
            for name in names
        }
    )
    # Most forms of a classic project have every row: then nothing is copied.
    return table if pc.all(rows).as_py() else table.filter(rows)


def instrument_rows(
    export: pa.Table,
    project: REDCapProject,
    form: str,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> pa.ChunkedArray:
    """Tell which rows of an export are an instrument's; see `split_by_instrument`."""
    if export.schema.get_field_index(project.record_id_field) < 0:
        raise StructureError(f"The export lacks the record id, {project.record_id_field!r}.")
    rows = _base_rows(export, project, form)
    if not keep_unsaved:
        saved = _saved(export, project.columns(form), form, blank_status=blank_status)
        rows = pc.and_(rows, saved)
    return pc.or_(rows, _own_instances(export, project, form))


def census_table(census: pa.Table, project: REDCapProject) -> pa.Table:
    """Give one row per record and event that REDCap lists: what belongs to no form.

    Args:
        census: An export of the record id alone, with access groups and survey fields, one row
            per record and event.
        project: The structure.

    Returns:
        Record id, event and arm (longitudinal), access group and survey identifier (where the
        project has them), in the order of the export.
    """
    keys = [project.record_id_field, EVENT_NAME][: 1 + project.is_longitudinal]
    rows = pa.table({name: export_text(census, name) for name in (*keys, *project.context_columns)})
    if not project.is_longitudinal:
        return rows
    return rows.add_column(2, ARM, _arm(rows, project))


def _own_instances(export: pa.Table, project: REDCapProject, form: str) -> pa.ChunkedArray:
    """Rows that name the form: they are its instances, always."""
    if not project.has_repeating:
        return _constant(export, value=False)
    named = pc.equal(export_text(export, REPEAT_INSTRUMENT), form)
    return pc.fill_null(named, False)


def _base_rows(export: pa.Table, project: REDCapProject, form: str) -> pa.ChunkedArray:
    """Rows that name no form, of events where the form is designated and does not repeat."""
    repeating = project.events_where_repeating(form)
    if project.is_longitudinal:
        events = [event for event in project.designated_events(form) if event not in repeating]
        placed = pc.is_in(export_text(export, EVENT_NAME), pa.array(events, pa.string()))
    else:
        placed = _constant(export, value=not repeating)
    if not project.has_repeating:
        return placed
    return pc.and_(placed, pc.is_null(export_text(export, REPEAT_INSTRUMENT)))


def _saved(
    export: pa.Table, columns: tuple[Column, ...], form: str, *, blank_status: bool
) -> pa.ChunkedArray:
    """Rows that hold something which only a saved form has."""
    tests = [
        _proves_saved(export_text(export, column.name), column, form, blank_status=blank_status)
        for column in columns
        if not column.field.is_calculated
    ]
    return reduce(pc.or_, tests, _constant(export, value=False))


def _proves_saved(
    values: pa.ChunkedArray, column: Column, form: str, *, blank_status: bool
) -> pa.ChunkedArray:
    if column.field.field_type == "checkbox":
        test = pc.equal(values, "1")
    elif column.name == timestamp_column(form):
        test = pc.not_equal(values, NOT_COMPLETED)
    elif column.name == status_column(form) and not blank_status:
        test = pc.is_in(values, pa.array(["1", "2"]))
    else:
        test = pc.is_valid(values)
    return pc.fill_null(test, False)


def _arm(export: pa.Table, project: REDCapProject) -> pa.ChunkedArray:
    names = pa.array([event.unique_event_name for event in project.events], pa.string())
    arms = pa.array([event.arm_num for event in project.events], pa.int64())
    event = export_text(export, EVENT_NAME)
    return pa.chunked_array(
        [arms.take(indices) for indices in pc.index_in(event, names).chunks], pa.int64()
    )


def export_text(export: pa.Table, name: str) -> pa.ChunkedArray:
    """Give a column of an export with its blanks null; all null where it does not have it."""
    position = export.schema.get_field_index(name)
    if position < 0:
        return pa.chunked_array([pa.nulls(export.num_rows, pa.string())])
    column = export.column(position).cast(pa.string())
    blank = pc.equal(column, "")
    return (
        pc.if_else(blank, pa.scalar(None, pa.string()), column) if pc.any(blank).as_py() else column
    )


def _constant(export: pa.Table, *, value: bool) -> pa.ChunkedArray:
    return pa.chunked_array([pa.repeat(value, export.num_rows)])
