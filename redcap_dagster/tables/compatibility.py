"""Checks that an export, or stored records, and the structure of the project belong together.

Structure and records are two requests: the project may be changed between them, and a damaged
response may lack key columns. Tables made of such an export would look right and be wrong.
"""

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.system_columns import (
    ARM,
    EVENT_NAME,
    REPEAT_COLUMNS,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
)
from redcap_dagster.tables.text_columns import read_column


class DisagreementError(StructureError):
    """The structure and the export do not match; requested again, they may."""


def check_agreement(export: pa.Table, project: REDCapProject) -> None:
    """Raise an error if the keys of an export do not match the structure.

    Args:
        export: A flat export; without rows it matches any structure.
        project: Structure of the project.

    Raises:
        DisagreementError: The export lacks key columns, has those of another structure, or names
            events or instruments that the structure does not have. The message has counts only.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> check_agreement(pa.table({"id": ["1"], "redcap_event_name": ["a_arm_1"]}), project)
        Traceback (most recent call last):
        redcap_dagster.tables.compatibility.DisagreementError: The export has events, ... Run again.
    """
    if not export.num_rows:
        return
    header = set(export.column_names)
    if project.is_longitudinal and EVENT_NAME not in header:
        raise _build_error("The export does not have the events of a longitudinal project")
    if not project.is_longitudinal and EVENT_NAME in header:
        raise _build_error("The export has events, but the project is not longitudinal")
    blank = read_column(export, project.record_id_field).null_count
    if blank:
        raise _build_error(f"{blank} rows of the export do not have a record id")
    if project.is_longitudinal:
        names = [event.unique_event_name for event in project.events]
        _check_known(export, EVENT_NAME, names, "an event that the project does not have")
    if project.has_repeating:
        if not header.issuperset(REPEAT_COLUMNS):
            raise _build_error("The export does not have the columns of repeating instruments")
        names = [instrument.instrument_name for instrument in project.instruments]
        unknown = "an instrument that the project does not have"
        _check_known(export, REPEAT_INSTRUMENT, names, unknown)
        _check_instances(export)
    else:
        for name in REPEAT_COLUMNS:
            if len(read_column(export, name)) > read_column(export, name).null_count:
                raise _build_error("The export has instances, but nothing repeats in the project")


def check_keys(records: pa.Table, project: REDCapProject, instrument: str) -> None:
    """Raise an error if stored records have other key columns than their instrument has now.

    Args:
        records: Stored records of the instrument.
        project: Structure of the project.
        instrument: Name of the instrument.

    Raises:
        StructureError: The records lack a key column, or have one too many.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> check_keys(pa.table({"id": ["1"], "redcap_event_name": ["a_arm_1"]}), project, "a")
        Traceback (most recent call last):
        redcap_dagster.project.rows.StructureError: The stored records of 'a' have other key ...
    """
    ours = set(project.key_columns(instrument))
    fields = {column.name for column in project.columns(instrument)}
    keys = {EVENT_NAME, ARM, *REPEAT_COLUMNS} - fields | ours
    if ours != keys.intersection(records.column_names):
        raise StructureError(
            f"The stored records of {instrument!r} have other key columns than the instrument has "
            "now. The project was changed since they were stored. Materialize the records again, "
            "or together with the clean table."
        )


def check_columns(records: pa.Table, project: REDCapProject, instrument: str) -> None:
    """Raise an error if stored records lack columns that their instrument has now.

    Args:
        records: Stored records of the instrument.
        project: Structure of the project.
        instrument: Name of the instrument.

    Raises:
        StructureError: The records lack columns, or REDCap exports two fields or options as one
            column; the message names them.
    """
    project.check_columns(instrument)
    names = (*project.context_columns, *(column.name for column in project.columns(instrument)))
    lacking = [name for name in names if name not in records.column_names]
    if lacking:
        raise StructureError(
            f"The stored records of {instrument!r} lack columns that the instrument has now: "
            f"{', '.join(lacking)}. The project was changed since they were stored. Materialize "
            "the records again, or together with the clean table."
        )


def _check_known(export: pa.Table, name: str, known: list[str], unknown_name: str) -> None:
    """Raise an error if rows have a value that is not among the known ones."""
    values = read_column(export, name)
    unknown = pc.and_(values.is_valid(), pc.invert(pc.is_in(values, pa.array(known, pa.string()))))
    rows = pc.sum(unknown, min_count=0).as_py()
    if rows:
        raise _build_error(f"{rows} rows of the export name {unknown_name}")


def _check_instances(export: pa.Table) -> None:
    """Raise an error if rows of a repeating instrument do not have an instance number."""
    instances = read_column(export, REPEAT_INSTANCE)
    is_repeating = read_column(export, REPEAT_INSTRUMENT).is_valid()
    number = pc.fill_null(pc.match_substring_regex(instances, "^[1-9][0-9]{0,8}$"), False)
    wrong = pc.and_(pc.or_(is_repeating, instances.is_valid()), pc.invert(number))
    rows = pc.sum(wrong, min_count=0).as_py()
    if rows:
        raise _build_error(f"{rows} rows of the export have an instance that is not a number")


def _build_error(mismatch: str) -> DisagreementError:
    """Return an error with the cause of a mismatch and what to do."""
    return DisagreementError(
        f"{mismatch}. The project was changed between the requests for structure and records, or "
        "the response is damaged. Run again."
    )
