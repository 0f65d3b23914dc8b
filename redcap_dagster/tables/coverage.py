"""What an export holds that is in no table, and what it does not show."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import NOT_COMPLETED, Column, REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
    status_column,
    timestamp_column,
)
from redcap_dagster.tables.instruments import export_text, instrument_rows


def count_unplaced_cells(
    export: pa.Table,
    project: REDCapProject,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> Mapping[str, int]:
    """Count the cells of an export that are in no instrument's table.

    Such is a value stored in an event where its form is not designated, or the instance of a form
    that REDCap no longer has. Not counted are keys, access groups and survey identifiers, which
    are in the census too, and what REDCap shows of a form that was never saved: unticked boxes,
    the status 0, calculated values, and that a survey was opened but not completed.

    Args:
        export: As for `split_by_instrument`, and so the others.
        project: The structure.
        blank_status: See `split_by_instrument`.
        keep_unsaved: See `split_by_instrument`.

    Returns:
        Column of the export to the count of its cells that belong nowhere; the others are left out.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> count_unplaced_cells(pa.table({"id": ["1", "2"], "gone": ["x", ""]}), project)
        {'gone': 1}
    """
    placed = {
        project.record_id_field,
        EVENT_NAME,
        REPEAT_INSTRUMENT,
        REPEAT_INSTANCE,
        ACCESS_GROUP,
        SURVEY_IDENTIFIER,
    }
    counts: dict[str, int] = {}
    for instrument in project.instruments:
        form = instrument.instrument_name
        rows = instrument_rows(
            export, project, form, blank_status=blank_status, keep_unsaved=keep_unsaved
        )
        outside = pc.invert(rows)
        for column in project.columns(form):
            placed.add(column.name)
            counts[column.name] = _shown(export_text(export, column.name).filter(outside), column)
    for name in export.column_names:
        if name not in placed:
            text = export_text(export, name)
            counts[name] = len(text) - text.null_count
    return {name: count for name, count in counts.items() if count}


def _shown(text: pa.ChunkedArray, column: Column) -> int:
    """Count the cells that somebody filled in: what an unsaved form shows by itself is none."""
    form = column.field.form_name
    if column.field.is_calculated:
        return 0
    by_itself = []
    if column.field.field_type == "checkbox" or column.name == status_column(form):
        by_itself = ["0"]
    elif column.name == timestamp_column(form):
        by_itself = [NOT_COMPLETED]
    left_out = pc.sum(pc.is_in(text, pa.array(by_itself, pa.string()))).as_py() or 0
    return int(len(text) - text.null_count - left_out)


def hidden_columns(export_columns: list[str], project: REDCapProject, form: str) -> list[str]:
    """Name the form's columns that an export does not have: export rights keep them back.

    The form status, which old exports lack for forms without data, and the survey timestamp count
    as well: a form without any right loses them too.
    """
    present = set(export_columns)
    return [column.name for column in project.columns(form) if column.name not in present]


def count_duplicate_rows(table: pa.Table, project: REDCapProject, form: str) -> int:
    """Count the rows of an instrument's table, records or clean, whose key an earlier row has.

    There are none, unless REDCap sent a row twice.
    """
    keys = table.select(project.key_columns(form))
    return int(keys.num_rows - keys.group_by(keys.column_names).aggregate([]).num_rows)


def has_hashed_ids(export: pa.Table, project: REDCapProject) -> bool:
    """Tell whether REDCap sent hashes in place of the record ids.

    It does so for a user with de-identified rights where the record id is tagged as an identifier.
    Such tables cannot be joined with what others export. That hashes are 32 lower-case hexadecimal
    digits is a guess from what other clients look for.
    """
    if project.fields[0].identifier != "y":
        return False
    ids = export_text(export, project.record_id_field).unique().drop_null()
    hashed = pc.match_substring_regex(ids, "^[0-9a-f]{32}$")
    return bool(pc.all(hashed, min_count=1).as_py())
