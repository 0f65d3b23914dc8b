"""Where records come from: REDCap, whose export is checked and logged."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import Among, Progress, ProjectStructure, RecordExport, REDCapClient
from redcap_dagster.partitions import assign_buckets
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.tables import (
    CleaningRules,
    check_agreement,
    count_unplaced_cells,
    has_hashed_ids,
)

SECONDS_BETWEEN_LINES = 10.0
"""How often the log of a run shows the progress of an export."""


def filter_by_bucket(record_id_field: str, count: int, selected: Sequence[str]) -> Among | None:
    """Return a function that keeps the rows of records in the selected buckets.

    Args:
        record_id_field: Name of the record id's column.
        count: Number of buckets.
        selected: The selected buckets.

    Returns:
        The function, or None where all buckets are selected.
    """
    if len(selected) == count:
        return None

    def keep_selected(rows: pa.Table) -> pa.Table:
        in_bucket = assign_buckets(rows[record_id_field], count)
        return rows.filter(pc.is_in(in_bucket, pa.array(selected, pa.string())))

    return keep_selected


def export_instruments(
    client: REDCapClient,
    structure: ProjectStructure,
    project: REDCapProject,
    instruments: list[str],
    log: logging.Logger,
    among: Among | None = None,
) -> RecordExport:
    """Return the census and the records of instruments, exported as one snapshot.

    Args:
        client: Client of the project.
        structure: The structure as it was just exported.
        project: The same structure as a model.
        instruments: Names of the instruments.
        log: Log that shows the progress and the notes of the export.
        among: Function of `filter_by_bucket` that keeps the rows of some records. Defaults to all
            records.
    """
    export = client.export_snapshot(
        structure,
        among=among,
        report=progress_logger(log.info),
        forms=None if len(instruments) == len(project.instruments) else instruments,
        export_survey_fields=True,
        export_data_access_groups=True,
        export_blank_for_gray_form_status=project.honors_blank_status,
    )
    for note in export.notes:
        log.warning(note)
    if export.unrequested:
        log.warning(
            "REDCap sent columns that were not requested, probably as its version is newer, or as "
            f"a column was renamed on its way. They are left out: {list_names(export.unrequested)}."
        )
    return export


def progress_logger(
    write: Callable[[str], object], now: Callable[[], float] = monotonic
) -> Callable[[Progress], None]:
    """Return a function that logs the progress of an export: first, every 10 seconds, and last.

    Args:
        write: Function that writes a line to the log.
        now: Clock, in seconds. Defaults to `time.monotonic`.

    Example:
        >>> seconds = iter([0, 1, 12, 13])
        >>> log_progress = progress_logger(print, lambda: next(seconds))
        >>> for rows in (10, 20, 30, 40):
        ...     log_progress(Progress(rows, rows / 40, rows / 10))
        Exported 10 rows, 25 %, 10 rows a second
        Exported 30 rows, 75 %, 10 rows a second
        Exported 40 rows, 100 %, 10 rows a second
    """
    next_line_at = -math.inf

    def log_progress(progress: Progress) -> None:
        nonlocal next_line_at
        moment = now()
        if moment >= next_line_at or progress.share >= 1:
            write(f"Exported {progress}")
            next_line_at = moment + SECONDS_BETWEEN_LINES

    return log_progress


def check_export(
    log: logging.Logger, export: pa.Table, project: REDCapProject, rules: CleaningRules
) -> Mapping[str, int]:
    """Return the counts of exported cells that belong to no table, by column.

    Args:
        log: Log that gets warnings about such cells and about hashed record ids.
        export: The exported rows.
        project: The structure.
        rules: How records become clean tables.

    Raises:
        DisagreementError: The export does not fit the structure.
    """
    check_agreement(export, project)
    if has_hashed_ids(export, project):
        log.warning(
            "REDCap sent hashes instead of the record ids, because the token's user has "
            "de-identified rights. These tables cannot be joined with the exports of other users."
        )
    counts = count_unplaced_cells(
        export,
        project,
        blank_status=project.honors_blank_status,
        keep_unsaved=rules.keep_unsaved,
    )
    if counts:
        log.warning(
            f"Cells that belong to no table, by field: {dict(counts)}. Their instrument is not "
            "designated for their event, or was changed since they were saved."
        )
    return counts


def observe_groups_and_surveys(
    project: REDCapProject, rows: pa.Table, known: REDCapProject
) -> REDCapProject:
    """Return the project with the access groups and surveys that the header of its rows shows.

    Args:
        project: The structure of this run.
        rows: Exported or stored rows. If the server sent no header, as there are no rows, access
            groups and surveys are those of `known`.
        known: The structure when definitions were loaded.
    """
    if has_header(rows):
        return project.with_observed_columns(rows.column_names)
    return replace(
        project,
        has_access_groups=known.has_access_groups,
        has_survey_identifier=known.has_survey_identifier,
        surveys=known.surveys,
    )


def has_header(rows: pa.Table) -> bool:
    """Whether the server named the columns. If not, the client returns the record id alone."""
    return bool(rows.num_rows > 0 or rows.num_columns > 1)


def existing_instruments(project: REDCapProject, instruments: Sequence[str]) -> list[str]:
    """Return those of the instruments that the project still has."""
    existing = {instrument.instrument_name for instrument in project.instruments}
    return [instrument for instrument in instruments if instrument in existing]
