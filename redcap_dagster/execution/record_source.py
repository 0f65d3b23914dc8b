"""What the op of records and clean tables takes in: from REDCap, or from storage."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import Among, Progress, ProjectStructure, RecordExport, REDCapClient
from redcap_dagster.partitions import assign_buckets
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.system_columns import ARM, EVENT_NAME
from redcap_dagster.tables import (
    CleaningRules,
    check_agreement,
    count_unplaced_cells,
    has_hashed_ids,
)

SECONDS_BETWEEN_LINES = 10.0
"""How often the log of a run tells how far an export is."""


def filter_by_bucket(record_id_field: str, count: int, wanted: Sequence[str]) -> Among | None:
    """Make what gives the rows of records of some buckets; nothing where all records are wanted."""
    if len(wanted) == count:
        return None

    def among(rows: pa.Table) -> pa.Table:
        in_bucket = assign_buckets(rows[record_id_field], count)
        return rows.filter(pc.is_in(in_bucket, pa.array(wanted, pa.string())))

    return among


def export_forms(
    client: REDCapClient,
    structure: ProjectStructure,
    project: REDCapProject,
    forms: list[str],
    log: logging.Logger,
    among: Among | None = None,
) -> RecordExport:
    """Export the census and the records of forms, all as of one moment, and log how far it is.

    Args:
        client: Of the project.
        structure: As exported just now.
        project: The same as a model.
        forms: The forms.
        log: Is told how far it is.
        among: What `filter_by_bucket` made.
    """
    export = client.export_snapshot(
        structure,
        among=among,
        report=progress_log(log.info),
        forms=None if len(forms) == len(project.instruments) else forms,
        export_survey_fields=True,
        export_data_access_groups=True,
        export_blank_for_gray_form_status=project.honors_blank_status,
    )
    for note in export.notes:
        log.warning(note)
    return export


def progress_log(
    say: Callable[[str], object], now: Callable[[], float] = monotonic
) -> Callable[[Progress], None]:
    """Make what tells how far an export is: at its first answer, every so often, and at its end.

    Example:
        >>> seconds = iter([0, 1, 12, 13])
        >>> tell = progress_log(print, lambda: next(seconds))
        >>> for rows in (10, 20, 30, 40):
        ...     tell(Progress(rows, rows / 40, rows / 10))
        Exported 10 rows, 25 %, 10 rows a second
        Exported 30 rows, 75 %, 10 rows a second
        Exported 40 rows, 100 %, 10 rows a second
    """
    due = -math.inf

    def tell(progress: Progress) -> None:
        nonlocal due
        moment = now()
        if moment >= due or progress.share >= 1:
            say(f"Exported {progress}")
            due = moment + SECONDS_BETWEEN_LINES

    return tell


def check_export(
    context: dg.AssetExecutionContext,
    export: pa.Table,
    project: REDCapProject,
    rules: CleaningRules,
) -> Mapping[str, int]:
    """Refuse an export that does not fit the structure, and tell of cells that fit no table."""
    check_agreement(export, project)
    if has_hashed_ids(export, project):
        context.log.warning(
            "REDCap sent hashes in place of the record ids, as the token's user has de-identified "
            "rights: these tables cannot be joined with what others export."
        )
    lost = count_unplaced_cells(
        export,
        project,
        blank_status=project.honors_blank_status,
        keep_unsaved=rules.keep_unsaved,
    )
    if lost:
        context.log.warning(
            f"Cells that belong to no table, by field: {dict(lost)}. They are of events where "
            "their form is not designated, or of forms that were changed since."
        )
    return lost


def load_records(
    context: dg.AssetExecutionContext, key: dg.AssetKey, buckets: Sequence[str]
) -> pa.Table:
    """Load the records of a form from storage, whatever IO manager keeps them.

    Raises:
        StructureError: They are not there, or not as text.
    """
    frames = []
    for bucket in buckets or (None,):
        try:
            frame = context.load_asset_value(key, python_type=pd.DataFrame, partition_key=bucket)
        except Exception as error:  # noqa: BLE001 an IO manager's text may hold cell values
            of_bucket = f", bucket {bucket}" if bucket else ""
            raise StructureError(
                f"its records ({key.to_user_string()}{of_bucket}) could not be loaded from storage "
                f"({type(error).__name__}). Materialize them first, or together with the clean "
                "table."
            ) from None
        frames.append(frame)
    tables = [_as_sent(pa.Table.from_pandas(frame, preserve_index=False)) for frame in frames]
    return pa.concat_tables(tables, promote_options="default")


def _as_sent(stored: pa.Table) -> pa.Table:
    """Give stored records as text again, as which REDCap sent them, but for the arm's number.

    Raises:
        StructureError: An IO manager guessed types: what was ``007`` or ``0.10`` cannot be told.
    """
    numbers = [ARM] if EVENT_NAME in stored.column_names else []
    columns = {
        name: column.cast(pa.int64() if name in numbers else pa.string())
        for name, column in zip(stored.column_names, stored.columns, strict=True)
        if name in numbers or _is_text(column)
    }
    guessed = [
        f"{field.name} ({field.type})" for field in stored.schema if field.name not in columns
    ]
    if guessed:
        raise StructureError(
            "its records come from storage with other types than text, so that what REDCap sent "
            f"is lost (007 is 7): {', '.join(guessed)}. Keep the tables with an IO manager that "
            "gives text back as text, or materialize the clean table together with its records."
        )
    return pa.table(columns)


def _is_text(column: pa.ChunkedArray) -> bool:
    """Whether a column is of texts, plain or encoded, or has no value that could be guessed at."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return kind in (pa.string(), pa.large_string()) or bool(column.null_count == len(column))


def with_observed_columns(
    project: REDCapProject, rows: pa.Table, known: REDCapProject
) -> REDCapProject:
    """Give the project of this run; the header of its rows tells of access groups and surveys.

    A server that sends no header for no rows leaves both as they were when definitions loaded.
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
    """Whether the server named the columns: where it did not, the client gives the record id."""
    return bool(rows.num_rows > 0 or rows.num_columns > 1)


def existing_instruments(project: REDCapProject, forms: Sequence[str]) -> list[str]:
    """Leave out the forms that REDCap no longer has."""
    present = {form.instrument_name for form in project.instruments}
    return [form for form in forms if form in present]
