"""Gaps of an export: cells that no table holds, hidden columns, duplicate rows, hashed ids."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import NOT_COMPLETED, Column, REDCapProject
from redcap_dagster.project.columns import is_status_field, is_timestamp_field
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    HASHED_ID,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
)
from redcap_dagster.tables.instruments import find_instrument_rows
from redcap_dagster.tables.text_columns import read_column
from redcap_dagster.text_bytes import is_ascending


def count_unplaced_cells(
    export: pa.Table,
    project: REDCapProject,
    *,
    blank_status: bool = False,
    keep_unsaved: bool = False,
) -> Mapping[str, int]:
    """Return how many cells of an export are not in any instrument's table, by column.

    For example, a value stored in an event where its instrument is not designated, or an instance
    of an instrument that was deleted. Two kinds of cells are not counted: keys, access groups and
    survey identifiers, which the census has too; and what REDCap exports of an instrument that was
    never saved (unticked checkboxes, status 0, calculated values, surveys that were only opened).

    Args:
        export: Columns of a flat export, as for `split_by_instrument`.
        project: Structure of the project.
        blank_status: As for `split_by_instrument`. Defaults to False.
        keep_unsaved: As for `split_by_instrument`. Defaults to False.

    Returns:
        Count of such cells by column of the export; columns without any are left out.

    Raises:
        StructureError: The export does not have the record id.

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
    for instrument in (row.instrument_name for row in project.instruments):
        rows = find_instrument_rows(
            export, project, instrument, blank_status=blank_status, keep_unsaved=keep_unsaved
        )
        columns = project.columns(instrument)
        placed.update(column.name for column in columns)
        if pc.all(rows).as_py():
            continue
        outside = pc.invert(rows)
        for column in columns:
            text = read_column(export, column.name).filter(outside)
            counts[column.name] = _count_entered(text, column)
    for name in export.column_names:
        if name not in placed:
            text = read_column(export, name)
            counts[name] = len(text) - text.null_count
    return {name: count for name, count in counts.items() if count}


def _count_entered(text: pa.ChunkedArray, column: Column) -> int:
    """Return how many cells somebody entered, without what an unsaved instrument shows."""
    if column.field.is_calculated:
        return 0
    unsaved: list[str] = []
    if column.field.field_type == "checkbox" or is_status_field(column.field):
        unsaved = ["0"]
    elif is_timestamp_field(column.field):
        unsaved = [NOT_COMPLETED]
    not_entered = pc.sum(pc.is_in(text, pa.array(unsaved, pa.string()))).as_py() or 0
    return int(len(text) - text.null_count - not_entered)


def hidden_columns(export_columns: list[str], project: REDCapProject, instrument: str) -> list[str]:
    """Return the columns of an instrument that an export does not have, as export rights hide them.

    The status and the survey timestamp of an instrument count too: REDCap hides them as well from
    users without rights to the instrument.

    Args:
        export_columns: Names of the columns of an export.
        project: Structure of the project.
        instrument: Name of the instrument.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "age", "form_name": "a"}])
        >>> hidden_columns(["id", "a_complete"], project, "a")
        ['age']
    """
    present = set(export_columns)
    return [column.name for column in project.columns(instrument) if column.name not in present]


def count_duplicate_rows(table: pa.Table, project: REDCapProject, instrument: str) -> int:
    """Return how many rows of an instrument's table have the same key as an earlier row.

    Args:
        table: Records or clean table of the instrument.
        project: Structure of the project.
        instrument: Name of the instrument.

    Returns:
        The count; 0 unless REDCap sent a row twice.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> count_duplicate_rows(pa.table({"id": ["1", "2", "1"]}), project, "a")
        1
    """
    keys = table.select(project.key_columns(instrument))
    if keys.num_columns == 1 and is_ascending(keys.column(0)):
        return 0
    return int(keys.num_rows - keys.group_by(keys.column_names).aggregate([]).num_rows)


def has_hashed_ids(export: pa.Table, project: REDCapProject) -> bool:
    """Return whether REDCap sent hashes instead of the record ids.

    REDCap does so for users with de-identified rights if the record id is marked as an identifier.
    Such tables cannot be joined with those of other users.

    Args:
        export: Columns of a flat export.
        project: Structure of the project.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "a", "identifier": "y"}])
        >>> has_hashed_ids(pa.table({"id": ["1f3870be274f6c49b3e31a0c6728957f"]}), project)
        True
    """
    if not project.fields[0].is_identifier:
        return False
    ids = read_column(export, project.record_id_field).unique().drop_null()
    hashed = pc.match_substring_regex(ids, HASHED_ID)
    return bool(pc.all(hashed, min_count=1).as_py())
